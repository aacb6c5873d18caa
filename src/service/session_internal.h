/* session_internal: the parts of the session service as they see each other.
 *
 *   session (records, ids)  ->  session_live (waking, visits, sleep)  ->  engine/live.h
 *   session_end (deletion)      session_copy (snapshots, forks)       ->  workspace_copy, _remove
 *
 * Everything happens on the loop.  What tells a caller something does so from the timer `soon`, so
 * that nobody is called back while he calls us; the engine's callbacks come from the loop too. */
#pragma once

#include "service/session_state.h"

/* -- session_clock.c */
void session_clock_start(struct session_service *s);
/* Milliseconds since 1970.  When the clock has been set since the last call, the times of all
 * sessions have moved with it on return: ask for the time before you look at them. */
int64_t session_now_ms(struct session_service *s);
/* Times in the future, of a clock that was ahead once, are now. */
void session_clock_bound(struct session_service *s, struct session_record *r);

/* -- session.c */
void session_ref(struct session *session);
void session_unref(struct session *session);
/* Its record is to be written soon. */
void session_touch(struct session *session);
/* Now; an error is logged. */
void session_save(struct session *session);
void session_set_disk(struct session *session, uint64_t bytes);
/* A random id of 128 bits: 32 digits. */
int session_random_id(char out[static 33], struct err *e);
/* When it is to be deleted, in ms since 1970; 0: never. */
int64_t session_expires_ms(const struct session *session);
bool session_is_expired(const struct session *session);
/* Takes over what the record owns; NULL: out of memory. */
struct session *session_new(struct session_service *s, struct session_record *r, bool ephemeral);
/* Nobody finds it any more. */
void session_unlink(struct session *session);
struct session *session_lookup(struct session_service *s, const char *owner, const char *id);

/* -- session_wanted.c */
int session_rules(struct session_rules *ret, const struct settings *s, struct err *e);
/* Fills a zeroed record from what a client wants. */
int session_wanted_record(struct session_service *s, const struct session_wanted *w,
                          struct session_record *ret, struct err *e);
int session_change_check(const struct session *session, const struct session_change *c,
                         struct err *e);
/* ERR_LIMIT: the disk or SESSION_DISK is full. */
int session_has_disk(const struct session_service *s, struct err *e);

/* -- session_live.c */
/* Does what can be done next with this session. */
void session_advance(struct session *session);
/* Closes the sandbox, whatever is in it; session_advance follows when it has gone. */
void session_close(struct session *session);
/* Everybody who waits is told e. */
void session_fail_waiting(struct session *session, const struct err *e);
/* Gives up what it had on the way to being awake. */
void session_stop_waking(struct session *session);
/* The users of a session; nobody uses a process that nobody listens to. */
void session_visit_use(struct session_visit *v, bool in_use);
void session_pump_all(struct session_service *s);
/* Who waits for a seat takes those that are free. */
void session_seats_pump(struct session_service *s);

/* -- session_sleep.c */
/* Of those that could sleep without anybody noticing; NULL: there is none. */
struct session *session_longest_unused(struct session_service *s);
/* Puts to sleep, or deletes, whatever has been unused for longest, to free memory. */
void session_relieve(struct session_service *s);
/* From now on environments that only unused sessions are in are left when another is wanted. */
void session_be_guests(struct session_service *s);
/* It is asleep: who waits for that is told. */
void session_tell_asleep(struct session *session);
/* Every second. */
void session_sleep_idle(struct session_service *s);

/* -- session_end.c */
/* Of one that is deleted: its workspace goes, if nothing uses it any more. */
void session_end(struct session *session);
/* For a `done` with an error; NULL: out of memory, which it was told. */
struct session_answer *session_change_answer(struct session *session,
                                             void (*done)(void *data, const struct err *e),
                                             void *data);

/* -- session_env.c */
/* {"A": "b"} -> "A=b"; NULL: out of memory.  One block to free(). */
char **session_env_parse(const char *json);

/* -- session_copy.c */
/* Fills the workspace of a new session with a copy of `from`; takes over the answer. */
int session_fill(struct session *session, uint64_t from, struct session_answer *a, struct err *e);
/* Removes an image, now or when it is no longer in use; `done` (or NULL) follows. */
void workspace_drop(struct session_service *s, uint64_t workspace, void (*done)(void *data),
                    void *data);
void workspace_drops_retry(struct session_service *s);
void workspace_drops_destroy(struct session_service *s);
struct snapshot *snapshot_find(struct session_service *s, const char *owner, const char *id);
int snapshots_load(struct session_service *s, struct err *e);
void snapshots_destroy(struct session_service *s);

/* -- session_walk.c: images that no record names */
/* While the server may look at DATA/workspaces. */
int session_walk_read(struct session_service *s, struct err *e);
int session_walk_start(struct session_service *s, struct err *e);
void session_walk_destroy(struct session_service *s);

/* -- session_service.c */
void session_soon(struct session_service *s);
/* In some 20 ms: what was in the way is tried again. */
void session_retry_soon(struct session_service *s);
struct session_answer *session_answer_create(struct session *session, void *data, struct err *e);
/* Tells it soon: e, or NULL when it worked. */
void session_answer(struct session_service *s, struct session_answer *a, const struct err *e);
void session_tick(struct session_service *s);

/* -- session_process.c */
void session_processes_notify(struct session_service *s);
void session_processes_expire(struct session_service *s);
/* Nobody is told any more. */
void session_processes_finish(struct session_service *s);
/* The session goes away. */
void session_processes_forget(struct session *session);
