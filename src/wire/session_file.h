/* session_file: a call on files inside a session's sandbox.
 *
 * SESSION_FILE starts it with a stream socket.  Init forks; the child works as the sandbox's root
 * within /workspace (never leaving it, RESOLVE_BENEATH; links inside are followed, a link that
 * leads out is EXDEV), and says what it found over that socket: frames {type, length, payload} of
 * at most FILE_PAYLOAD_MAX bytes, the last one FILE_END.  What it says is hostile input to the
 * server. Closing the socket ends the call.
 *
 * Files written belong to uid 1000.  A file that is written appears whole or not at all: it is
 * renamed into place when all of its bytes are there. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FILE_HEADER      8
#define FILE_PAYLOAD_MAX (64u << 10)
#define FILE_UNTIL_END   UINT64_MAX

enum file_op {
    FILE_STAT = 1, /* path -> FILE_INFO.  The last link is not followed */
    FILE_LIST,   /* path (directory), RECURSIVE, limit -> FILE_INFO for each (name relative to path)
                  */
    FILE_READ,   /* path (regular), offset, size (at most) -> FILE_INFO, FILE_BYTES, raw bytes, END.
                    If the file shrinks meanwhile the stream ends before all of them, without END */
    FILE_WRITE,  /* path, size or FILE_UNTIL_END (the server shuts its side down), mode, EXCLUSIVE,
                    PARENTS; raw bytes follow from the server -> FILE_INFO.  Fewer bytes than `size`:
                    nothing is changed */
    FILE_APPEND, /* the same, to the end of an existing or new file; each piece that is there stays
                  */
    FILE_PATCH,  /* the same, over an existing file from `offset` on, in place */
    FILE_MOVE,   /* path, other, REPLACE, PARENTS -> FILE_INFO (of other) */
    FILE_COPY,   /* the same; RECURSIVE for directories, links are copied as links */
    FILE_REMOVE, /* path, RECURSIVE; not the workspace itself, but what is in it (path "") */
    FILE_MKDIR,  /* path, mode, PARENTS (then an existing one is no error) -> FILE_INFO */
    FILE_CHMOD,  /* path, mode (07777 & ~06000), RECURSIVE -> FILE_INFO */
    FILE_SEARCH, /* path, other = text to find in files, or a pattern of names (flag NAMES), limit
                    -> FILE_MATCH for each */
    FILE_PACK,   /* path -> FILE_BYTES with size FILE_UNTIL_END, then chunks: a tar archive */
    FILE_UNPACK, /* path (directory), a tar archive follows (FILE_UNTIL_END), PARENTS -> FILE_INFO
                    for each.  What was unpacked before an error stays */
    FILE_WATCH,  /* path, RECURSIVE -> FILE_INFO of path once it watches, FILE_EVENT for each change
                  */
    FILE_PROCESSES, /* -> FILE_PROCESS for each process of the sandbox */
    FILE_USAGE,     /* -> FILE_STORAGE */
};

#define FILE_RECURSIVE (1u << 0)
#define FILE_EXCLUSIVE (1u << 1) /* EEXIST if it is there */
#define FILE_PARENTS   (1u << 2) /* directories above it are made */
#define FILE_REPLACE   (1u << 3)
#define FILE_NAMES     (1u << 4)
#define FILE_ICASE     (1u << 5) /* FILE_SEARCH: capital or small does not matter (ASCII) */
#define FILE_FOLLOW    (1u << 6) /* FILE_STAT: follow the last link */

struct session_file {
    uint32_t op; /* enum file_op */
    uint32_t flags;
    uint64_t offset, size;
    uint32_t mode;  /* 0: 0644, or what the file that is replaced has; of directories 0755.  CHMOD
                       takes it as it is */
    uint32_t limit; /* entries or matches at most, 0: the named limit */
};
#define SESSION_FILE_STRINGS 2 /* path, other: relative to the workspace; "" is the workspace */

enum file_frame {
    FILE_INFO = 1, /* file_info, then the name; of a link then NUL and its target */
    FILE_BYTES,   /* file_bytes; raw bytes follow, or (FILE_UNTIL_END) chunks: u32 length and bytes,
                     a chunk of 0 is the last */
    FILE_MATCH,   /* file_match, then the name, NUL, the line (cut, UTF-8 is not sure) */
    FILE_EVENT,   /* file_event, then the name; of a move then NUL and the new name */
    FILE_PROCESS, /* file_process, then argv joined by blanks (cut) */
    FILE_STORAGE, /* file_storage */
    FILE_END, /* file_end, then text for people; with error 0 it says what was left out, if any */
};

enum file_type { TYPE_FILE = 1, TYPE_DIRECTORY, TYPE_LINK, TYPE_OTHER };

struct file_info {
    uint32_t type; /* enum file_type */
    uint32_t mode; /* 07777 */
    uint64_t size;
    int64_t modified_ns; /* since 1970 */
    uint64_t inode;      /* with modified_ns and size: the ETag */
};

struct file_bytes {
    uint64_t size;
};

struct file_match {
    uint64_t line; /* from 1; 0: a name */
};

enum file_change { CHANGE_CREATED = 1, CHANGE_MODIFIED, CHANGE_REMOVED, CHANGE_MOVED, CHANGE_LOST };

struct file_event {
    uint32_t change; /* enum file_change; LOST: events were lost, look again */
    uint32_t is_directory;
};

struct file_process {
    uint32_t pid, parent;
    uint32_t id;             /* of the process that was started (wire/session.h), 0: none */
    uint32_t state;          /* as in /proc/PID/stat: 'R', 'S', ... */
    uint64_t cpu_us, memory; /* bytes resident */
    uint64_t started_us;     /* ago */
};

struct file_storage {
    uint64_t size, used; /* bytes */
    uint64_t inodes, inodes_used;
};

struct file_end {
    int32_t
        error; /* errno, 0: all is well.  EXDEV: a path that leads out; EDQUOT and ENOSPC: full */
    uint32_t truncated; /* 1: there would have been more than limit */
    uint64_t bytes;     /* written, or removed entries, ... */
};

struct file_message {
    uint32_t type; /* enum file_frame */
    union {        /* the fixed part, copied out */
        struct file_info info;
        struct file_bytes bytes;
        struct file_match match;
        struct file_event event;
        struct file_process process;
        struct file_storage storage;
        struct file_end end;
    };
    const char *text; /* what follows it, in the input; may hold NULs */
    size_t text_len;
};

/* Reads one frame.  Returns the number of bytes it took, 0 if more input is needed, -1 and e. */
long file_parse(const char *data, size_t len, struct file_message *ret, struct err *e);

/* Bytes of the struct that a frame of this type begins with; 0: there is no such type. */
size_t file_fixed_size(uint32_t type);
/* Fills a header for a payload of `len` bytes. */
void file_header(char out[static FILE_HEADER], enum file_frame type, size_t len);
