/* doctor_kernel: tries the system calls and file systems that Dunlin uses.  Runs in the child of a
 * check; a filter or ruleset that is put in force ends with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#define KERNEL_MAJOR      6
#define KERNEL_MINOR      1
#define LANDLOCK_SCOPES   6 /* the ABI that can scope signals and abstract sockets */
#define SANDBOX_TEST_ROOT "/tmp"

void doctor_probe_kernel(const struct doctor_check *check, struct doctor_finding *f)
{
    struct utsname u;
    int major = 0, minor = 0;
    uname(&u);
    if (sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < KERNEL_MAJOR ||
        (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
        doctor_fail(f, 0, "Linux %.60s is older than %d.%d", u.release, KERNEL_MAJOR, KERNEL_MINOR);
    else
        doctor_note(f, "Linux %.60s", u.release);
}

void doctor_probe_machine(const struct doctor_check *check, struct doctor_finding *f)
{
    struct utsname u;
    uname(&u);
    if (strcmp(u.machine, "x86_64") != 0 && strcmp(u.machine, "aarch64") != 0)
        doctor_fail(f, 0, "%.60s is neither x86_64 nor aarch64", u.machine);
    else
        doctor_note(f, "%.60s", u.machine);
}

void doctor_probe_clone3(const struct doctor_check *check, struct doctor_finding *f)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    if (pid < 0) {
        doctor_fail(f, errno, "clone3");
        return;
    }
    waitpid(pid, NULL, 0);
    if (pidfd < 0)
        doctor_fail(f, 0, "clone3 gave no pidfd");
}

void doctor_probe_pidfd(const struct doctor_check *check, struct doctor_finding *f)
{
    _cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (pidfd < 0)
        doctor_fail(f, errno, "pidfd_open");
    else if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0)
        doctor_fail(f, errno, "pidfd_send_signal");
}

void doctor_probe_close_range(const struct doctor_check *check, struct doctor_finding *f)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 1000);
    if (fd < 0)
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (syscall(SYS_close_range, fd, fd, 0) < 0)
        doctor_fail(f, errno, "close_range");
}

void doctor_probe_openat2(const struct doctor_check *check, struct doctor_finding *f)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    _cleanup_fd_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_fd_ int fd = (int)syscall(SYS_openat2, root, "proc", &how, sizeof how);
    if (fd < 0)
        doctor_fail(f, errno, "openat2");
}

void doctor_probe_seccomp(const struct doctor_check *check, struct doctor_finding *f)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        doctor_fail(f, errno, "no_new_privs");
    else if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        doctor_fail(f, errno, "load a filter");
    else if (syscall(SYS_getppid) != -1 || errno != EXDEV)
        doctor_fail(f, 0, "a filter was accepted and has no effect");
}

/* Enters a ruleset that permits nothing and looks whether it holds. */
static void try_landlock(long abi, struct doctor_finding *f)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_DIR};
    _cleanup_fd_ int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (ruleset < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
        doctor_fail(f, errno, "enter a ruleset");
        return;
    }
    _cleanup_fd_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 || errno != EACCES)
        doctor_fail(f, 0, "a ruleset was accepted and has no effect");
    else if (abi < LANDLOCK_SCOPES)
        doctor_degrade(f, "ABI %ld; signals and abstract sockets are scoped from ABI %d on", abi,
                       LANDLOCK_SCOPES);
    else
        doctor_note(f, "ABI %ld", abi);
}

void doctor_probe_landlock(const struct doctor_check *check, struct doctor_finding *f)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        doctor_fail(f, abi < 0 ? errno : 0, "landlock_create_ruleset");
    else
        try_landlock(abi, f);
}

/* A mount namespace and an empty tmpfs of the probe's own, over /tmp. */
static int make_room(unsigned long flags, struct doctor_finding *f)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("dunlin-doctor", SANDBOX_TEST_ROOT, "tmpfs", flags, "mode=0700,size=1m") < 0 ||
        chdir(SANDBOX_TEST_ROOT) < 0) {
        doctor_fail(f, errno, "a private tmpfs");
        return -1;
    }
    return 0;
}

void doctor_probe_overlay(const struct doctor_check *check, struct doctor_finding *f)
{
    static const char *const dirs[] = {"lower", "upper", "work", "merged"};
    if (make_room(MS_NOSUID | MS_NODEV, f) < 0)
        return;
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        if (mkdir(dirs[i], 0755) < 0)
            doctor_fail(f, errno, "mkdir %s", dirs[i]);
    if (mount("overlay", "merged", "overlay", MS_NOSUID | MS_NODEV,
              "lowerdir=lower,upperdir=upper,workdir=work") < 0)
        doctor_fail(f, errno, "mount overlay");
}

void doctor_probe_devices(const struct doctor_check *check, struct doctor_finding *f)
{
    static const struct {
        const char *name;
        unsigned major, minor;
    } devices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                   {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    if (make_room(MS_NOSUID, f) < 0)
        return;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        const char *name = devices[i].name;
        if (mknod(name, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) < 0) {
            doctor_fail(f, errno, "make /dev/%s", name);
            return;
        }
        _cleanup_fd_ int fd = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY);
        /* Without a terminal of its own the process cannot open tty: that is as it should be. */
        if (fd < 0 && errno != ENXIO) {
            doctor_fail(f, errno, "open /dev/%s", name);
            return;
        }
    }
}
