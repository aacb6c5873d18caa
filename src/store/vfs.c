/* vfs: SQLite's own file layer with two answers changed for a server that has locked itself in.
 *
 * Runs in the server.  The directories above the state directory may be closed to the server's
 * identity, so a path that is relative stays relative, to the working directory that was entered
 * before.  Randomness comes from the kernel's call, because /dev/urandom cannot be opened. */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/random.h>

#include "store/internal.h"

static int keep_path(sqlite3_vfs *vfs, const char *path, int cap, char *out)
{
    return snprintf(out, (size_t)cap, "%s", path) < cap ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* Returns the number of bytes that it filled. */
static int fill_random(sqlite3_vfs *vfs, int n, char *out)
{
    ssize_t got = getrandom(out, (size_t)n, 0);

    return got < 0 ? 0 : (int)got;
}

int store_vfs_register(struct err *e)
{
    static sqlite3_vfs vfs;
    const sqlite3_vfs *unix_vfs;

    if (vfs.zName != NULL)
        return 0;
    unix_vfs = sqlite3_vfs_find("unix");
    if (unix_vfs == NULL)
        return err_set(e, ERR_INTERNAL, 0, "this SQLite has no file layer 'unix'");
    vfs = *unix_vfs;
    vfs.pNext = NULL;
    vfs.zName = STORE_VFS;
    vfs.xFullPathname = keep_path;
    vfs.xRandomness = fill_random;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK
               ? 0
               : err_set(e, ERR_INTERNAL, 0, "SQLite takes no file layer");
}
