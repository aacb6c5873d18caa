/* nest: the builder's loop.
 *
 * Runs as pid 1 of a nest: root of the nest's user namespace, nobody on the host.  It reads
 * fixed-size requests from the spawner, keeps the zygote alive, and makes sandboxes.  It never runs
 * or imports untrusted code itself, and must never believe the zygote. */
#include "init/nest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "enter/mounts.h"
#include "enter/stage.h"
#include "init/build.h"
#include "wire/spawn.h"

#define PROGRAM_RUN    STAGE_RUNTIME "/run.bpf"
#define PROGRAM_BUILD  STAGE_RUNTIME "/build.bpf"
#define PROGRAM_TOOL   STAGE_RUNTIME "/tool.bpf"
#define PROGRAM_ZYGOTE STAGE_RUNTIME "/zygote.bpf"

/* Keeps all capabilities over the nest but acts under the zygote's effective uid, so that the user
 * namespaces it makes belong to that uid: the zygote, without any capability, then has power over
 * these sandboxes (user_namespaces(7): the owner's privilege) and over nothing else.
 * Real and saved uid stay 0, so the zygote cannot signal or trace us. */
static int own_as_zygote(struct err *e)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: securebits");
    if (setresgid(0, NEST_UID_ZYGOTE, 0) < 0 || setresuid(0, NEST_UID_ZYGOTE, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: effective uid");
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: dumpable");
    return 0;
}

static int signal_descriptor(struct err *e)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: signal mask");
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "nest: signalfd") : fd;
}

static void reply(const struct nest *nest, const struct nest_reply *r, int pidfd)
{
    if (fd_send(nest->spawner, r, sizeof *r, &pidfd, pidfd >= 0 ? 1 : 0, NULL) < 0)
        _exit(0); /* the spawner is gone, and with us everything of this nest */
}

static void do_build(struct nest *nest, const struct nest_request *req, const int *fds)
{
    struct build b = {
        .request = req, .control = fds[0], .out = fds[1], .err = fds[2], .zygote = -1};
    struct nest_reply r = {.op = NEST_BUILD, .slot = req->slot};
    _cleanup_fd_ int pidfd = -1;
    struct err e = {0};

    memcpy(b.groups, fds + 3, req->groups * sizeof(int));
    if (req->kind == SPAWN_WARM && (b.zygote = zygotes_take(&nest->zygotes)) < 0)
        r.error = nest->is_warm ? zygotes_state(nest) : ENOENT;
    else if (build_sandbox(nest, &b, &pidfd, &e) < 0)
        r.error = e.errnum != 0 ? e.errnum : EIO;
    reply(nest, &r, pidfd);
}

/* Says on a join's status descriptor, as its middle process would, that there will be none.  Only
 * the server reads there, and an end without a word means the same. */
static void refuse_join(int status, int error)
{
    struct nest_status refusal = {.error = error};

    if (write(status, &refusal, sizeof refusal) != sizeof refusal)
        return;
}

/* Hands a sandbox that is there to the zygote.  Nothing is asked of that sandbox, and the zygote,
 * which may be hostile and stand still, is not waited for. */
static void do_join(struct nest *nest, const struct nest_request *req, const int *fds)
{
    struct nest_join join = {.groups = req->groups, .session = 1};
    int state = nest->is_warm ? zygotes_state(nest) : ENOENT;
    int zygote = state == 0 ? zygotes_take(&nest->zygotes) : -1;

    if (zygote < 0)
        refuse_join(fds[NEST_JOIN_STATUS], state == 0 ? EAGAIN : state);
    else if (fd_try_send(zygote, &join, sizeof join, fds, NEST_JOIN_FDS(join.groups), NULL) < 0)
        refuse_join(fds[NEST_JOIN_STATUS], EAGAIN);
}

static bool is_possible(const struct nest *nest, const struct nest_request *req)
{
    /* A run is never warm and root, nor ever in the host's network. */
    return req->groups <= NEST_GROUPS_MAX &&
           (nest_builds(nest) ? req->kind == SPAWN_COLD : req->host_network == 0);
}

/* One request.  Anything odd from the spawner is our own bug, so the nest ends. */
static void do_request(struct nest *nest)
{
    struct nest_request req;
    int fds[NEST_JOIN_FDS(NEST_GROUPS_MAX)];
    size_t nfds = 0;
    ssize_t n =
        fd_recv(nest->spawner, &req, sizeof req, fds, sizeof fds / sizeof fds[0], &nfds, NULL);

    if (n != sizeof req)
        _exit(0);
    if (req.op == NEST_PING) {
        struct nest_reply r = {.op = NEST_PING, .error = zygotes_state(nest)};

        reply(nest, &r, -1);
    } else if (req.op == NEST_BUILD && is_possible(nest, &req) &&
               nfds == NEST_BUILD_FDS(req.groups)) {
        do_build(nest, &req, fds);
    } else if (req.op == NEST_JOIN && !nest_builds(nest) && req.groups <= NEST_GROUPS_MAX &&
               nfds == NEST_JOIN_FDS(req.groups)) {
        do_join(nest, &req, fds);
    } else {
        _exit(1);
    }
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
}

static void reap(struct nest *nest, int signals)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(signals, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (!zygotes_died(&nest->zygotes, pid) && WIFEXITED(status) &&
            WEXITSTATUS(status) == NEST_EXIT_ZYGOTE_STUCK)
            zygotes_stuck(&nest->zygotes);
    }
}

static int serve(struct nest *nest, int signals)
{
    struct pollfd fds[2 + ZYGOTES_SOCKETS] = {{.fd = nest->spawner, .events = POLLIN},
                                              {.fd = signals, .events = POLLIN}};

    for (;;) {
        int timeout_ms = zygotes_keep(nest), socks[ZYGOTES_SOCKETS];

        zygotes_sockets(&nest->zygotes, socks);
        for (size_t i = 0; i < ZYGOTES_SOCKETS; i++)
            fds[2 + i] = (struct pollfd){.fd = socks[i], .events = POLLIN};
        if (poll(fds, 2 + ZYGOTES_SOCKETS, timeout_ms) < 0 && errno != EINTR)
            return 1;
        if ((fds[2].revents | fds[3].revents) != 0)
            zygotes_read(&nest->zygotes);
        if (fds[1].revents != 0)
            reap(nest, signals);
        if (fds[0].revents != 0)
            do_request(nest);
    }
}

/* What can go wrong from here on is told on sockets.  The log is the server's and the spawner's: no
 * process of a nest, taken over or not, writes there, or does with its file or terminal what a
 * descriptor allows. */
static int leave_log(struct err *e)
{
    _cleanup_fd_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0)
        return err_set(e, ERR_INTERNAL, errno, "nest: standard descriptors");
    return 0;
}

/* checklist */
int nest_main(struct nest *nest)
{
    static const char *const profiles[] = {[SPAWN_NEST_RUN] = PROGRAM_RUN,
                                           [SPAWN_NEST_BUILD] = PROGRAM_BUILD,
                                           [SPAWN_NEST_TOOL] = PROGRAM_TOOL};
    struct err e = {0};
    int signals = -1;

    /* The spawner's death is also seen as the end of its socket; this is the second string. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sethostname("nest", strlen("nest")) < 0)
        err_set(&e, ERR_INTERNAL, errno, "nest: parent death signal or host name");
    if (e.code != 0 || mounts_enter_nest(&e) < 0 ||
        program_load(&nest->run, profiles[nest->kind], &e) < 0 ||
        program_load(&nest->zygote, PROGRAM_ZYGOTE, &e) < 0 ||
        (signals = signal_descriptor(&e)) < 0 || own_as_zygote(&e) < 0 || leave_log(&e) < 0) {
        dprintf(STDERR_FILENO, "dunlin-init: %s\n", e.text);
        return 1;
    }
    return serve(nest, signals);
}
