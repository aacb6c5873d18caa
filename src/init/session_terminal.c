/* session_terminal: pseudo-terminals of a session's processes, pumped.
 *
 * Runs in a session's init.  Bytes go both ways between the master and the server's socket, through
 * two small buffers: who does not read makes the other side wait, and nobody else.  Nothing here
 * looks at them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/session_parts.h"

#ifndef TIOCGPTPEER /* musl 1.2.3 has it, older ones have not */
#define TIOCGPTPEER 0x5441
#endif

static struct terminal *find(struct session *s, uint32_t id)
{
    for (size_t i = 0; i < LIMIT_SESSION_TERMINALS; i++) {
        if (s->terminals[i].id == id)
            return &s->terminals[i];
    }
    return NULL;
}

static void set_size(int master, const struct session_size *size)
{
    struct winsize w = {.ws_row = size->rows, .ws_col = size->columns};

    ioctl(master, TIOCSWINSZ, &w); /* fails for no size */
}

/* The master, and in *ret_peer the process's side, which becomes the run's: programs open it by its
 * name too. */
static int open_pair(int *ret_peer)
{
    _cleanup_fd_ int master =
        open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_fd_ int peer = -1;
    int locked = 0;

    if (master < 0 || ioctl(master, TIOCSPTLCK, &locked) < 0)
        return -errno;
    peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (peer < 0 || fchown(peer, SANDBOX_UID_RUN, SANDBOX_UID_RUN) < 0)
        return -errno;
    *ret_peer = fd_steal(&peer);
    return fd_steal(&master);
}

int terminal_open(struct session *s, uint32_t id, int *stream, const struct session_size *size)
{
    struct terminal *t = find(s, 0);
    struct err e = {0};
    int peer = -1, master;

    if (t == NULL)
        return -EAGAIN;
    if (fd_set_nonblock(*stream, &e) < 0)
        return -e.errnum;
    master = open_pair(&peer);
    if (master < 0)
        return master;
    set_size(master, size);
    t->id = id;
    t->master = master;
    t->stream = fd_steal(stream);
    t->is_silent = t->is_over = false;
    t->out_start = t->out_end = t->in_start = t->in_end = 0;
    return peer;
}

void terminal_resize(struct session *s, uint32_t id, const struct session_size *size)
{
    struct terminal *t = find(s, id);

    if (t != NULL)
        set_size(t->master, size);
}

/* Closing the master is the hang-up: the process's session gets SIGHUP, its reads and writes end.
 */
static void hang_up(struct terminal *t)
{
    fd_close(&t->master);
    fd_close(&t->stream);
    t->id = 0;
}

void terminal_ended(struct session *s, uint32_t id)
{
    struct terminal *t = find(s, id);

    if (t == NULL)
        return;
    t->is_over = true;
    if (t->is_silent)
        hang_up(t);
}

nfds_t terminal_poll(const struct session *s, struct pollfd *fds)
{
    nfds_t n = 0;

    for (size_t i = 0; i < LIMIT_SESSION_TERMINALS; i++) {
        const struct terminal *t = &s->terminals[i];
        bool has_out = t->out_end > t->out_start, has_in = t->in_end > t->in_start;

        if (t->id == 0)
            continue;
        /* A master that has hung up says so all the time: it is not asked while what it said last
         * has not been taken, nor until its process ends. */
        fds[n++] =
            (struct pollfd){.fd = t->is_silent || (has_out && !has_in) ? -1 : t->master,
                            .events = (short)((has_out ? 0 : POLLIN) | (has_in ? POLLOUT : 0))};
        fds[n++] = (struct pollfd){
            .fd = t->stream, .events = (short)((has_out ? POLLOUT : 0) | (has_in ? 0 : POLLIN))};
    }
    return n;
}

static bool is_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Fills an empty buffer.  False: nothing more will come. */
static bool fill(int fd, char *data, size_t *start, size_t *end)
{
    ssize_t n;

    if (*end > *start)
        return true;
    *start = *end = 0;
    n = read(fd, data, TERMINAL_BYTES);
    if (n > 0)
        *end = (size_t)n;
    return n > 0 || (n < 0 && is_later());
}

/* Empties a buffer.  False: nobody will take it. */
static bool drain(int fd, const char *data, size_t *start, size_t end)
{
    ssize_t n;

    if (end == *start)
        return true;
    n = write(fd, data + *start, end - *start);
    if (n > 0)
        *start += (size_t)n;
    return n >= 0 || is_later();
}

/* Nobody is at the other end any more, and poll(2) says so all the time. */
static bool is_left(int stream)
{
    struct pollfd fd = {.fd = stream};

    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR)) != 0;
}

/* Many a program closes its terminal, then ends: hanging up between the two would kill it. */
static void move_out(struct terminal *t)
{
    t->is_silent = !fill(t->master, t->out, &t->out_start, &t->out_end);
    if ((t->is_silent && t->is_over) || !drain(t->stream, t->out, &t->out_start, t->out_end))
        hang_up(t);
}

void terminal_move(struct session *s)
{
    for (size_t i = 0; i < LIMIT_SESSION_TERMINALS; i++) {
        struct terminal *t = &s->terminals[i];

        if (t->id == 0)
            continue;
        if (!fill(t->stream, t->in, &t->in_start, &t->in_end)) {
            hang_up(t);
            continue;
        }
        if (!drain(t->master, t->in, &t->in_start, t->in_end) || t->is_silent)
            t->in_start = t->in_end; /* the process is gone; it may have said something before */
        if (t->in_end > t->in_start && is_left(t->stream)) {
            hang_up(t); /* also of a process that does not read */
            continue;
        }
        move_out(t);
    }
}
