/* session_state: what the session service keeps in memory.  For the parts of the service only
 * (session_internal.h). */
#pragma once

#include "engine/live.h"
#include "service/environment.h"
#include "service/session.h"
#include "store/sessions.h"

struct session_copy;
struct session_process;
struct workspace_removal;

#define SESSION_BUCKETS 16384 /* of the table of ids: about one session in each */

struct session_rules {
    uint64_t size, size_max, disk, disk_reserve;
    uint32_t sessions_max, awake_max;
    int64_t idle_s, idle_ttl_s, ttl_s; /* -1: never */
    const char *network, *max_network;
};

struct session_visit {
    struct session_visit *prev, *next;
    struct session *session;
    session_entered *done;
    void *data;
    bool is_inside; /* in session->inside, not ->waiting */
    bool is_failed; /* `done` has yet to be told e */
    bool in_use;    /* keeps the session from falling asleep */
    uint64_t up;    /* session->ups when it went in */
    struct err e;
};

struct session_visits {
    struct session_visit *first, *last;
};

struct session {
    struct session_service *service;
    struct session *prev, *next; /* in order of creation */
    struct session *chain;       /* in the table */
    struct session *awake_prev, *awake_next;
    struct session *queue_next; /* waits for a seat */
    struct session *pump_next;  /* its visits are told */
    struct session *dirty_next;
    uint32_t hash;
    uint32_t refs;
    struct session_record record; /* number 0: not in the store */
    bool ephemeral, is_deleted, is_ending, is_gone;
    bool in_queue, in_pump, is_dirty;
    bool is_busy; /* its workspace is being made from a copy: nobody enters */

    enum session_state state;
    bool has_seat, in_environment;
    struct environment_visit *entering;
    struct run_spec *spec; /* while entering */
    struct nest *nest;
    struct live *live;
    bool is_up;
    uint64_t ups; /* how often it has been awake */
    bool is_lost; /* e says why the sandbox ended */
    struct err lost;
    void (*on_asleep)(struct session *session); /* once */
    struct session_copy *restore;
    uint32_t nsnapshots; /* that are being made */

    struct session_visits waiting, inside;
    uint32_t users; /* visits that are in use */
    uint64_t used_us;
    char **env;
    struct session_process *processes, *processes_last; /* the oldest first */
    uint32_t nprocesses, running, terminals;
    size_t output_kept;    /* of them */
    uint32_t last_process; /* record.last_process is as high, or a little higher */
    struct session_answer *on_deleted;
};

/* Something that a caller is told, later. */
struct session_answer {
    struct session_answer *next;
    void (*tell)(struct session_answer *a);
    union {
        session_made *made;
        void (*changed)(void *data, const struct err *e);
        void (*deleted)(void *data);
        snapshot_made *snapshot;
    };
    void *data;
    struct session *session; /* held, or NULL */
    uint64_t until_us;       /* waits for a sleep: at most until then */
    char snapshot_id[40];
    struct err e; /* ERR_NONE: it worked */
};

struct snapshot {
    struct snapshot *next;
    struct snapshot_record record;
};

struct session_numbers {
    uint64_t *numbers;
    size_t n, room;
};

/* What the start has found of images. */
struct session_walk {
    struct session_numbers on_disk, unnamed; /* unnamed: yet to be removed */
    uint64_t highest;                        /* on the disk */
};

struct session_service {
    struct session_service_config config;
    struct session_rules rules;
    struct store *store; /* NULL: not started */
    struct session *buckets[SESSION_BUCKETS];
    uint32_t hash_seed;
    struct session *first, *last, *cursor; /* cursor: the next one to be looked at for its age */
    struct session *ending;                /* deleted, but not gone; linked by next and prev */
    uint32_t count, seats, leaving, nqueue;
    struct session *awake_first, *awake_last; /* the longest unused first */
    struct session *queue_first, *queue_last;
    struct session *pump_first, *pump_last;
    struct session *dirty;
    struct session_answer *answers, **answers_end;
    struct session_answer *sleepers; /* who waits until a session is asleep */
    struct snapshot *snapshots, **snapshots_end;
    struct workspace_removal *removals;
    struct session_process *ended_first, *ended_last; /* in order of their end */
    struct session_process *notify;
    size_t output_kept;
    uint64_t disk_bytes; /* of all workspaces that are asleep, and snapshots */
    int meminfo, disk;   /* descriptors */
    bool is_short;       /* of memory */
    uv_timer_t soon, tick, retry;
    unsigned ticks;
    int64_t clock_offset_ms; /* of the time of day to the time since the machine's start */
    uint32_t nsnapshots;
    struct session_walk walk;
    bool is_incomplete; /* no memory for the records */
};
