/* job: one job, from the first frame to the last.
 *
 * Runs as pid 1 of a sandbox: uid 0 of the sandbox's user namespace with the few capabilities the
 * work needs, undumpable before any untrusted code runs, so that the run can neither read nor trace
 * it (R25).  Trusts the server's frames.  What the run writes to its files, output or descriptors
 * must never reach the verdict: that comes from wait(2) alone (R48). */
#include "init/job.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "enter/confine.h"
#include "enter/mounts.h"
#include "init/files.h"
#include "init/job_state.h"
#include "init/session.h"
#include "init/supervise.h"
#include "wire/nest.h"

#define CAP_BIT(cap) (1u << (cap))
/* Until the job starts: write files as their owner (CHOWN, DAC_OVERRIDE), resize the storage
 * (SYS_ADMIN), make a cold child and give it up (SETUID, SETGID, SETPCAP); and what a session keeps
 * for its files (FOWNER). */
#define CAPS_WAITING                                                                               \
    (CAPS_WATCHING | CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_SETUID) |           \
     CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_SETPCAP) | CAP_BIT(CAP_FOWNER))
/* While it runs: end everything (KILL), read what it left behind (DAC_OVERRIDE). */
#define CAPS_WATCHING (CAP_BIT(CAP_KILL) | CAP_BIT(CAP_DAC_OVERRIDE))

/* What a build's job keeps, init must have when it makes it. */
static uint32_t caps_waiting(const struct job_start *start)
{
    return start->root ? CAPS_WAITING | CONFINE_ROOT_CAPS : CAPS_WAITING;
}

static int keep_capabilities(uint32_t caps, struct err *e)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{.effective = caps, .permitted = caps}, {0}};

    if (syscall(SYS_capset, &header, data) < 0)
        return err_set(e, ERR_INTERNAL, errno, "capabilities of init");
    return 0;
}

/* Neither the zygote nor its child is believed to say anything, ever: the wait for both is bounded.
 */
static void await_any(struct pollfd *fds, nfds_t n, const struct job_start *start)
{
    int r;

    do
        r = poll(fds, n, start->patience_ms);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        _exit(NEST_EXIT_ZYGOTE_STUCK);
}

/* Waits until the zygote's child has locked itself in and waits for its job. */
static void await_child(struct control *c, const struct job_start *start)
{
    struct pollfd fds[] = {{.fd = start->job, .events = POLLIN},
                           {.fd = c->fd, .events = POLLIN},
                           {.fd = start->status, .events = POLLIN}};
    struct nest_status status = {0};
    struct err e = {0};
    char text[128];
    ssize_t n;

    await_any(fds, 3, start);
    n = fds[0].revents != 0 ? recv(start->job, text, sizeof text - 1, MSG_DONTWAIT) : -1;
    if (n == 1 && text[0] == 'R')
        return;
    if (n <= 1)
        await_any(&fds[2], 1, start); /* it is about to end, or lies */
    if (n > 1) {
        text[n] = '\0';
        err_set(&e, ERR_INTERNAL, 0, "warm start: %s", text + 1);
    } else if (read(start->status, &status, sizeof status) == sizeof status) {
        err_set(&e, ERR_INTERNAL, -status.error, "warm start");
    } else {
        err_set(&e, ERR_INTERNAL, 0, "warm start: the zygote went away");
    }
    control_fail(c, &e);
}

/* Stdin as a file without a name in the sandbox's own memory. */
static int receive_stdin(struct control *c, uint64_t size, struct err *e)
{
    _cleanup_fd_ int fd = (int)syscall(SYS_memfd_create, "stdin", MFD_CLOEXEC);
    char chunk[16384];

    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "stdin");
    while (size > 0) {
        size_t n = control_read_raw(c, chunk, size < sizeof chunk ? (size_t)size : sizeof chunk);

        if (n == 0)
            _exit(0);
        if (fd_write_all(fd, chunk, n, e) < 0)
            return err_prefix(e, "stdin");
        size -= n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set(e, ERR_INTERNAL, errno, "stdin");
    return fd_steal(&fd);
}

static void receive_file(struct control *c, struct job_state *job, const struct frame *f)
{
    struct frame_errno fixed = {0};
    char name[LIMIT_FILE_PATH + 1];
    size_t len = f->rest_len;

    if (len == 0 || len > LIMIT_FILE_PATH)
        _exit(1);
    memcpy(name, f->rest, len);
    name[len] = '\0';
    fixed.errnum = files_receive(&job->files, c, name, f->blob.size);
    if (fixed.errnum == 0)
        return;
    control_write(c, FRAME_BAD_FILE, &fixed, sizeof fixed, name, len);
    control_flush(c);
    _exit(0);
}

static void take_job(struct job_state *job, const struct frame *f)
{
    if (f->len > sizeof job->payload || f->rest_len == 0 || f->rest[f->rest_len - 1] != '\0')
        _exit(1);
    job->head = f->job;
    job->payload_len = f->len;
    memcpy(job->payload, f->payload, f->len);
}

static int resize(const struct job_state *job, struct err *e)
{
    struct mounts_sandbox m = {.work_dir = job->start->work_dir,
                               .workspace_mb = job->head.workspace_mb};

    return job->head.workspace_mb == 0 ? 0 : mounts_resize(&m, e);
}

/* Waits for the first word of the job.  A warm child that dies before it came is of no use to
 * anybody: the end of this sandbox tells the server so. */
static void await_job(const struct control *c, const struct job_start *start)
{
    struct pollfd fds[] = {{.fd = c->fd, .events = POLLIN},
                           {.fd = start->status, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[1].revents != 0)
        _exit(1);
}

/* A cold sandbox of runs that has been told nothing yet. */
static bool may_be_session(const struct job_state *job)
{
    return job->start->status < 0 && !job->start->root && job->payload_len == 0 &&
           job->stdin_fd < 0;
}

/* Everything up to FRAME_GO; a session never gets there.  Ends the process when the server goes
 * away: nobody asks any more. */
static int receive_job(struct control *c, struct job_state *job, struct err *e)
{
    struct frame f;
    int r;

    while ((r = control_read(c, &f, e)) > 0) {
        if (f.type == FRAME_JOB) {
            take_job(job, &f);
            if (resize(job, e) < 0)
                return -1;
        } else if (f.type == FRAME_FILE) {
            receive_file(c, job, &f);
        } else if (f.type == FRAME_STDIN && job->stdin_fd < 0) {
            job->stdin_fd = receive_stdin(c, f.blob.size, e);
            if (job->stdin_fd < 0)
                return -1;
        } else if (f.type == FRAME_GO && job->payload_len > 0) {
            return 0;
        } else if (f.type == FRAME_SESSION && may_be_session(job)) {
            session_serve(c, job->start, &f.session);
        } else {
            return err_set(e, ERR_INVALID, 0, "frame %d out of order", f.type);
        }
    }
    if (r == 0)
        _exit(0);
    return -1;
}

static void report(struct control *c, struct job_state *job)
{
    struct frame_exit end = {.wait_status = job->wait_status,
                             .flags = job->timed_out ? FRAME_EXIT_TIMEOUT : 0,
                             .wall_us = job->wall_us};
    struct files_wanted wanted = {.main_file = job->payload + sizeof job->head,
                                  .max_size = job->head.max_file_size,
                                  .changed = (job->head.flags & FRAME_JOB_CHANGED) != 0};

    if (job->refusal_len > 0)
        control_write(c, FRAME_REFUSED, NULL, 0, job->refusal, job->refusal_len);
    if (files_storage_full(job->start->work_dir))
        end.flags |= FRAME_EXIT_WORKSPACE;
    control_write(c, FRAME_EXIT, &end, sizeof end, NULL, 0);
    files_send(&job->files, c, &wanted);
    if (!job->start->root)
        files_send_hint(c);
    control_write(c, FRAME_DONE, NULL, 0, NULL, 0);
    control_flush(c);
}

/* A page of this process that is written to for the first time costs a fault.  These are the ones
 * that every job writes to; they are paid for while nobody waits. */
static void touch_ahead(struct job_state *job)
{
    volatile char stack[16384];

    for (size_t i = 0; i < sizeof stack; i += 4096)
        stack[i] = 0;
    *(volatile char *)&job->head = 0;
    *(volatile char *)job->payload = 0;
    *(volatile char *)&job->files.nseen = 0;
    control_touch();
}

/* checklist */
_Noreturn void job_serve(struct control *c, struct job_start *start)
{
    static struct job_state job; /* large, and zeroed by the kernel page by page */
    struct err e = {0};

    job.start = start;
    job.stdin_fd = -1;
    job.files.owner = job_owner(start->root);
    if (start->status >= 0)
        await_child(c, start);
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        err_set(&e, ERR_INTERNAL, errno, "undumpable");
    if (e.code != 0 || keep_capabilities(caps_waiting(start), &e) < 0 ||
        files_open(&job.files, start->work_dir, &e) < 0)
        control_fail(c, &e);
    touch_ahead(&job);
    control_write(c, FRAME_READY, NULL, 0, NULL, 0);
    control_flush(c);
    await_job(c, start);
    if (receive_job(c, &job, &e) < 0 || supervise_start(&job, &e) < 0 ||
        keep_capabilities(CAPS_WATCHING, &e) < 0 || supervise_wait(&job, c->fd, &e) < 0)
        control_fail(c, &e);
    report(c, &job);
    _exit(0);
}
