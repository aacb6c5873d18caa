/* session_test_engine: an engine and environments for the tests of sessions.  Sandboxes come up and
 * go when the test says so, or at once; workspaces are numbers in a set. */
#pragma once

#include "base/settings.h"
#include "base/test_support.h"
#include "engine/process.h"
#include "service/session_internal.h"
#include "store/store.h"

#define FAKE_WORKSPACES 80

struct fake {
    uv_loop_t loop;
    struct settings settings;
    struct store *store;
    struct session_service *service;
    char dir[64];
    uint64_t workspaces[FAKE_WORKSPACES]; /* on the disk */
    int nworkspaces;
    struct live *lives; /* the newest first */
    int nlives, opened, entered, busy_removals;
    bool hold_up, hold_close, hold_copy; /* until fake_go_on() */
    bool environment_builds, environment_gone;
    struct nest *nest; /* of environments that are entered now */
    struct environment_guests guests;
    struct err fail_open; /* code set: the next live is lost with this before it is up */
    struct process *processes;
    char written[64];
    int paused, signalled;
};

extern struct fake fake;

/* For cmocka: a service on a fresh directory, started. */
int fake_set_up(void **state);
int fake_tear_down(void **state);
/* Ends the service and starts another on the same directory. */
void fake_restart(void);
/* Runs the loop until nothing more happens. */
void fake_settle(void);
/* Runs it until this is so, at most 5 s. */
void fake_wait(bool (*is_done)(void));
/* What was held goes on. */
void fake_go_on(void);
/* The sandbox of the session dies. */
void fake_lose(struct session *session);
bool fake_has_workspace(uint64_t workspace);
/* What a process does; the newest that was started. */
void fake_print(int stream, const char *text);
void fake_end(int exit_code);

/* What a caller was told. */
struct told {
    int times;
    struct session *session;
    struct live *live;
    struct err e;
    char snapshot[40];
};
void fake_made(void *data, struct session *session, const struct err *e);
void fake_changed(void *data, const struct err *e);
void fake_deleted(void *data);
void fake_entered(void *data, struct session *session, struct live *live, const struct err *e);
void fake_snapshot(void *data, const struct snapshot_view *view, const struct err *e);

/* Creates, and asserts that it worked. */
struct session *fake_create(const char *id, bool ephemeral);
/* Enters, and asserts that it worked. */
struct session_visit *fake_enter(struct session *session);
/* Of the sessions that were deleted nothing is left. */
void fake_assert_none_ending(void);
/* As if it had not been used for so many seconds. */
void fake_age(struct session *session, int64_t seconds);
