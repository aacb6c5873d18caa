/* doctor_layers: tries what environments and sessions are kept in: file systems in files, seen with
 * other ids, under an overlay and with a quota; and looks for the tools that images are made with.
 * Runs in the child of a check, as root; what it mounts lies in a mount namespace of its own, and
 * the loop device lets go by itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#define IMAGE_BYTES (8 << 20)
#define ATTEMPTS    16 /* others look for free devices too */
#define NAMES       120

/* Opens a loop device with this file behind it, -1 with a finding. */
static int attach_loop(int image, char path[static 32], struct doctor_finding *f)
{
    struct loop_config config = {.fd = (uint32_t)image, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    _cleanup_fd_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    for (int i = 0; control >= 0 && i < ATTEMPTS; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        _cleanup_fd_ int fd = -1;

        snprintf(path, 32, "/dev/loop%d", number);
        if (number < 0 || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
            break;
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
            return fd_steal(&fd);
        if (errno != EBUSY)
            break;
    }
    doctor_fail(f, errno, "%s", control < 0 ? "/dev/loop-control" : path);
    return -1;
}

void doctor_probe_loop(const struct doctor_check *check, struct doctor_finding *f)
{
    _cleanup_fd_ int image = memfd_create("image", MFD_CLOEXEC);
    char path[32];

    if (image < 0 || ftruncate(image, IMAGE_BYTES) < 0) {
        doctor_fail(f, errno, "a file in memory");
        return;
    }
    _cleanup_fd_ int loop = attach_loop(image, path, f);
    if (loop >= 0)
        doctor_note(f, "%s", path);
}

/* The places of programs, those of root among them. */
static bool has_program(const char *name, char out[static NAMES])
{
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(out, NAMES, "%s/%s", dirs[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

void doctor_probe_programs(const struct doctor_check *check, struct doctor_finding *f)
{
    char names[NAMES], path[NAMES], lacking[NAMES] = "";
    char *rest = NULL;

    snprintf(names, sizeof names, "%s", check->subject);
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (!has_program(name, path))
            snprintf(lacking + strlen(lacking), sizeof lacking - strlen(lacking), " %s", name);
    if (lacking[0])
        doctor_fail(f, 0, "not installed:%s", lacking);
    else
        doctor_note(f, "%s", check->subject);
}

static int run_mke2fs(int image)
{
    char program[NAMES];
    int status = 1;

    if (!has_program("mke2fs", program)) {
        errno = ENOENT;
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
            dup2(image, STDIN_FILENO) < 0)
            _exit(1);
        execl(program, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "/proc/self/fd/0",
              NULL);
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    errno = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* A user namespace with the ids of a nest, -1 with errno. */
static int open_ids(void)
{
    char path[64], map[64];
    int ready[2], fd = -1;
    char byte = 0;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) == 0 && write(ready[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    snprintf(map, sizeof map, "0 %u %u\n", SPAWN_UID_NEST, SPAWN_UID_COUNT);
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    if (pid > 0 && read(ready[0], &byte, 1) == 1 && doctor_write_file(path, map) == 0) {
        snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
        doctor_write_file(path, map);
        snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    close(ready[0]);
    if (pid > 0) {
        int kept = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        errno = kept;
    }
    return fd;
}

/* Shows ./layer with a nest's ids as ./seen, and lays an overlay over that. */
static void lay_over(struct doctor_finding *f)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    _cleanup_fd_ int ids = open_ids();
    _cleanup_fd_ int tree = open_tree(AT_FDCWD, "layer", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct stat st;

    attr.userns_fd = (uint64_t)ids;
    if (ids < 0 || tree < 0)
        doctor_fail(f, errno, ids < 0 ? "a user namespace for ids" : "open_tree");
    else if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        doctor_fail(f, errno, "mount_setattr with other ids");
    else if (move_mount(tree, "", AT_FDCWD, "seen", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        doctor_fail(f, errno, "move_mount");
    else if (stat("seen/root", &st) < 0 || st.st_uid != SPAWN_UID_NEST)
        doctor_fail(f, 0, "ids were mapped without effect");
    else if (mount("overlay", "merged", "overlay", MS_RDONLY, "lowerdir=empty:seen/root") < 0)
        doctor_fail(f, errno, "overlay over it");
}

/* Mounts a new file system in a file as ./layer, in a tmpfs of our own.  Its loop device and that
 * one's path, or -1 with a finding. */
static int mount_image(char path[static 32], struct doctor_finding *f)
{
    static const char *const dirs[] = {"layer", "seen", "empty", "merged"};
    _cleanup_fd_ int image = memfd_create("image", MFD_CLOEXEC);

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("dunlin-doctor", "/tmp", "tmpfs", MS_NOSUID, "mode=0755,size=1m") < 0 ||
        chdir("/tmp") < 0 || image < 0 || ftruncate(image, IMAGE_BYTES) < 0) {
        doctor_fail(f, errno, "a private tmpfs");
        return -1;
    }
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        mkdir(dirs[i], 0755);
    if (run_mke2fs(image) < 0) {
        doctor_fail(f, errno, "mke2fs");
        return -1;
    }
    _cleanup_fd_ int loop = attach_loop(image, path, f);
    if (loop < 0)
        return -1;
    if (mount(path, "layer", "ext4", MS_NOSUID | MS_NODEV, NULL) < 0 ||
        mkdir("layer/root", 0755) < 0) {
        doctor_fail(f, errno, "ext4 on %s", path);
        return -1;
    }
    return fd_steal(&loop);
}

void doctor_probe_layers(const struct doctor_check *check, struct doctor_finding *f)
{
    char path[32];
    _cleanup_fd_ int loop = mount_image(path, f);

    if (loop >= 0)
        lay_over(f);
}

void doctor_probe_workspaces(const struct doctor_check *check, struct doctor_finding *f)
{
    char device[32], path[80];
    _cleanup_fd_ int loop = mount_image(device, f);

    if (loop < 0)
        return;
    /* What a workspace's quota is set with. */
    snprintf(path, sizeof path, "/sys/fs/ext4/%s/reserved_clusters", device + strlen("/dev/"));
    if (doctor_write_file(path, "0") == 0)
        return;
    doctor_fail(f, errno, "write %s", path);
    snprintf(f->fix, sizeof f->fix,
             "mount -o remount,rw /sys; in a container: docker run "
             "--privileged -v /dev:/dev");
}
