/* image_import: brings an archive to where the server's spawner finds it.
 *
 * Runs in dunlin-client, as root: only root may write into a server's state directory.  The archive
 * is hostile, so it is copied and never looked into; what unpacks it is a sandbox. */
#include "cli/image_import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/client.h"
#include "cli/words.h"

#define NUMBER_BITS 48
#define CHUNK       ((size_t)1 << 20)
#define SPLICE_MAX  ((size_t)64 << 20) /* between two looks whether a person gave up */

extern char **environ;

/* -- where to ---------------------------------------------------------------------------------- */

/* A server holds the lock of its state directory as long as it lives. */
static int check_server(int dir, const char *data, struct err *e)
{
    _cleanup_fd_ int lock = openat(dir, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool locked = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

    if (locked)
        return 0;
    return err_set(e, ERR_INVALID, 0,
                   WORDS("no server runs with the data directory %.100s: start it, or name its "
                         "directory with --data or DATA",
                         "没有服务器在使用数据目录 %.100s：请启动它，或用 --data 或 DATA 指定目录"),
                   data);
}

/* Safe because: the directory belongs to root and nobody else may write to it, so the name in it
 * cannot be a link that somebody laid. */
static int open_imports(const char *data, struct err *e)
{
    _cleanup_fd_ int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_fd_ int imports = -1;
    struct stat st;

    if (dir < 0)
        return err_set(
            e, ERR_INVALID, errno,
            WORDS("open the data directory %.80s (name the server's with --data or DATA)",
                  "打开数据目录 %.80s（用 --data 或 DATA 指定服务器的目录）"),
            data);
    if (check_server(dir, data, e) < 0)
        return -1;
    if (mkdirat(dir, "imports", 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %.120s/imports", data);
    imports = openat(dir, "imports", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (imports < 0 || fstat(imports, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %.120s/imports", data);
    if (st.st_uid != 0 || (st.st_mode & 022) != 0)
        return err_set(e, ERR_INTERNAL, 0, "%.120s/imports is not root's alone", data);
    return fd_steal(&imports);
}

static int create_file(struct image_copy *c, struct err *e)
{
    char name[32];
    int fd;

    if (getrandom(&c->number, sizeof c->number, 0) != sizeof c->number)
        return err_set(e, ERR_INTERNAL, errno, "getrandom");
    c->number >>= 64 - NUMBER_BITS;
    snprintf(name, sizeof name, "%" PRIu64, c->number);
    fd = openat(c->imports, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : err_set(e, ERR_INTERNAL, errno, "create imports/%s", name);
}

/* -- what -------------------------------------------------------------------------------------- */

static int copy_by_hand(int from, int to, struct err *e)
{
    char *chunk = malloc(CHUNK);
    ssize_t n = -1;
    int r = 0;

    while (chunk != NULL && r == 0 && !client_interrupted() && (n = read(from, chunk, CHUNK)) > 0)
        r = fd_write_all(to, chunk, (size_t)n, e);
    free(chunk);
    if (r == 0 && n < 0)
        return err_set(e, ERR_INTERNAL, errno, WORDS("read the archive", "读取归档"));
    return r;
}

static int copy_file(int from, int to, struct err *e)
{
    ssize_t n = 0;

    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    while (!client_interrupted() && (n = copy_file_range(from, NULL, to, NULL, SPLICE_MAX, 0)) > 0)
        continue;
    /* Pipes, other file systems, special files: from where it stopped. */
    if (n < 0 && (errno == EINVAL || errno == EXDEV || errno == EOPNOTSUPP || errno == EBADF))
        return copy_by_hand(from, to, e);
    return n < 0 ? err_set(e, ERR_INTERNAL, errno, WORDS("copy the archive", "复制归档")) : 0;
}

/* Ends when tar does; an interrupt reaches tar too, which is in our process group. */
static int pack(const char *folder, int to, struct err *e)
{
    char *argv[] = {(char *)"tar",
                    (char *)"--create",
                    (char *)"--file=-",
                    (char *)"--xattrs",
                    (char *)"--numeric-owner",
                    (char *)"--directory",
                    (char *)folder,
                    (char *)".",
                    NULL};
    posix_spawn_file_actions_t actions;
    int r, status = 0;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
    r = posix_spawnp(&pid, "tar", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return err_set(e, ERR_INTERNAL, r, WORDS("execute tar", "运行 tar"));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(e, ERR_INVALID, 0, WORDS("tar could not pack %.150s", "tar 无法打包 %.150s"),
                   folder);
}

static int fill(const char *from, int to, struct err *e)
{
    _cleanup_fd_ int fd =
        strcmp(from, "-") == 0 ? dup(STDIN_FILENO) : open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_INVALID, errno, WORDS("open %.150s", "打开 %.150s"), from);
    if (S_ISDIR(st.st_mode) && faccessat(fd, "oci-layout", F_OK, 0) < 0)
        return err_set(
            e, ERR_INVALID, 0,
            WORDS("the folder %.100s is no OCI layout (of a root file system make a tar)",
                  "目录 %.100s 不是 OCI layout（根文件系统请先打包成 tar）"),
            from);
    r = S_ISDIR(st.st_mode) ? pack(from, to, e) : copy_file(fd, to, e);
    if (client_interrupted())
        return err_set(e, ERR_CLOSED, 0, "%s", WORDS("interrupted", "已中断"));
    if (r == 0 && fstat(to, &st) == 0 && st.st_size == 0)
        return err_set(e, ERR_INVALID, 0, WORDS("%.150s is empty", "%.150s 是空的"), from);
    return r;
}

int image_copy_make(const char *from, const char *data, struct image_copy *ret, struct err *e)
{
    struct image_copy c = {.imports = -1};
    _cleanup_fd_ int fd = -1;

    if (geteuid() != 0)
        return err_set(e, ERR_INVALID, 0, "%s",
                       WORDS("importing needs root on the server's machine (sudo dunlin image "
                             "import ...)",
                             "导入镜像需要服务器本机的 root 权限 (sudo dunlin image import ...)"));
    c.imports = open_imports(data, e);
    if (c.imports < 0)
        return -1;
    fd = create_file(&c, e);
    if (fd < 0) {
        fd_close(&c.imports);
        return -1;
    }
    if (fill(from, fd, e) < 0) {
        image_copy_finish(&c, 0);
        return -1;
    }
    *ret = c;
    return 0;
}

void image_copy_finish(struct image_copy *c, int kept)
{
    char name[32];

    snprintf(name, sizeof name, "%" PRIu64, c->number);
    if (c->imports >= 0 && !kept)
        unlinkat(c->imports, name, 0);
    fd_close(&c->imports);
}
