/* run: what one run is given and what comes of it.  Plain data of api, service and engine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct language; /* engine/language.h */
struct nest;     /* engine/nest.h */

/* A file to put into the workspace.  `name` is relative, may contain '/', and has been checked. */
struct run_file {
    char *name;
    char *data; /* raw bytes, not terminated; may point into run_spec.arena */
    size_t len;
};

/* 0 in a field means: the configured default. */
struct run_limits {
    uint32_t memory_mb;    /* everything the run uses, its files in the workspace included */
    uint32_t cpu_milli;    /* thousandths of one CPU */
    uint32_t processes;    /* processes and threads */
    uint32_t workspace_mb; /* all writable storage: workspace, /tmp, /dev/shm */
    uint32_t output_kb;    /* each of stdout and stderr */
};

enum run_files_mode {
    RUN_FILES_ALL,     /* every regular file at the top of the workspace, inputs included */
    RUN_FILES_CHANGED, /* new or modified files, those in subdirectories too */
};

enum policy_level { POLICY_OFF, POLICY_STANDARD, POLICY_STRICT };

/* Everything about one run.  Heap-allocated; run_spec_destroy frees it and all it owns. */
struct run_spec {
    char id[24];                     /* unguessable, for logs and the answer */
    const struct language *language; /* static */
    char *code;                      /* bytes, not terminated */
    size_t code_len;
    struct run_file *files;
    size_t nfiles;
    char *stdin_data; /* NULL: stdin is empty */
    size_t stdin_len;
    char **args; /* argv[1..], NUL-terminated strings */
    size_t nargs;
    char **env; /* "NAME=value" */
    size_t nenv;
    uint32_t timeout_ms;
    struct run_limits limits;
    enum run_files_mode files_mode;
    enum policy_level policy;
    char *allowed_modules; /* comma-separated additions to the policy's allow-list, or NULL */
    bool check_only;       /* evaluate the policy, do not run */
    struct nest *nest;     /* where it runs; NULL: the built-in environment */
    bool fresh;            /* a new interpreter, not a copy of the warm one */
    uint32_t network;      /* enum spawn_network (wire/spawn.h) */
    bool network_set;      /* the client named it */
    char **program;        /* a job of our own instead of code in a language (which may then be
                              NULL): argv of at least 1 string, found on PATH; its output goes to
                              on_output and is not kept; NULL otherwise */
    size_t nprogram;
    bool is_stream; /* the program's output may be of any size; who takes it may run_pause() */
    size_t max_file_size; /* bytes; larger outputs are skipped and reported */
    char *arena;          /* memory that data pointers above may point into, or NULL */
    size_t arena_len;
};

/* Zeroed but for a fresh random id.  NULL when out of memory. */
struct run_spec *run_spec_create(void);
/* Frees the spec and all it owns: each of code, stdin_data and files[].data that does not lie in
 * the arena was allocated on its own.  Accepts NULL and half-filled specs. */
void run_spec_destroy(struct run_spec *spec);
/* Frees what one file of the spec owns, by the same rule; taking it off the list is the caller's.
 */
void run_spec_free_file(const struct run_spec *spec, struct run_file *file);

enum run_outcome {
    RUN_EXITED,   /* exit_code says how */
    RUN_SIGNALED, /* killed by `signal`, by whomever */
    RUN_TIMEOUT,  /* reached its deadline */
    RUN_REFUSED,  /* the static policy said no before the code started; message holds its words */
    RUN_BAD_FILE, /* an input file could not be written; bad_file and message say why */
    RUN_FAILED,   /* the sandbox failed; message says where; nothing can be said about the code */
    RUN_CANCELLED,
};

/* Flags of limits_hit. */
#define RUN_HIT_TIME      (1u << 0)
#define RUN_HIT_MEMORY    (1u << 1)
#define RUN_HIT_PROCESSES (1u << 2)
#define RUN_HIT_WORKSPACE (1u << 3)
#define RUN_HIT_OUTPUT    (1u << 4)
#define RUN_HIT_FILES     (1u << 5) /* too many or too large output files */

struct run_output_file {
    char *name; /* UTF-8 */
    char *data;
    size_t len;
};

struct run_skipped {
    char *name;         /* UTF-8; bytes that are not are replaced */
    const char *reason; /* static text */
};

/* What was in force around the run. */
struct run_isolation {
    const char *cgroup;     /* "v1" or "v2" */
    int landlock_abi;       /* 0: the kernel has none */
    bool warm;              /* forked from a warm zygote */
    const char *network;    /* "none", "bridge", "host" */
    const char *namespaces; /* "user,pid,mount,net,ipc,uts,cgroup" */
    const char *seccomp;    /* name of the profile */
};

struct run_result {
    enum run_outcome outcome;
    int exit_code; /* RUN_EXITED */
    int signal;    /* RUN_SIGNALED, RUN_TIMEOUT */
    unsigned limits_hit;
    struct buf out; /* captured stdout, at most limits.output_kb, exact bytes */
    struct buf err;
    bool out_truncated, err_truncated;
    struct run_output_file *files;
    size_t nfiles;
    struct run_skipped *skipped;
    size_t nskipped;
    size_t nskipped_unnamed; /* skipped beyond LIMIT_SKIPPED_FILES */
    uint64_t wall_us;        /* from taking the sandbox to the verdict and the files */
    uint64_t cpu_us;         /* all processes of the run */
    uint64_t memory_peak;    /* bytes */
    char *bad_file;
    char *message;
    char *modules; /* that the run says it imported, comma-separated: a hint, or NULL */
    struct run_isolation isolation;
};

/* Frees what the result owns and leaves it zeroed.  Accepts a zeroed one. */
void run_result_finish(struct run_result *r);

/* Told to whoever started the run, on the loop's thread. */
struct run_events {
    void (*on_start)(void *data); /* the code starts now */
    void (*on_output)(void *data, int stream, const char *bytes, size_t len); /* stream 1 or 2 */
    void (*on_done)(void *data, struct run_result *result); /* once, last; finish it */
    void *data;
};
