/* network_driver: the network of src/spawner without a spawner, for tests/test_network.py.
 *
 * Runs in a network namespace that a test made for a host.  Reads a command a line from stdin and
 * answers each with one line:
 *
 *   dns ADDRESS | allow CIDR | connections N | rate KIB | port N    into the configuration
 *   open INSTANCE        ok, or the error's text
 *   attach SLOT FILE     ok, or the error's text; FILE is a network namespace
 *   ask SLOT FILE        the same without waiting for the answer
 *   read                 the next answer: SLOT ERROR TEXT
 *   detach SLOT          ok
 *   close                ok */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "spawner/network.h"
#include "spawner/spawner.h"

#define ANSWER_WAIT_MS 10000

static struct spawn_config config = {.connections = 64};

void spawner_say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static const char *configure(const char *word, const char *value)
{
    if (strcmp(word, "dns") == 0 && config.ndns < SPAWN_DNS)
        snprintf(config.dns[config.ndns++], SPAWN_ADDRESS, "%s", value);
    else if (strcmp(word, "allow") == 0 && config.nallowed < SPAWN_ALLOWED)
        snprintf(config.allowed[config.nallowed++], SPAWN_CIDR, "%s", value);
    else if (strcmp(word, "connections") == 0)
        config.connections = (uint32_t)atoi(value);
    else if (strcmp(word, "rate") == 0)
        config.rate_kb = (uint32_t)atoi(value);
    else if (strcmp(word, "port") == 0)
        config.ports[0] = (uint32_t)atoi(value);
    else
        return "no such command";
    return "ok";
}

/* Asks for a link; NULL when the answer is still to come. */
static const char *ask(const char *slot, const char *file, struct err *e)
{
    _cleanup_fd_ int netns = open(file, O_RDONLY | O_CLOEXEC);

    if (netns < 0)
        return strerror(errno);
    return network_attach((uint32_t)atoi(slot), netns, e) < 0 ? e->text : NULL;
}

/* Waits for the next answer of any slot. */
static bool await(uint32_t *ret_slot, int *ret_error, char text[static NETWORK_TEXT])
{
    struct pollfd fd = {.fd = network_fd(), .events = POLLIN};

    while (poll(&fd, 1, ANSWER_WAIT_MS) > 0)
        if (network_read(ret_slot, ret_error, text) == 1)
            return true;
    return false;
}

static const char *read_answer(void)
{
    static char line[NETWORK_TEXT + 32];
    char text[NETWORK_TEXT];
    uint32_t slot;
    int error;

    if (!await(&slot, &error, text))
        return "no answer";
    snprintf(line, sizeof line, "%u %d %s", slot, error, text);
    return line;
}

static const char *attach(const char *slot, const char *file, struct err *e)
{
    static char text[NETWORK_TEXT];
    const char *refusal = ask(slot, file, e);
    uint32_t answered = 0;
    int error = 0;

    if (refusal != NULL)
        return refusal;
    if (!await(&answered, &error, text) || answered != (uint32_t)atoi(slot))
        return "no answer";
    return error == 0 ? "ok" : text;
}

static const char *obey(const char *word, const char *first, const char *second)
{
    static struct err e;
    const char *refusal;

    if (strcmp(word, "open") == 0)
        return network_open(&config, first, &e) < 0 ? e.text : "ok";
    if (strcmp(word, "attach") == 0)
        return attach(first, second, &e);
    if (strcmp(word, "ask") == 0)
        return (refusal = ask(first, second, &e)) != NULL ? refusal : "ok";
    if (strcmp(word, "read") == 0)
        return read_answer();
    if (strcmp(word, "detach") == 0)
        network_detach((uint32_t)atoi(first));
    else if (strcmp(word, "close") == 0)
        network_close();
    else
        return configure(word, first);
    return "ok";
}

int main(void)
{
    char line[512], word[32], first[256], second[256];

    /* Where a spawner has its server and its lock. */
    for (int fd = 0; fd >= 0 && fd < SPAWNER_LOCK_FD;)
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fgets(line, sizeof line, stdin) != NULL) {
        word[0] = first[0] = second[0] = '\0';
        sscanf(line, "%31s %255s %255s", word, first, second);
        printf("%s\n", obey(word, first, second));
        fflush(stdout);
    }
    network_close();
    return 0;
}
