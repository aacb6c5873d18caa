/* session: pid 1 of a session's sandbox.
 *
 * Serves the server's requests until it says stop or goes away; one loop, which waits for nobody in
 * particular.  Trusts the server to keep the protocol: anything odd ends the session.  Everything
 * in the workspace and every process is hostile; nothing of theirs is read here but through the
 * terminals, whose bytes are only passed on.
 *
 * It shares the Landlock domain of all that it starts: processes of different domains could not see
 * or signal each other, and in a session they are one user's.  What keeps them from init are its
 * uid, its undumpability, and their seccomp filter. */
#include "init/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "enter/confine.h"
#include "enter/landlock.h"
#include "enter/mounts.h"
#include "init/file.h"
#include "init/session_parts.h"

#define STOP_US      (200 * UINT64_C(1000)) /* for processes to end in their own way */
#define STOP_LOOK_MS 5
#define DEATH_MS     2000 /* what takes longer to die after SIGKILL is waited for by nobody */
#define WAITING_MAX  (3 + 2 * SESSION_PROCESSES + 2 * LIMIT_SESSION_TERMINALS)
#define CAP_BIT(cap) (1u << (cap))
/* Ends processes (KILL), makes them and gives them up (SETUID, SETGID, SETPCAP), gives terminals
 * away (CHOWN); and for calls on files DAC_OVERRIDE and FOWNER too. */
#define CAPS_SESSION                                                                               \
    (CAP_BIT(CAP_KILL) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_SETPCAP) |        \
     CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER))

static struct session session;
static char message[SESSION_MESSAGE_MAX + 1]; /* one more, to see what is too long */

void session_say(const struct session *s, enum session_op op, uint32_t id, const void *fixed,
                 size_t len, const char *text)
{
    struct session_head head = {.op = op, .id = id};
    char data[sizeof head + sizeof(struct session_ended) + sizeof((struct err *)0)->text];
    size_t text_len = strlen(text);

    memcpy(data, &head, sizeof head);
    if (len > 0)
        memcpy(data + sizeof head, fixed, len);
    if (text_len > sizeof data - sizeof head - len)
        text_len = sizeof data - sizeof head - len;
    memcpy(data + sizeof head + len, text, text_len);
    if (fd_send(s->sock, data, sizeof head + len + text_len, NULL, 0, NULL) < 0)
        _exit(0);
}

_Noreturn void session_fail(const struct session *s, const char *text)
{
    session_say(s, SESSION_FAILED, 0, NULL, 0, text);
    _exit(1);
}

/* -- becoming one ------------------------------------------------------------------------------ */

/* The workspace on /workspace.  Safe because: /workspace is ours, read-only, and nobody else runs
 * in these namespaces yet.  What is mounted can neither give privileges nor hold devices. */
static int mount_workspace(const struct job_start *start, int durable, struct err *e)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};

    if (durable >= 0 ? syscall(SYS_move_mount, durable, "", AT_FDCWD, SESSION_WORK_DIR,
                               MOVE_MOUNT_F_EMPTY_PATH) < 0
                     : mount(start->work_dir, SESSION_WORK_DIR, NULL, MS_BIND, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: mount the workspace");
    if (syscall(SYS_mount_setattr, AT_FDCWD, SESSION_WORK_DIR, 0, &attr, sizeof attr) < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: flags of the workspace");
    return 0;
}

static int open_proc(struct err *e)
{
    _cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
    int fd = -1;

    if (fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0) == 0 &&
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
                          MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                              MOUNT_ATTR_NOEXEC);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "session: proc") : fd;
}

static int watch_children(struct err *e)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        (fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: signalfd");
    return fd;
}

static int lock_in(const struct session *s, struct err *e)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{.effective = CAPS_SESSION, .permitted = CAPS_SESSION},
                                             {0}};
    long r;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: no new privileges");
    r = landlock_confine_session(SESSION_WORK_DIR, s->proc);
    if (r < 0)
        return err_set(e, ERR_INTERNAL, (int)-r, "session: landlock");
    if (syscall(SYS_capset, &header, data) < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: capabilities");
    return 0;
}

/* checklist */
static int become(struct session *s, const struct job_start *start,
                  const struct frame_session *head, int durable, struct err *e)
{
    struct mounts_sandbox m = {.work_dir = start->work_dir, .workspace_mb = head->workspace_mb};

    if (head->workspace_mb != 0 && mounts_resize(&m, e) < 0)
        return -1;
    if (mount_workspace(start, durable, e) < 0)
        return -1;
    s->root = open(SESSION_WORK_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0)
        return err_set(e, ERR_INTERNAL, errno, "session: open the workspace");
    if ((s->proc = open_proc(e)) < 0 || (s->signals = watch_children(e)) < 0)
        return -1;
    return lock_in(s, e);
}

/* -- serving ----------------------------------------------------------------------------------- */

static void begin_stop(struct session *s)
{
    s->stopping = true;
    keeper_dismiss(s);
    s->stop_us = clock_now_us() + STOP_US;
    group_signal_all(s, SIGTERM);
}

static void resize(struct session *s, const struct session_request *r)
{
    struct session_size size;

    if (r->len != sizeof size)
        session_fail(s, "length of a size");
    memcpy(&size, r->data, sizeof size);
    terminal_resize(s, r->head.id, &size);
}

static void dispatch(struct session *s, struct session_request *r)
{
    switch (r->head.op) {
    case SESSION_EXEC:
        process_exec(s, r);
        break;
    case SESSION_ADMIT:
        join_admit(s, r->head.id);
        break;
    case SESSION_CHILD:
        join_child(s, r);
        break;
    case SESSION_RUN:
        join_run(s, r);
        break;
    case SESSION_SIGNAL:
        process_signal(s, r);
        break;
    case SESSION_RESIZE:
        resize(s, r);
        break;
    case SESSION_FILE:
        call_start(s, r);
        break;
    case SESSION_STOP:
        begin_stop(s);
        break;
    default:
        session_fail(s, "unknown request");
    }
}

static void receive(struct session *s)
{
    struct session_request r = {0};
    ssize_t n = fd_recv(s->sock, message, sizeof message, r.fds, SESSION_FDS_MAX, &r.nfds, NULL);

    if (n <= 0)
        _exit(0); /* the server is gone, and with us everything of this session */
    if ((size_t)n < sizeof r.head || (size_t)n > SESSION_MESSAGE_MAX)
        session_fail(s, "length of a request");
    memcpy(&r.head, message, sizeof r.head);
    r.data = message + sizeof r.head;
    r.len = (size_t)n - sizeof r.head;
    dispatch(s, &r);
    for (size_t i = 0; i < r.nfds; i++)
        fd_close(&r.fds[i]);
}

static void reap(struct session *s)
{
    struct signalfd_siginfo info;
    pid_t pid;

    while (read(s->signals, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        call_died(s, pid);
}

/* Hears whoever of the processes speaks; waits for that at most so long.  Returns whether the
 * server does. */
static bool wait_and_hear(struct session *s, int wait_ms)
{
    static struct pollfd fds[WAITING_MAX];
    static struct process *whose[WAITING_MAX];
    nfds_t n = 3, terminals;
    bool moved = false;

    fds[0] = (struct pollfd){.fd = s->sock, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = s->signals, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = s->spare.pid != 0 ? s->spare.sock : -1, .events = POLLIN};
    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        struct process *p = &s->processes[i];

        if (p->state == PROCESS_FREE)
            continue;
        whose[n] = p;
        fds[n++] = (struct pollfd){.fd = p->status, .events = POLLIN};
        whose[n] = p;
        fds[n++] =
            (struct pollfd){.fd = p->state == PROCESS_JOINING ? p->job : -1, .events = POLLIN};
    }
    terminals = n;
    n += terminal_poll(s, fds + n);
    if (poll(fds, n, wait_ms) < 0 && errno != EINTR)
        session_fail(s, "poll");
    for (nfds_t i = terminals; i < n; i++)
        moved = moved || fds[i].revents != 0;
    if (moved)
        terminal_move(s);
    for (nfds_t i = 3; i < terminals; i++) {
        /* Who has ended by what was heard before has closed what it was heard on. */
        if (fds[i].revents == 0 || whose[i]->state == PROCESS_FREE ||
            (fds[i].fd != whose[i]->status && fds[i].fd != whose[i]->job))
            continue;
        if (whose[i]->keeper != 0)
            process_hear(s, whose[i]);
        else
            join_hear(s, whose[i]);
    }
    if (fds[2].revents != 0)
        keeper_dismiss(s); /* it has nothing to say yet: it was killed */
    if (fds[1].revents != 0)
        reap(s);
    return fds[0].revents != 0;
}

/* The end: nobody is left, everything that was asked for has been answered, everything written is
 * on the disk. */
static _Noreturn void stop(struct session *s)
{
    uint64_t until = clock_now_us() + DEATH_MS * UINT64_C(1000);

    do {
        group_signal_all(s, SIGKILL);
        wait_and_hear(s, 1);
    } while (group_count(s) > 0 && clock_now_us() < until);
    wait_and_hear(s, 0);
    for (size_t i = 0; i < SESSION_PROCESSES; i++) {
        struct process *p = &s->processes[i];

        if (p->state == PROCESS_FREE)
            continue;
        if (p->state != PROCESS_ENDING)
            p->ended.wait_status = SIGKILL;
        process_finish(s, p);
    }
    if (syncfs(s->root) < 0)
        session_fail(s, "the workspace could not be written down");
    session_say(s, SESSION_STOPPED, 0, NULL, 0, "");
    _exit(0);
}

static int sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static _Noreturn void serve(struct session *s)
{
    for (;;) {
        int wait_ms = sooner(process_keep(s), join_keep(s));

        keeper_prepare(s);
        if (s->stopping && (clock_now_us() >= s->stop_us || group_count(s) == 0))
            stop(s);
        if (s->stopping)
            wait_ms = sooner(wait_ms, STOP_LOOK_MS);
        if (wait_and_hear(s, wait_ms))
            receive(s);
    }
}

_Noreturn void session_serve(struct control *c, const struct job_start *start,
                             const struct frame_session *head)
{
    struct session *s = &session;
    struct err e = {0};

    s->start = start;
    s->wants_keeper = true;
    if (head->is_durable > 1 || c->nfds != 1 + head->is_durable) {
        err_set(&e, ERR_INVALID, 0, "session: %zu descriptors", c->nfds);
        control_fail(c, &e);
    }
    s->sock = fd_steal(&c->fds[0]);
    if (become(s, start, head, head->is_durable == 1 ? c->fds[1] : -1, &e) < 0)
        session_fail(s, e.text);
    for (size_t i = 1; i < c->nfds; i++)
        fd_close(&c->fds[i]);
    if (head->is_durable == 1)
        file_sweep(s->root);
    session_say(s, SESSION_UP, 0, NULL, 0, "");
    serve(s);
}
