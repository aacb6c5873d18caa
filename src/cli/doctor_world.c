/* doctor_world: tries namespaces and what sandboxes mount in them, in the way the spawner and the
 * nest do it.  Runs in the child of a check; every namespace and mount vanishes with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif
#define TREE_RECURSIVE 0x8000 /* AT_RECURSIVE, which not every <fcntl.h> has */

/* Sysctls with which a distribution forbids what a nest needs. */
static void name_sysctl(struct doctor_finding *f)
{
    static const struct {
        const char *path;
        long long bad;
        const char *fix;
    } sysctls[] = {
        {"/proc/sys/user/max_user_namespaces", 0, "sysctl -w user.max_user_namespaces=65536"},
        {"/proc/sys/kernel/unprivileged_userns_clone", 0,
         "sysctl -w kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
         "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
    };
    for (size_t i = 0; i < sizeof sysctls / sizeof sysctls[0]; i++) {
        if (doctor_read_number(sysctls[i].path) == sysctls[i].bad) {
            snprintf(f->fix, sizeof f->fix, "%s", sysctls[i].fix);
            return;
        }
    }
}

/* The child between clone3 and its report.  Safe because: it has power over its own namespaces
 * only, and ends with its parent. */
static _Noreturn void live_in_world(const struct doctor_world *world, int go, int out)
{
    struct doctor_finding f = {.status = DOCTOR_OK};
    char byte;
    if (read(go, &byte, 1) != 1)
        _exit(1);
    /* A change of identity makes a process undumpable, and its /proc files root's (proc(5)), so
     * that a nested child could not be given its map; and it forgets the parent-death signal. */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        doctor_fail(&f, errno, "become root of the namespace");
    else
        world->inside(&f);
    _exit(fd_write_all(out, &f, sizeof f, NULL) < 0);
}

static int map_ids(pid_t pid, const char *map)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
    if (doctor_write_file(path, "deny") < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    if (doctor_write_file(path, map) < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    return doctor_write_file(path, map);
}

/* Maps the child, lets it go, and takes its report. */
static void attend(pid_t pid, const char *map, int go, int in, struct doctor_finding *f)
{
    bool mapped = map_ids(pid, map) == 0;
    if (!mapped)
        doctor_fail(f, errno, "map ids into the namespace");
    struct doctor_finding report;
    if (mapped && (write(go, "g", 1) != 1 || read(in, &report, sizeof report) != sizeof report))
        doctor_fail(f, 0, "the process in the namespace ended early");
    else if (mapped)
        *f = report;
}

void doctor_enter(const struct doctor_world *world, struct doctor_finding *f)
{
    int go[2] = {-1, -1}, out[2] = {-1, -1};
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
        doctor_fail(f, errno, "pipe");
        return; /* the process of the check ends now and takes the descriptors with it */
    }
    struct clone_args args = {.flags = world->flags, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        fd_close(&go[1]);
        fd_close(&out[0]);
        live_in_world(world, go[0], out[1]);
    }
    int clone_errno = errno;
    fd_close(&go[0]);
    fd_close(&out[1]);
    if (pid < 0)
        doctor_fail(f, clone_errno, "clone3");
    else
        attend(pid, world->map, go[1], out[0], f);
    fd_close(&go[1]);
    fd_close(&out[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (f->status == DOCTOR_MISSING && f->fix[0] == '\0')
        name_sysctl(f);
}

/* Root maps the range of a nest; anybody else can map themselves only. */
static void outer_map(char out[static 64])
{
    if (geteuid() == 0)
        snprintf(out, 64, "0 %u %u\n", SPAWN_UID_NEST, SPAWN_UID_COUNT);
    else
        snprintf(out, 64, "0 %u 1\n", geteuid());
}

void doctor_probe_namespace(const struct doctor_check *check, struct doctor_finding *f)
{
    char map[64];
    outer_map(map);
    struct doctor_world world = {
        .flags = CLONE_NEWUSER | check->flags, .map = map, .inside = check->inside};
    doctor_enter(&world, f);
}

void doctor_inside_user(struct doctor_finding *f)
{
    if (geteuid() != 0)
        doctor_fail(f, 0, "uid %u instead of 0 inside", geteuid());
}

void doctor_inside_pid(struct doctor_finding *f)
{
    if (getpid() != 1)
        doctor_fail(f, 0, "pid %d instead of 1 inside", getpid());
}

void doctor_inside_mount(struct doctor_finding *f)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        doctor_fail(f, errno, "make mounts private");
}

void doctor_inside_net(struct doctor_finding *f)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    _cleanup_fd_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
        doctor_fail(f, errno, "loopback interface");
}

void doctor_inside_ipc(struct doctor_finding *f)
{
    if (msgget(IPC_PRIVATE, 0600) < 0 && errno != ENOSYS)
        doctor_fail(f, errno, "make a message queue");
}

void doctor_inside_uts(struct doctor_finding *f)
{
    if (sethostname("sandbox", strlen("sandbox")) < 0)
        doctor_fail(f, errno, "set the host name");
}

void doctor_inside_cgroup(struct doctor_finding *f)
{
    if (unshare(CLONE_NEWCGROUP) < 0)
        doctor_fail(f, errno, "unshare");
}

void doctor_inside_proc(struct doctor_finding *f)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    doctor_inside_mount(f);
    /* The kernel refuses where parts of the visible /proc are covered, as in most containers. */
    if (f->status == DOCTOR_OK && mount("proc", "/proc", "proc", flags, NULL) < 0)
        doctor_fail(f, errno, "mount proc");
    if (f->status == DOCTOR_OK &&
        mount("proc", "/proc", "proc", flags | MS_RDONLY, "hidepid=invisible,subset=pid") < 0)
        doctor_fail(f, errno, "mount proc with hidepid and subset");
}

void doctor_inside_tmpfs(struct doctor_finding *f)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV;
    doctor_inside_mount(f);
    if (f->status != DOCTOR_OK)
        return;
    if (mount("tmpfs", "/tmp", "tmpfs", flags, "mode=0755,size=1m,nr_inodes=64") < 0)
        doctor_fail(f, errno, "mount tmpfs");
    else if (mkdir("/tmp/pts", 0755) < 0)
        doctor_fail(f, errno, "mkdir in tmpfs");
    else if (mount(NULL, "/tmp", NULL, MS_REMOUNT | flags, "size=2m,nr_inodes=128") < 0)
        doctor_fail(f, errno, "resize tmpfs");
    else if (mount("devpts", "/tmp/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                   "newinstance,ptmxmode=0666,mode=0600,max=16") < 0)
        doctor_fail(f, errno, "mount devpts");
}

void doctor_inside_pivot(struct doctor_finding *f)
{
    doctor_inside_tmpfs(f);
    if (f->status != DOCTOR_OK)
        return;
    _cleanup_fd_ int tree = chdir("/tmp") < 0 ? -1
                                              : (int)syscall(SYS_open_tree, AT_FDCWD, ".",
                                                             OPEN_TREE_CLONE | TREE_RECURSIVE);
    if (tree < 0)
        doctor_fail(f, errno, "open_tree");
    else if (syscall(SYS_move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
             fchdir(tree) < 0)
        doctor_fail(f, errno, "move_mount");
    else if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        doctor_fail(f, errno, "pivot_root");
}

/* What pid 1 of a sandbox does first: forbid more of the same. */
static void inside_sandbox(struct doctor_finding *f)
{
    if (doctor_write_file("/proc/sys/user/max_user_namespaces", "0") < 0)
        doctor_fail(f, errno, "forbid further user namespaces");
}

static void inside_nest(struct doctor_finding *f)
{
    /* Two ids, as a sandbox has, where the nest has them. */
    bool has_range = setresuid(1000, 0, 0) == 0;
    if (has_range && setresuid(0, 0, 0) < 0)
        doctor_fail(f, errno, "return to uid 0");
    prctl(PR_SET_DUMPABLE, 1);
    struct doctor_world sandbox = {
        .flags =
            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
        .map = has_range ? "0 1000 1\n1000 1001 1\n" : "0 0 1\n",
        .inside = inside_sandbox,
    };
    doctor_enter(&sandbox, f);
}

void doctor_probe_nested(const struct doctor_check *check, struct doctor_finding *f)
{
    char map[64];
    outer_map(map);
    struct doctor_world nest = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS, .map = map, .inside = inside_nest};
    doctor_enter(&nest, f);
}
