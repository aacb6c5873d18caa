/* files: the workspace as init sees it: input files in, output files out (R30 to R36).
 *
 * Everything happens inside the sandbox, beneath the work directory, without following a link. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/limits.h"

/* Where the runner leaves the names of the modules that the program imported. */
#define FILES_HINT "/dev/shm/.modules"

struct control;

struct files_seen {
    uint64_t inode;
    uint64_t size;
    struct timespec mtime;
};

struct files {
    uint32_t owner; /* uid and gid of what is written */
    int dir;        /* the work directory, opened before any untrusted code ran */
    size_t nseen;   /* input files as they were before the run */
    struct files_seen seen[LIMIT_INPUT_FILES + 1];
};

int files_open(struct files *f, const char *work_dir, struct err *e);

/* Writes one input file of `size` bytes, read raw from the control socket, below the work directory
 * (parents are made; an existing file is replaced).  0, or an errno that says why it could not; the
 * raw bytes are always consumed. */
int files_receive(struct files *f, struct control *c, const char *name, uint64_t size);

/* Whether the writable storage has no free block or inode. */
bool files_storage_full(const char *work_dir);

struct files_wanted {
    const char *main_file; /* at the top of the work directory; never sent */
    uint64_t max_size;     /* bytes of one file */
    bool changed;          /* those anywhere that are new or differ from what was received;
                              otherwise all at the top */
};

/* Sends the wanted regular files.  What is left out is reported with its reason.  Only called when
 * every process of the run is dead. */
void files_send(struct files *f, struct control *c, const struct files_wanted *wanted);

/* Sends FRAME_MODULES if the run has left a hint of a possible length.  Only called when every
 * process of the run is dead. */
void files_send_hint(struct control *c);
