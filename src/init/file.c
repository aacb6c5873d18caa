/* file: a call on files from its start to its last frame.
 *
 * Runs as a child of a sandbox's init, root of the sandbox's user namespace with a few capabilities
 * and two descriptors.  Trusts the call, which is the server's; nothing in the workspace.  Must
 * never wait for anything in it: not for a FIFO, nor for a lock. */
#include "init/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "init/file_internal.h"

#define CAP_BIT(cap) (1u << (cap))
#define CAPS_FILES   (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER))
#define DRAIN_MS     5000      /* for the server to notice the end while it still sends */
#define SEND_BUFFER  (4 << 20) /* asked for; the kernel gives what it allows */

static const struct operation {
    int (*serve)(struct call *c);
    uint32_t caps;
    bool has_input;
} operations[] = {
    [FILE_STAT] = {file_stat, CAPS_FILES},
    [FILE_LIST] = {file_list, CAPS_FILES},
    [FILE_READ] = {file_read, CAPS_FILES},
    [FILE_WRITE] = {file_write, CAPS_FILES, true},
    [FILE_APPEND] = {file_append, CAPS_FILES, true},
    [FILE_PATCH] = {file_patch, CAPS_FILES, true},
    [FILE_MOVE] = {file_move, CAPS_FILES},
    [FILE_COPY] = {file_copy, CAPS_FILES},
    [FILE_REMOVE] = {file_remove, CAPS_FILES},
    [FILE_MKDIR] = {file_mkdir, CAPS_FILES},
    [FILE_CHMOD] = {file_chmod, CAPS_FILES},
    [FILE_SEARCH] = {file_search, CAPS_FILES},
    [FILE_PACK] = {file_pack, CAPS_FILES},
    [FILE_UNPACK] = {file_unpack, CAPS_FILES, true},
    [FILE_WATCH] = {file_watch, CAPS_FILES},
    [FILE_PROCESSES] = {file_processes, CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID)},
    [FILE_USAGE] = {file_usage, CAPS_FILES},
};

static const struct {
    int error;
    const char *text; /* after the name */
} words[] = {
    {ENOENT, "does not exist"},
    {EXDEV, "leads out of the workspace"},
    {EISDIR, "is a directory"},
    {ENOTDIR, "is not a directory, or something above it is none"},
    {EEXIST, "exists already"},
    {ENOTEMPTY, "is not empty"},
    {ENXIO, "is not a regular file"},
    {ELOOP, "leads through too many links"},
    {ENAMETOOLONG, "is too long or too deep"},
    {ENOSPC, "does not fit: the workspace is full"},
    {EDQUOT, "does not fit: the workspace is full"},
    {EBUSY, "is the workspace itself"},
};

void call_undo(struct call *c, bool remove)
{
    const struct place *at = c->unfinished;
    uint64_t done = c->done;

    c->unfinished = NULL;
    if (at != NULL && remove)
        walk_remove(c, at->dir, at->name);
    c->done = done;
}

/* Nobody listens any more.  Removing must not be ended for that. */
static _Noreturn void leave(struct call *c)
{
    c->is_alone = true;
    call_undo(c, true);
    _exit(0);
}

bool call_has(const struct call *c, uint32_t flag)
{
    return (c->w->what.flags & flag) != 0;
}

uint32_t call_limit(const struct call *c)
{
    uint32_t limit = c->w->what.limit;

    return limit == 0 || limit > LIMIT_FILE_ENTRIES ? LIMIT_FILE_ENTRIES : limit;
}

static void send_all(struct call *c, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->w->stream, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            leave(c);
        data += n;
        len -= (size_t)n;
    }
}

void call_flush(struct call *c)
{
    size_t n = c->nout;

    c->nout = 0;
    send_all(c, c->out, n);
}

void call_send(struct call *c, const void *data, size_t len)
{
    call_flush(c);
    send_all(c, data, len);
}

void call_frame(struct call *c, enum file_frame type, const void *fixed, const char *text,
                size_t len)
{
    size_t nfixed = file_fixed_size(type);
    char *at;

    if (len > FILE_PAYLOAD_MAX - nfixed)
        len = FILE_PAYLOAD_MAX - nfixed;
    if (c->nout + FILE_HEADER + nfixed + len > sizeof c->out)
        call_flush(c);
    at = c->out + c->nout;
    file_header(at, type, nfixed + len);
    memcpy(at + FILE_HEADER, fixed, nfixed);
    memcpy(at + FILE_HEADER + nfixed, text, len);
    c->nout += FILE_HEADER + nfixed + len;
}

static enum file_type type_of(mode_t mode)
{
    return S_ISREG(mode)   ? TYPE_FILE
           : S_ISDIR(mode) ? TYPE_DIRECTORY
           : S_ISLNK(mode) ? TYPE_LINK
                           : TYPE_OTHER;
}

/* Since 1970.  A program may give a file any time: what does not fit is the farthest that does. */
static int64_t nanoseconds(const struct timespec *t)
{
    const int64_t second = 1000000000, farthest = INT64_MAX / second - 1;

    if (t->tv_sec > farthest || t->tv_sec < -farthest)
        return t->tv_sec > 0 ? INT64_MAX : INT64_MIN;
    return (int64_t)t->tv_sec * second + t->tv_nsec;
}

void call_info(struct call *c, const struct stat *st, const char *name, const char *target)
{
    static char text[WALK_PATH + PATH_MAX];
    struct file_info info = {
        .type = type_of(st->st_mode),
        .mode = st->st_mode & 07777,
        .size = (uint64_t)st->st_size,
        .modified_ns = nanoseconds(&st->st_mtim),
        .inode = st->st_ino,
    };
    int n = snprintf(text, sizeof text, "%s", name);

    if (target != NULL && (size_t)n < sizeof text) {
        n++;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s", target);
    }
    call_frame(c, FILE_INFO, &info, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

/* A peer that only will not say more (shutdown) still listens; one that closed does not. */
void call_check(struct call *c)
{
    struct pollfd fd = {.fd = c->w->stream};

    if (!c->is_alone && poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR)) != 0)
        leave(c);
}

size_t call_receive(struct call *c, void *data, size_t cap, bool all)
{
    ssize_t n;

    if (c->nout > 0)
        call_flush(c);
    do
        n = recv(c->w->stream, data, cap, all ? MSG_WAITALL : 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        leave(c);
    if (n == 0)
        call_check(c);
    return (size_t)n;
}

/* Makes text of anything: no control characters, only UTF-8. */
static void make_printable(char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len;) {
        int32_t code;
        size_t n = utf8_decode(text + at, len - at, &code);

        if (code < ' ' || code == 0x7f)
            memset(text + at, '?', n);
        at += n;
    }
}

int call_explain(struct call *c, int error, const char *format, ...)
{
    va_list args;

    if (c->note[0] == '\0') {
        va_start(args, format);
        vsnprintf(c->note, sizeof c->note, format, args);
        va_end(args);
        make_printable(c->note);
    }
    return -error;
}

int call_fail(struct call *c, int error, const char *name)
{
    if (name[0] == '\0')
        name = "the workspace";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].error == error)
            return call_explain(c, error, "%.150s %s", name, words[i].text);
    }
    return call_explain(c, error, "%.150s: %s", name, strerror(error));
}

/* Closing a socket that holds unread bytes resets it, and the last frame could be lost. */
static void drain(struct call *c)
{
    struct pollfd fd = {.fd = c->w->stream, .events = POLLIN};

    while (poll(&fd, 1, DRAIN_MS) > 0 && recv(c->w->stream, c->buffer, sizeof c->buffer, 0) > 0)
        ;
}

static _Noreturn void end(struct call *c, int result, bool has_input)
{
    struct file_end last = {
        .error = result < 0 ? -result : 0, .truncated = c->truncated, .bytes = c->done};

    if (result < 0)
        call_fail(c, -result, c->w->path);
    else if (c->left_out > 0)
        call_explain(c, 0, "%llu left out: not files, directories or links",
                     (unsigned long long)c->left_out);
    call_frame(c, FILE_END, &last, c->note, strlen(c->note));
    call_flush(c);
    if (has_input && result < 0)
        drain(c);
    _exit(0);
}

static int close_all_but(unsigned a, unsigned b)
{
    unsigned low = a < b ? a : b, high = a < b ? b : a;

    if ((low > 3 && syscall(SYS_close_range, 3, low - 1, 0) < 0) ||
        (high > low + 1 && syscall(SYS_close_range, low + 1, high - 1, 0) < 0) ||
        syscall(SYS_close_range, high + 1, ~0u, 0) < 0)
        return -errno;
    return 0;
}

/* Safe because: of what init still may, the call keeps what it needs; no execve() follows. */
static int keep_capabilities(uint32_t caps)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    data[0].permitted &= caps;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* As that of a run (confine.c): init's own is for nobody else, and nobody may be less nice than the
 * operator has made it.  -1 may be an answer of getpriority(2), too. */
static int drop_priority(void)
{
    return getpriority(PRIO_PROCESS, 0) >= 0 ? 0 : setpriority(PRIO_PROCESS, 0, 0);
}

/* checklist */
static int prepare(const struct file_world *w, uint32_t caps)
{
    int size = SEND_BUFFER, null = open("/dev/null", O_RDWR | O_CLOEXEC), r;
    sigset_t none;

    /* What init holds as 0 to 2 may be the output of a program, which must not stay open. */
    if (null < 0 || dup2(null, 0) < 0 || (w->proc != 1 && dup2(null, 1) < 0) || dup2(null, 2) < 0)
        return -errno;
    if (w->stream <= 2 || w->root <= 2)
        return -EBADF;
    if ((r = close_all_but((unsigned)w->stream, (unsigned)w->root)) < 0)
        return r;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        drop_priority() < 0)
        return -errno;
    umask(0); /* modes are those that are asked for */
    setsockopt(w->stream, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return keep_capabilities(caps);
}

_Noreturn void file_serve(const struct file_world *w)
{
    static struct call c; /* large, and touched by the child only */
    static const struct operation unknown;
    const struct operation *op = &unknown;
    int r;

    c.w = w;
    if (w->what.op < sizeof operations / sizeof operations[0])
        op = &operations[w->what.op];
    r = prepare(w, op->caps);
    if (r < 0)
        end(&c, call_explain(&c, -r, "the sandbox could not serve the call: %s", strerror(-r)),
            false);
    if (op->serve == NULL)
        end(&c, call_explain(&c, ENOSYS, "unknown call on files"), false);
    end(&c, op->serve(&c), op->has_input);
}
