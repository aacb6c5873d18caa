/* file: a call on the files of a session, served by a child of the sandbox's init.
 *
 * wire/session_file.h says what is asked and answered.  The child is root of the sandbox's user
 * namespace, and works only beneath the directory it is given. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/session_file.h"

/* A process that was started over wire/session.h and has not ended. */
struct file_started {
    uint32_t pid; /* inside the sandbox */
    uint32_t id;
};

struct file_world {
    struct session_file what;
    const char *path, *other; /* never NULL; relative to root, or SESSION_WORK_DIR itself before */
    int root;                 /* the workspace: O_PATH | O_DIRECTORY or O_RDONLY */
    int proc;   /* a /proc that hides nobody, for FILE_PROCESSES: descriptor 1, which stays open; 0:
                   none */
    int stream; /* to the server, SOCK_STREAM and blocking */
    uint32_t owner;                     /* uid and gid of what is written: SANDBOX_UID_RUN */
    const struct file_started *started; /* of FILE_PROCESSES only; may be NULL */
    size_t nstarted;
};

/* What the child needs of init's permitted set, as bits below 32: CHOWN, DAC_OVERRIDE, FOWNER, and
 * SETGID, SETUID to see processes in a /proc with hidepid.  It keeps those that its operation needs
 * and drops the rest. */
#define FILE_CAPS (1u << 0 | 1u << 1 | 1u << 3 | 1u << 6 | 1u << 7)

/* Serves one call and ends the process.  To be called right after fork() in the child, which needs
 * nothing of its parent any more: every descriptor but stream and root is closed, signals are
 * reset. */
_Noreturn void file_serve(const struct file_world *w);

/* Removes from `root` what calls that were killed have left there under names of ours.  For a
 * workspace that no call works in yet; waits until it is done, and is quick when there is none. */
void file_sweep(int root);
