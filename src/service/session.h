/* session: sandboxes that stay: made, woken, used, put to sleep, copied and forgotten.
 *
 * On the loop.  A record (store/store.h: session_record) says what a durable session is; a session
 * in memory has none and ends with the server.  One that is awake has a live sandbox
 * (engine/live.h); it falls asleep when it has been idle, and keeps its workspace.  Everything a
 * caller does in a session happens between session_enter and session_left. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "engine/run.h"

struct engine;
struct environment_service;
struct live;
struct session;
struct session_service;
struct settings;
struct store;

#define SESSION_ID_MAX 128

struct session_service_config {
    uv_loop_t *loop;
    struct engine *engine;
    struct environment_service *environments;
    const struct settings *settings; /* outlive the service */
};
struct session_service *session_service_create(const struct session_service_config *c,
                                               struct err *e);
/* Reads the records: all of them asleep.  Removes workspaces that this store has made and that no
 * record names; leaves those of others. */
int session_service_start(struct session_service *s, struct store *store, struct err *e);
/* After engine_destroy.  Accepts NULL. */
void session_service_destroy(struct session_service *s);

/* Whether `id` matches [A-Za-z0-9][A-Za-z0-9_.-]{0,127} exactly (R38). */
bool session_id_is_valid(const char *id);

/* What a client asks for.  NULL and 0: not said. */
struct session_wanted {
    const char *owner; /* key's id; "" without keys.  Others do not see the session (R93) */
    const char *id;    /* NULL: an unguessable one is made */
    const char *environment;
    bool ephemeral;            /* in memory */
    uint64_t bytes;            /* of the workspace; 0: SESSION_SIZE */
    int64_t idle_s;            /* until it falls asleep; 0: SESSION_IDLE, -1: never */
    int64_t idle_ttl_s, ttl_s; /* until it is deleted, after its last use or its creation; 0:
                                  SESSION_TTL and SESSION_MAX_AGE, -1: never */
    const char *network;       /* "none", "bridge" */
    const char *env;           /* JSON object of strings, checked */
    const char *labels;        /* JSON object of strings, checked */
    struct run_limits limits;
    /* The workspace begins as a copy, of at most one of these. */
    const char *snapshot;       /* id of one of the same owner */
    const struct session *from; /* as it is now */
};

enum session_state { SESSION_ASLEEP, SESSION_WAKING, SESSION_AWAKE, SESSION_FALLING_ASLEEP };

struct session_view { /* strings live until the next call into the service */
    const char *id, *owner, *environment, *network, *env, *labels;
    bool ephemeral;
    enum session_state state;
    uint64_t bytes, disk_bytes;              /* quota; on the disk, when last asleep */
    int64_t created_ms, used_ms, expires_ms; /* since 1970; expires 0: never */
    int64_t idle_s, idle_ttl_s, ttl_s;
    struct run_limits limits;
    uint32_t processes; /* in progress */
    bool expires_soon;  /* within a tenth of its TTL, at most an hour */
};

/* Makes one, without waking it.  ERR_EXISTS; ERR_INVALID (words for the client); ERR_LIMIT: number,
 * disk; ERR_NOT_FOUND: snapshot or environment.  `done` is called once, later (never before this
 * returns): at once but where a workspace has to be copied.  NULL: no call came about, e. */
typedef void session_made(void *data, struct session *session, const struct err *e);
int session_create(struct session_service *s, const struct session_wanted *w, session_made *done,
                   void *data, struct err *e);
/* NULL: there is none of that id that this owner sees. */
struct session *session_find(struct session_service *s, const char *owner, const char *id);
void session_view(struct session *session, struct session_view *ret);
/* For this owner; `ret_awake` may be NULL. */
uint32_t session_count(struct session_service *s, const char *owner, uint32_t *ret_awake);
/* In order of creation: the first of this owner's behind `after` (NULL: the very first). */
struct session *session_next(struct session_service *s, const char *owner,
                             const struct session *after);
/* Ends everything in it and forgets it; `done` follows when nothing of it is left.  Who is in it is
 * told its end. */
void session_delete(struct session *session, void (*done)(void *data), void *data);
/* The same; -1 and e: its record cannot be removed, it stays, `done` is not called. */
int session_remove(struct session *session, void (*done)(void *data), void *data, struct err *e);

struct session_change { /* 0, NULL: leave */
    uint64_t bytes;
    int64_t idle_s, idle_ttl_s, ttl_s;
    const char *env, *labels;
};
/* ERR_INVALID with words: smaller, beyond the growth that is possible, in memory. */
void session_change(struct session *session, const struct session_change *c,
                    void (*done)(void *data, const struct err *e), void *data);

/* -- use */
struct session_visit;
/* Wakes it if need be.  `done` once, never before this returns: live != NULL, and the session stays
 * awake until session_left; or e (ERR_UNAVAILABLE: not now; ERR_NOT_FOUND: it was deleted; ...).
 * NULL and e: out of memory.  */
typedef void session_entered(void *data, struct session *session, struct live *live,
                             const struct err *e);
struct session_visit *session_enter(struct session *session, session_entered *done, void *data,
                                    struct err *e);
/* The sandbox that this visit has entered; NULL once it has ended beneath it (session_delete, a
 * crash, ...).  Ask anew before each use: the handle is of no use then. */
struct live *session_visit_live(const struct session_visit *v);
/* The visit is over; before `done`: nobody waits for it any more.  After `done` with an error it is
 * over already. */
void session_left(struct session_visit *v);
/* 0: what is written finds room when it goes to the disk.  ERR_LIMIT, ENOSPC: DISK_RESERVE. */
int session_may_write(const struct session *session, struct err *e);
/* An id for a process (engine/process.h) of this session, never given out again in it. */
uint32_t session_process_id(struct session *session);
/* The session's own variables, "NAME=value", NULL-terminated; live until the next call into the
 * service.  For who has entered. */
const char *const *session_env(const struct session *session);
/* Now, if nobody is in it: -1 and ERR_EXISTS when somebody is; ERR_INVALID: in memory.  `done` is
 * called once, later: when it is asleep, though somebody may wake it again at once, or after ten
 * seconds; e: it was deleted. */
int session_sleep(struct session *session, void (*done)(void *data, const struct err *e),
                  void *data, struct err *e);

/* -- snapshots of workspaces */
struct snapshot_view {
    const char *id, *session, *name;
    uint64_t bytes, disk_bytes;
    int64_t created_ms;
};
typedef void snapshot_made(void *data, const struct snapshot_view *view, const struct err *e);
void snapshot_create(struct session *session, const char *name, snapshot_made *done, void *data);
/* All that this owner has; NULL for `session`: of every session.  The callback may stop by
 * non-zero. */
int snapshot_list(struct session_service *s, const char *owner, const char *session,
                  int (*each)(void *data, const struct snapshot_view *v), void *data,
                  struct err *e);
int snapshot_remove(struct session_service *s, const char *owner, const char *id, struct err *e);
/* The session's workspace becomes the snapshot's; what runs in it ends. */
void snapshot_restore(struct session *session, const char *id,
                      void (*done)(void *data, const struct err *e), void *data);
