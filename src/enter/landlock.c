/* landlock: builds and enters the ruleset of a run.
 *
 * Runs in the run's own process just before seccomp; uses no libc (see sys.h).  The rules name
 * paths of the sandbox's own mounts, all of them made by us before any user code ran. */
#include "enter/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>

#include "enter/sys.h"

/* Newer than the headers of Debian 12; values from the kernel's uapi (Documentation/userspace-api/
 * landlock.rst). */
#define FS_REFER                   (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE                (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV               (1ull << 15) /* ABI 5 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)  /* ABI 6 */
#define SCOPE_SIGNAL               (1ull << 1)

#define READ                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define ALL_V1     ((1ull << 13) - 1)
/* In a build's tree: everything but device nodes and device controls. */
#define NO_DEVICE (~(FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK))

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

int landlock_abi(void)
{
    long abi = sys(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

static uint64_t handled_rights(int abi)
{
    uint64_t rights = ALL_V1;

    if (abi >= 2)
        rights |= FS_REFER;
    if (abi >= 3)
        rights |= FS_TRUNCATE;
    if (abi >= 5)
        rights |= FS_IOCTL_DEV;
    return rights;
}

static long allow(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    long r;
    long fd = sys(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC | O_NOFOLLOW, 0);

    if (fd < 0)
        return fd;
    rule.parent_fd = (int)fd;
    r = sys(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    sys(SYS_close, fd);
    return r;
}

static long add_rules(int ruleset, const char *work_dir, uint64_t handled, bool build)
{
    static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                          "/dev/random", "/dev/urandom", "/dev/tty"};
    uint64_t device = WRITE_FILE | FS_IOCTL_DEV;
    long r;

    if ((r = allow(ruleset, "/", (build ? NO_DEVICE : READ) & handled)) < 0 ||
        (r = allow(ruleset, work_dir, handled & ~FS_IOCTL_DEV)) < 0 ||
        (r = allow(ruleset, "/tmp", handled & ~FS_IOCTL_DEV)) < 0 ||
        (r = allow(ruleset, "/dev/shm", handled & ~FS_IOCTL_DEV)) < 0 ||
        (r = allow(ruleset, "/dev/pts", (device | READ) & handled)) < 0)
        return r;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if ((r = allow(ruleset, devices[i], device & handled)) < 0)
            return r;
    }
    return 0;
}

struct plan {
    const char *work_dir;
    bool build, scoped;
    int proc; /* -1: none */
};

static long add_proc(int ruleset, int proc)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE |
                                                                LANDLOCK_ACCESS_FS_READ_DIR,
                                              .parent_fd = proc};

    return proc < 0 ? 0 : sys(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static long confine_by(const struct plan *plan)
{
    int abi = landlock_abi();
    uint64_t handled = handled_rights(abi);
    struct ruleset_attr attr = {.handled_access_fs = handled};
    size_t size = abi >= 6 ? sizeof attr : sizeof attr.handled_access_fs;
    long fd, r;

    if (abi == 0)
        return -EOPNOTSUPP;
    if (abi >= 6 && plan->scoped)
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    fd = sys(SYS_landlock_create_ruleset, &attr, size, 0);
    if (fd < 0)
        return fd;
    r = add_rules((int)fd, plan->work_dir, handled, plan->build);
    if (r == 0)
        r = add_proc((int)fd, plan->proc);
    if (r == 0)
        r = sys(SYS_landlock_restrict_self, fd, 0);
    sys(SYS_close, fd);
    return r;
}

long landlock_confine(const char *work_dir, bool build)
{
    return confine_by(&(struct plan){work_dir, build, true, -1});
}

long landlock_confine_session(const char *work_dir, int proc)
{
    return confine_by(&(struct plan){work_dir, false, false, proc});
}

long landlock_confine_joining(const char *work_dir)
{
    return confine_by(&(struct plan){work_dir, false, false, -1});
}
