/* control: what the bench compares Dunlin with, measured on the same machine in the same minute.
 *
 *   control python   a plain child process  /usr/bin/python3 -c "print('Hello, World!')"
 *   control lean     the same with -I -S: no site, no environment
 *   control fork     fork and _exit of a process that has touched --memory-mb
 *
 * Each run is checked (output and exit status).  Runs as the user who benches; trusts its arguments
 * and ends at the first thing that goes wrong. */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define MAX_RUNNERS 64 /* threads; two per CPU of a big machine are plenty for a control */

static const char *const python_argv[] = {"/usr/bin/python3", "-c", "print('Hello, World!')", NULL};
static const char *const lean_argv[] = {"/usr/bin/python3",       "-I", "-S", "-c",
                                        "print('Hello, World!')", NULL};
static const char greeting[] = "Hello, World!\n";

struct control {
    const char *const *argv; /* NULL: fork and exit */
    unsigned runners;
    uint64_t count;  /* runs of all runners together, or 0: until end_ns */
    uint64_t end_ns; /* when count is 0 */
    atomic_uint_fast64_t started;
};

struct runner {
    struct control *control;
    struct samples samples;
    pthread_t thread;
};

static void check_status(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        err(1, "waitpid");
    if (status != 0)
        errx(1, "the control ended with status 0x%x", (unsigned)status);
}

static void read_greeting(int fd)
{
    char buf[256];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof buf && (n = read(fd, buf + len, sizeof buf - len)) > 0)
        len += (size_t)n;
    if (len != sizeof greeting - 1 || memcmp(buf, greeting, len) != 0)
        errx(1, "the control printed something else");
}

static void run_program(const char *const *argv)
{
    int p[2], rc;
    pid_t pid;
    posix_spawn_file_actions_t actions;

    if (pipe2(p, O_CLOEXEC) != 0)
        err(1, "pipe2");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, p[1], STDOUT_FILENO);
    rc = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        errx(1, "%s: %s", argv[0], strerror(rc));
    close(p[1]);
    read_greeting(p[0]);
    close(p[0]);
    check_status(pid);
}

static void run_fork(void)
{
    pid_t pid = fork();

    if (pid < 0)
        err(1, "fork");
    if (pid == 0)
        _exit(0);
    check_status(pid);
}

static bool take_turn(struct control *c)
{
    uint64_t n = atomic_fetch_add(&c->started, 1);
    return c->count ? n < c->count : now_ns() < c->end_ns;
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;

    while (take_turn(r->control)) {
        uint64_t start = now_ns();
        if (r->control->argv)
            run_program(r->control->argv);
        else
            run_fork();
        samples_add(&r->samples, now_ns() - start);
    }
    return NULL;
}

/* Small pages, as an interpreter's heap has them: their tables are what fork copies. */
static void touch_memory(size_t mb)
{
    size_t len = mb << 20;
    char *p;

    if (!len)
        return;
    p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        err(1, "mmap");
    madvise(p, len, MADV_NOHUGEPAGE);
    memset(p, 1, len);
}

static void run_all(struct control *c, struct samples *ret_samples)
{
    struct runner runners[MAX_RUNNERS] = {0};

    for (unsigned i = 0; i < c->runners; i++) {
        runners[i].control = c;
        if (pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]) != 0)
            errx(1, "pthread_create failed");
    }
    for (unsigned i = 0; i < c->runners; i++) {
        pthread_join(runners[i].thread, NULL);
        samples_append(ret_samples, &runners[i].samples);
        samples_finish(&runners[i].samples);
    }
}

static uint64_t cpu_us(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void usage(void)
{
    errx(2, "usage: control python|lean|fork [--runners N] [--count N | --duration S] "
            "[--memory-mb N] [--samples FILE]");
}

static const char *parse(struct control *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"runners", required_argument, NULL, 'r'},  {"count", required_argument, NULL, 'c'},
        {"duration", required_argument, NULL, 'd'}, {"memory-mb", required_argument, NULL, 'm'},
        {"samples", required_argument, NULL, 's'},  {0}};
    const char *samples_path = NULL;
    double duration = 0;
    size_t memory_mb = 20;
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'r':
            c->runners = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            c->count = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            duration = strtod(optarg, NULL);
            break;
        case 'm':
            memory_mb = strtoul(optarg, NULL, 10);
            break;
        case 's':
            samples_path = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc - 1 || c->runners < 1 || c->runners > MAX_RUNNERS ||
        (c->count == 0) == (duration <= 0))
        usage();
    if (strcmp(argv[optind], "python") == 0)
        c->argv = python_argv;
    else if (strcmp(argv[optind], "lean") == 0)
        c->argv = lean_argv;
    else if (strcmp(argv[optind], "fork") == 0)
        touch_memory(memory_mb);
    else
        usage();
    c->end_ns = now_ns() + (uint64_t)(duration * 1e9);
    return samples_path;
}

int main(int argc, char **argv)
{
    struct control c = {.runners = 1};
    struct samples samples = {0};
    const char *path = parse(&c, argc, argv);
    uint64_t start = now_ns();

    run_all(&c, &samples);
    double seconds = (double)(now_ns() - start) / 1e9;
    if (path)
        samples_write(&samples, path);
    printf("{\"done\":%zu,\"seconds\":%.4f,\"rate\":%.2f,\"cpu_us\":%llu,\"children_cpu_us\":%llu,",
           samples.len, seconds, (double)samples.len / seconds,
           (unsigned long long)cpu_us(RUSAGE_SELF), (unsigned long long)cpu_us(RUSAGE_CHILDREN));
    samples_print(&samples, stdout);
    printf("}\n");
    samples_finish(&samples);
    return 0;
}
