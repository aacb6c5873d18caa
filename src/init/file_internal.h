/* file_internal: what the file*.c share.  Nobody else includes this.
 *
 * Functions that return int give 0 (or a descriptor), or a negative errno; what went wrong in words
 * is kept in the call by call_fail.  Descriptors are the caller's. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/limits.h"
#include "init/file.h"

#define FILE_BUFFER   (512u << 10) /* bytes that are read or written at a time */
#define FILE_NOTE     240          /* bytes of the text of FILE_END */
#define WALK_PATH     ((LIMIT_FILE_TREE_DEPTH + 1) * (NAME_MAX + 1))
#define FILE_MODE     0644
#define DIR_MODE      0755
#define MODE_ALLOWED  01777 /* no set-user-ID, no set-group-ID */
#define HIDDEN_BYTES  48    /* a name of file_hidden_name with its NUL */
#define HIDDEN_PREFIX ".dunlin-"

struct place;

struct call {
    const struct file_world *w;
    uint64_t done;                  /* FILE_END's bytes */
    uint32_t truncated;             /* FILE_END's */
    uint64_t left_out;              /* entries that could not be taken along */
    const struct place *unfinished; /* a tree to be removed if the call ends early; NULL: none */
    bool is_alone;                  /* the server is gone, and only that is left to do */
    char note[FILE_NOTE];
    size_t nout; /* bytes of frames that wait in out */
    char out[2 * (FILE_HEADER + FILE_PAYLOAD_MAX)];
    char buffer[FILE_BUFFER]; /* for whichever operation it is */
};

/* -- file.c: the server's side.  All of these end the process when the server is gone. */
/* Queues a frame of the fixed struct that belongs to type, and text (cut to what a frame holds). */
void call_frame(struct call *c, enum file_frame type, const void *fixed, const char *text,
                size_t len);
/* FILE_INFO: `target` is that of a link, else NULL. */
void call_info(struct call *c, const struct stat *st, const char *name, const char *target);
/* Sends what is queued. */
void call_flush(struct call *c);
/* Sends raw bytes after what is queued. */
void call_send(struct call *c, const void *data, size_t len);
/* The unfinished tree is done (and stays), or is removed. */
void call_undo(struct call *c, bool remove);
/* Waits for bytes of the server, with `all` until cap have come or it has said all.  0: it has. */
size_t call_receive(struct call *c, void *data, size_t cap, bool all);
/* To be called now and then in work that neither sends nor receives. */
void call_check(struct call *c);
/* Notes why, in words with the name in them, unless something is noted already; returns -error. */
int call_fail(struct call *c, int error, const char *name);
/* Notes a text of one's own; returns -error. */
int call_explain(struct call *c, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The limit of the call: its own, and at most LIMIT_FILE_ENTRIES. */
uint32_t call_limit(const struct call *c);
bool call_has(const struct call *c, uint32_t flag);

/* -- file_path.c: from names to descriptors, never out of the root */

struct place {
    int dir; /* O_PATH */
    char name[NAME_MAX + 1];
};

/* Opens a path with the flags of openat2(2); O_CLOEXEC is added, links inside are followed. */
int path_open(struct call *c, const char *path, int flags);
/* The directory above the last component, which need not exist; `make` makes what is missing.  With
 * `follow` a last component that is a link leads to its target's place. */
int path_place(struct call *c, const char *path, bool make, bool follow, struct place *ret);
void place_finish(struct place *p);
bool path_is_root(const char *path); /* whether it means the workspace itself */
#define _cleanup_place_ __attribute__((cleanup(place_finish)))
/* Beneath `dir` instead of the root, and links that lead out of that are EXDEV. */
int path_open_in(int dir, const char *path, int flags);
/* Makes the directory and hands it to the owner; -EEXIST as mkdirat. */
int path_make_directory(struct call *c, int dir, const char *name, mode_t mode);

/* -- file_walk.c: every entry beneath a directory, no link followed */

struct walk_entry {
    int dir; /* where it is */
    const char *name;
    const char *path; /* relative to the top */
    unsigned depth;   /* 0: in the top directory */
    struct stat st;
};

struct walk {
    /* 0: go on (and into it), 1: not into it, < 0: the end of the walk. */
    int (*entry)(struct call *c, void *data, const struct walk_entry *entry);
    /* Behind the last entry of a directory; may be NULL. */
    int (*leave)(struct call *c, void *data, const struct walk_entry *directory);
    void *data;
    bool shallow;   /* only the top directory */
    bool with_ours; /* also files that are being written (file_hidden_name) */
    bool cut;       /* what is too deep is left out (and truncated set), else it is an error, */
    bool lift;      /* or moved to a directory of ours, to be removed in another walk */
};

/* Takes `top` over.  What vanishes or changes its kind meanwhile is passed over. */
int walk_tree(struct call *c, int top, const struct walk *walk);
bool file_has_vanished(int error); /* or is something else now: others work in the tree */
/* Removes what is at (dir, name) with all that is in it, and counts in c->done. */
int walk_remove(struct call *c, int dir, const char *name);
/* The same for all that is in `top`, which it takes over. */
int walk_remove_inside(struct call *c, int top);

/* -- file_write.c: a file that appears whole or not at all */

/* A file without a name in the file system of `dir`. */
int staged_open(struct call *c, int dir);
/* Gives it its name; `exclusive`: -EEXIST if that is taken, otherwise a file there is replaced. */
int staged_commit(struct call *c, int fd, const struct place *at, bool exclusive);
/* Fills in mode and owner.  0 or -errno. */
int staged_own(struct call *c, int fd, mode_t mode);
int file_write_all(int fd, const char *data, size_t len);
/* A name that nobody can guess, of what is unfinished; only in the root, as file_sweep wants it. */
int file_hidden_name(char ret[static HIDDEN_BYTES]);
bool file_is_hidden(const char *name);

/* Opens a regular file with the flags of openat2(2), links inside followed; others are ENXIO and
 * EISDIR. */
int file_open_regular(struct call *c, const char *path, int flags, struct stat *ret);

/* -- operations: 0 or a negative errno */
int file_stat(struct call *c);
int file_list(struct call *c);
int file_read(struct call *c);
int file_usage(struct call *c);
int file_write(struct call *c);
int file_append(struct call *c);
int file_patch(struct call *c);
int file_mkdir(struct call *c);
int file_move(struct call *c);
int file_copy(struct call *c);
int file_remove(struct call *c);
int file_chmod(struct call *c);
int file_search(struct call *c);
int file_pack(struct call *c);
int file_unpack(struct call *c);
int file_processes(struct call *c);
int file_watch(struct call *c);
