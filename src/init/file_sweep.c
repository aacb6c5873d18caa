/* file_sweep: takes away what calls on files that were killed have left behind.
 *
 * Runs in a session's init before anything else works in the workspace, and in a child of it where
 * there is something to remove.  Trusts nothing in the workspace: a program may have made a name of
 * our form too, and loses it.  What cannot be removed stays for the next time: it is in nobody's
 * way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define CHUNK 8192

/* Calls `found` for each name of ours, until it says true; whether it did. */
static bool each_of_ours(int root, bool (*found)(int root, const char *name))
{
    static _Alignas(struct dirent) char chunk[CHUNK];
    _cleanup_fd_ int top = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n;

    while (top >= 0 && (n = syscall(SYS_getdents64, top, chunk, sizeof chunk)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent *entry = (const void *)(chunk + at);

            at += entry->d_reclen;
            if (file_is_hidden(entry->d_name) && found(root, entry->d_name))
                return true;
        }
    }
    return false;
}

static bool is_one(int root, const char *name)
{
    return true;
}

static bool remove_one(int root, const char *name)
{
    static struct file_world world = {.path = "", .other = ""};
    static struct call c = {.w = &world, .is_alone = true};

    world.root = root;
    walk_remove(&c, root, name);
    return false;
}

void file_sweep(int root)
{
    pid_t pid;

    if (!each_of_ours(root, is_one))
        return;
    pid = fork();
    if (pid == 0) {
        each_of_ours(root, remove_one);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
