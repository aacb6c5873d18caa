/* control: framing on init's socket to the server.
 *
 * Runs in a sandbox's pid 1.  The server is trusted to keep the protocol; when it does not, or goes
 * away, the process ends and the kernel takes the sandbox with it. */
#include "init/control.h"

#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* One control socket in a process.  In static memory, of which only the touched pages cost. */
static char input[CONTROL_IN];
static char output[CONTROL_OUT];

void control_touch(void)
{
    *(volatile char *)input = 0;
    *(volatile char *)output = 0;
}

static size_t fill(struct control *c)
{
    size_t nfds = 0;
    ssize_t n;

    if (c->in_start > 0) {
        memmove(input, input + c->in_start, c->in_end - c->in_start);
        c->in_end -= c->in_start;
        c->in_start = 0;
    }
    n = fd_recv(c->fd, input + c->in_end, sizeof input - c->in_end, c->fds + c->nfds,
                CONTROL_FDS - c->nfds, &nfds, NULL);
    if (n <= 0)
        return 0;
    c->nfds += nfds;
    c->in_end += (size_t)n;
    return (size_t)n;
}

int control_read(struct control *c, struct frame *ret, struct err *e)
{
    for (;;) {
        long n = frame_parse(input + c->in_start, c->in_end - c->in_start, ret, e);

        if (n < 0)
            return -1;
        if (n > 0) {
            c->in_start += (size_t)n;
            return 1;
        }
        if (fill(c) == 0)
            return 0;
    }
}

size_t control_read_raw(struct control *c, void *data, size_t cap)
{
    size_t have = c->in_end - c->in_start;

    if (have == 0) {
        c->in_start = c->in_end = 0;
        have = fill(c);
    }
    if (have > cap)
        have = cap;
    memcpy(data, input + c->in_start, have);
    c->in_start += have;
    return have;
}

void control_flush(struct control *c)
{
    if (c->out_len > 0 && fd_write_all(c->fd, output, c->out_len, NULL) < 0)
        _exit(0);
    c->out_len = 0;
}

void control_write_raw(struct control *c, const void *data, size_t len)
{
    if (len == 0)
        return; /* data may be NULL */
    if (len > sizeof output - c->out_len)
        control_flush(c);
    if (len > sizeof output) {
        if (fd_write_all(c->fd, data, len, NULL) < 0)
            _exit(0);
        return;
    }
    memcpy(output + c->out_len, data, len);
    c->out_len += len;
}

void control_write(struct control *c, enum frame_type type, const void *fixed, size_t fixed_len,
                   const void *rest, size_t rest_len)
{
    char header[FRAME_HEADER];

    frame_header(header, type, fixed_len + rest_len);
    control_write_raw(c, header, sizeof header);
    control_write_raw(c, fixed, fixed_len);
    control_write_raw(c, rest, rest_len);
}

_Noreturn void control_fail(struct control *c, const struct err *e)
{
    control_write(c, FRAME_FAILED, NULL, 0, e->text, strlen(e->text));
    control_flush(c);
    _exit(1);
}
