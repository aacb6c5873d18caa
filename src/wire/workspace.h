/* workspace: the durable storage of sessions, as the server and the spawner speak of it.
 *
 * A workspace is a number: of the ext4 image data/workspaces/<number>.img, whose directory root/ is
 * the tree that a session sees as /workspace.  Its owner on the disk is uid 1000, whatever slot it
 * is attached to.  An image is mounted at most once at a time, by whomever on this host: the open
 * file behind its loop device holds a lock.
 *
 * SPAWN_JOIN: slot (open, in a RUN nest that is warm) -> SPAWN_JOIN_FDS descriptors, in order.
 * Has the zygote's child join it; whether it comes is seen at job (it says "R") and at status
 * (struct nest_status, or its end; EAGAIN: no zygote now, ENOENT: this nest has none).  The
 * sandbox's init must be ready for it (SESSION_ADMIT in wire/session.h).  EAGAIN: the nest or the
 * sandbox is not there yet; ESRCH: the sandbox has ended.
 *
 * SPAWN_WORKSPACE_ATTACH: layer (open), slot (open, RUN) -> one descriptor, in order: a detached
 * mount of its tree with that sandbox's ids, for its init to put somewhere.  ENOENT: not open;
 * EAGAIN and ESRCH as above.
 *
 * The replies to the rest come when the work is done; match op and layer.  Any of them may be
 * answered EAGAIN, at once: something else is being done with this workspace, or too much is
 * waiting for the disk.  ERANGE: a size that the operator does not allow, or that the file system
 * was not made for.  What was read from a file system that is damaged says so in text.
 *
 * SPAWN_WORKSPACE_MAKE: layer, bytes.  Makes it; it is open then.  EEXIST, ENOSPC, ERANGE
 *
 * SPAWN_WORKSPACE_OPEN: layer, bytes.  Mounts it with this quota; if it is open, as GROW.  EAGAIN:
 * still in use elsewhere, as that of a sandbox on its way out.  ENOENT, ERANGE
 *
 * SPAWN_WORKSPACE_CLOSE: layer -> bytes on the disk.  Writes everything down and unmounts it, also
 * when it fails.  What is attached goes on until its sandbox ends, and OPEN answers EAGAIN so long.
 * If it is not open: no error, 0 bytes
 *
 * SPAWN_WORKSPACE_GROW: layer (open), bytes: a new quota, at most what the file system was made
 * for: WORKSPACE_GROWTH times its first size or more.  The number of its inodes stays.  ENOENT: not
 * open
 *
 * SPAWN_WORKSPACE_COPY: layer, other (which must not exist) -> bytes on the disk.  Of one moment:
 * the writers of an open one wait meanwhile.  Shares blocks where the disk can.  EEXIST, ENOENT,
 * ENOSPC
 *
 * SPAWN_WORKSPACE_REMOVE: layer.  EBUSY: it is open or still in use; none is no error
 *
 * Seen from inside (statvfs(3)) a workspace has f_bavail free and f_blocks - f_bfree in use, its
 * own blocks among them; f_blocks itself is what the file system was made for. */
#pragma once

/* What an empty one has in use: the directories /, root (a block each) and lost+found (four). */
#define WORKSPACE_OWN_BLOCKS 6
/* Ten that ext4 keeps, lost+found, and root. */
#define WORKSPACE_OWN_INODES 12

#define WORKSPACE_GROWTH    8 /* the file system is made for so many times its first size */
#define WORKSPACE_BYTES_MIN (64u << 10)
#define WORKSPACE_INODE     8192 /* one inode for so many bytes of the first size, */
#define WORKSPACE_INODES    1024 /* but at least so many */
