/* session_shell: `dunlin session shell`, a terminal of the session on ours.
 *
 * Runs in dunlin-client, as whoever calls it.  Our terminal is raw while it lasts, so that every
 * key goes to the session; what comes from there is shown as it is, as ssh(1) does. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "cli/client_json.h"
#include "cli/client_socket.h"
#include "cli/session_internal.h"
#include "cli/words.h"

struct shell {
    struct client_socket *socket;
    bool raw; /* our terminal's settings were changed */
    struct termios before;
    bool ended;
    int status;
};

static volatile sig_atomic_t resized;

static void on_resize(int signal)
{
    resized = 1;
}

/* Blocks it but while we wait, from before the size is first read: no change is missed. */
static void watch_size(sigset_t *ret_before)
{
    struct sigaction action = {.sa_handler = on_resize};
    sigset_t size;

    sigemptyset(&size);
    sigaddset(&size, SIGWINCH);
    sigprocmask(SIG_BLOCK, &size, ret_before);
    sigaction(SIGWINCH, &action, NULL);
}

static struct winsize window(void)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    return size;
}

static void tell_size(void *data)
{
    struct shell *shell = data;
    struct winsize size = window();
    char text[96];

    if (resized == 0)
        return;
    resized = 0;
    snprintf(text, sizeof text, "{\"type\":\"resize\",\"rows\":%u,\"columns\":%u}", size.ws_row,
             size.ws_col);
    (void)client_socket_send(shell->socket, true, text, strlen(text));
}

/* The end of a pipe that feeds us is an end of file over there; a terminal's own is its Ctrl-D. */
static int on_input(void *data)
{
    static const char eof[] = "{\"type\":\"eof\"}";
    struct shell *shell = data;
    char bytes[4096];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    if (n > 0)
        return client_socket_send(shell->socket, false, bytes, (size_t)n);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    (void)client_socket_send(shell->socket, true, eof, sizeof eof - 1);
    return -1;
}

static int on_message(void *data, bool is_text, const char *bytes, size_t len)
{
    struct shell *shell = data;
    json_t *message;

    if (!is_text)
        return fd_write_all(STDOUT_FILENO, bytes, len, NULL);
    message = json_loadb(bytes, len, 0, NULL);
    if (strcmp(client_text_of(message, "type"), "exit") == 0) {
        shell->ended = true;
        shell->status = session_status_of(message);
    }
    json_decref(message);
    return shell->ended;
}

static void make_raw(struct shell *shell)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &shell->before) < 0)
        return;
    raw = shell->before;
    cfmakeraw(&raw);
    shell->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* A word with everything but the plainest in quotes, for the shell that gets the line. */
static int add_word(struct buf *line, const char *word)
{
    int r = line->len > 0 ? buf_append_str(line, " ") : 0;

    r |= buf_append_str(line, "'");
    for (; *word != '\0'; word++)
        r |= *word == '\'' ? buf_append_str(line, "'\\''") : buf_append(line, word, 1);
    return r | buf_append_str(line, "'");
}

/* "/terminal?rows=..."; one word is a line for the shell, as in exec.  NULL: out of memory. */
static char *terminal_path(const struct session_options *o)
{
    struct winsize size = window();
    char rows[8], columns[8], *query, *rest = NULL, *path = NULL;
    _cleanup_buf_ struct buf line;
    int r = 0;

    buf_init(&line, 64 << 10);
    if (o->nwords == 2)
        r = buf_append_str(&line, o->words[1]);
    for (int i = 1; o->nwords > 2 && i < o->nwords; i++)
        r |= add_word(&line, o->words[i]);
    r |= buf_append(&line, "", 1);
    snprintf(rows, sizeof rows, "%u", size.ws_row);
    snprintf(columns, sizeof columns, "%u", size.ws_col);
    const char *pairs[] = {
        "rows", rows,   "columns", columns, "command", o->nwords > 1 ? line.data : NULL,
        "cwd",  o->cwd, NULL,      NULL};
    query = r == 0 ? session_query(pairs) : NULL;
    if (query != NULL && asprintf(&rest, "/terminal%s", query) >= 0)
        path = client_path("v1/sessions", o->words[0], rest);
    free(query);
    free(rest);
    return path;
}

int session_shell(struct client *c, const struct session_options *o)
{
    struct shell shell = {.status = 1};
    sigset_t before;
    const struct client_socket_events events = {.on_message = on_message,
                                                .on_input = on_input,
                                                .on_signal = tell_size,
                                                .wait_mask = &before,
                                                .data = &shell};
    struct err e = {0};
    char *path;

    watch_size(&before);
    path = terminal_path(o);
    shell.socket = path != NULL ? client_socket_open(c, path, &e) : NULL;
    free(path);
    if (shell.socket == NULL)
        return client_fail(&o->common, WORDS("no terminal", "无法打开终端"), e.text);
    make_raw(&shell);
    if (client_socket_run(shell.socket, STDIN_FILENO, &events, &e) < 0)
        shell.ended = false;
    if (shell.raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &shell.before);
    client_socket_close(shell.socket);
    if (!shell.ended)
        return client_fail(&o->common, NULL,
                           e.text[0] != '\0'
                               ? e.text
                               : WORDS("the server closed the terminal", "服务器关闭了终端"));
    return shell.status;
}
