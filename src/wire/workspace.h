/* workspace: the durable storage of sessions, as the server and the spawner speak of it.
 *
 * A workspace is a number: of the ext4 image data/workspaces/<number>.img, whose directory root/ is
 * the tree that a session sees as /workspace.  Its owner on the disk is uid 1000, whatever slot it
 * is attached to.  An image is mounted at most once at a time, by whomever on this host: the open
 * file behind its loop device holds a lock.
 *
 *   SPAWN_JOIN              slot (open, in a RUN nest that is warm): has the zygote's child join
 * it.
 *                           -> SPAWN_JOIN_FDS descriptors, in order; whether the child comes is
 * seen at job (it says "R") and status (struct nest_status, or its end). EAGAIN: no zygote.  The
 * sandbox's init must be ready for it (SESSION_ADMIT in wire/session.h). The replies to the rest
 * come when the work is done (ATTACH: in order); match op and layer: SPAWN_WORKSPACE_MAKE    layer,
 * bytes: make it; it is open then.  EEXIST, ENOSPC SPAWN_WORKSPACE_OPEN    layer, bytes: mount it
 * with this quota.  EAGAIN: still in use elsewhere, as that of a sandbox on its way out.  ENOENT.
 * No error if it is open SPAWN_WORKSPACE_ATTACH  layer (open), slot (open, RUN) -> one descriptor:
 * a detached mount of its tree with that sandbox's ids, for its init to put somewhere
 *   SPAWN_WORKSPACE_CLOSE   layer: write everything down, unmount it -> bytes on the disk.  What is
 *                           attached goes on until its sandbox ends, and OPEN answers EAGAIN so
 * long. No error if it is not open SPAWN_WORKSPACE_GROW    layer (open), bytes (more, and at most
 * WORKSPACE_GROWTH times those it was made with): a new quota.  ERANGE SPAWN_WORKSPACE_COPY layer
 * -> other (which must not exist), of one moment, also while it is written to; shares blocks where
 * the disk can -> bytes on the disk SPAWN_WORKSPACE_REMOVE  layer: EBUSY while it is open or still
 * in use; none is no error SPAWN_WORKSPACE_NEXT    layer (0: from the start) -> layer: the next
 * higher one, 0: none */
#pragma once

#define WORKSPACE_GROWTH    8 /* the file system is made for so many times its first size */
#define WORKSPACE_BYTES_MIN (64u << 10)
#define WORKSPACE_INODE     8192 /* one inode for so many bytes of the first size, */
#define WORKSPACE_INODES    1024 /* but at least so many */
