/* session_service: start, heartbeat and end of the session service.
 *
 * Runs in the server, on the loop.  Made with the rights that the server still has at its start
 * (it opens /proc/meminfo and DATA); started when the server is locked in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "service/memory.h"
#include "service/session_internal.h"

#define TICK_MS     1000
#define RETRY_MS    20
#define SAVE_TICKS  3    /* the times of last use are written at most so often */
#define SAVE_BATCH  256  /* records in one transaction */
#define EXPIRE_STEP 4096 /* sessions that one tick looks at */
#define SHORT       20   /* memory is short when less than this part of it is available */

/* -- answers ----------------------------------------------------------------------------------- */

struct session_answer *session_answer_create(struct session *session, void *data, struct err *e)
{
    struct session_answer *a = calloc(1, sizeof *a);

    if (a == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    a->data = data;
    a->session = session;
    if (session != NULL)
        session_ref(session);
    return a;
}

void session_answer(struct session_service *s, struct session_answer *a, const struct err *e)
{
    if (e != NULL)
        a->e = *e;
    a->next = NULL;
    *s->answers_end = a;
    s->answers_end = &a->next;
    session_soon(s);
}

static void tell_answers(struct session_service *s)
{
    struct session_answer *a;

    while ((a = s->answers) != NULL) {
        s->answers = a->next;
        if (s->answers == NULL)
            s->answers_end = &s->answers;
        a->tell(a);
        if (a->session != NULL)
            session_unref(a->session);
        free(a);
    }
}

static void on_soon(uv_timer_t *timer)
{
    struct session_service *s = timer->data;

    tell_answers(s);
    session_seats_pump(s);
    session_pump_all(s);
    session_processes_notify(s);
}

void session_soon(struct session_service *s)
{
    uv_timer_start(&s->soon, on_soon, 0, 0);
}

static void on_retry(uv_timer_t *timer)
{
    struct session_service *s = timer->data;

    workspace_drops_retry(s);
}

void session_retry_soon(struct session_service *s)
{
    if (!uv_is_active((uv_handle_t *)&s->retry))
        uv_timer_start(&s->retry, on_retry, RETRY_MS, 0);
}

/* -- every second ------------------------------------------------------------------------------ */

static void save_batch(struct session_service *s)
{
    const struct session_record *records[SAVE_BATCH] = {NULL};
    struct session *done = NULL, *session;
    struct err e = {0};
    size_t n = 0;

    while ((session = s->dirty) != NULL && n < SAVE_BATCH) {
        s->dirty = session->dirty_next;
        session->is_dirty = false;
        records[n++] =
            session->record.number != 0 && !session->is_deleted ? &session->record : NULL;
        session->dirty_next = done;
        done = session;
    }
    if (store_session_update_all(s->store, records, n, &e) < 0)
        log_event(LOG_ERROR, "sessions.not_saved", LOG_STR("reason", e.text));
    while ((session = done) != NULL) {
        done = session->dirty_next;
        session_unref(session);
    }
}

static void expire(struct session_service *s)
{
    for (int i = 0; i < EXPIRE_STEP && s->first != NULL; i++) {
        struct session *one = s->cursor != NULL ? s->cursor : s->first;

        s->cursor = one->next;
        if (session_is_expired(one))
            session_delete(one, NULL, NULL);
        if (s->cursor == NULL)
            return; /* the next round begins with the next tick */
    }
}

static void watch_memory(struct session_service *s)
{
    uint64_t total, available;
    bool was_short = s->is_short;

    if (memory_read_available(s->meminfo, &total, &available) < 0)
        return;
    s->is_short = available < total / SHORT;
    if (s->is_short != was_short)
        log_event(s->is_short ? LOG_WARNING : LOG_INFO, "sessions.memory",
                  LOG_BOOL("short", s->is_short), LOG_INT("available_mb", available >> 20));
    if (s->is_short)
        session_relieve(s);
}

void session_tick(struct session_service *s)
{
    watch_memory(s);
    session_sleep_idle(s);
    expire(s);
    session_processes_expire(s);
    if (++s->ticks % SAVE_TICKS != 0)
        return;
    while (s->dirty != NULL)
        save_batch(s);
}

static void on_tick(uv_timer_t *timer)
{
    session_tick(timer->data);
}

/* -- start ------------------------------------------------------------------------------------- */

static int open_files(struct session_service *s, struct err *e)
{
    s->meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    if (s->meminfo < 0)
        return err_set(e, ERR_INTERNAL, errno, "open /proc/meminfo");
    s->disk = open(s->config.settings->data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->disk < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %.150s", s->config.settings->data);
    return 0;
}

static int seed_hash(struct session_service *s, struct err *e)
{
    if (getrandom(&s->hash_seed, sizeof s->hash_seed, 0) < 0)
        return err_set(e, ERR_INTERNAL, errno, "getrandom");
    return 0;
}

struct session_service *session_service_create(const struct session_service_config *c,
                                               struct err *e)
{
    struct session_service *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    s->config = *c;
    s->meminfo = s->disk = -1;
    session_clock_start(s);
    s->answers_end = &s->answers;
    s->snapshots_end = &s->snapshots;
    uv_timer_init(c->loop, &s->soon);
    uv_timer_init(c->loop, &s->tick);
    uv_timer_init(c->loop, &s->retry);
    s->soon.data = s->tick.data = s->retry.data = s;
    if (seed_hash(s, e) < 0 || session_rules(&s->rules, c->settings, e) < 0 ||
        open_files(s, e) < 0 || session_walk_read(s, e) < 0) {
        session_service_destroy(s);
        return NULL;
    }
    return s;
}

/* Takes a copy of the record. */
static int load(void *data, const struct session_record *r)
{
    struct session_service *s = data;
    struct session_record copy = *r;
    char **texts[] = {&copy.id,      &copy.owner, &copy.environment,
                      &copy.network, &copy.env,   &copy.labels};
    bool failed = false;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = strdup(*texts[i]);
        failed |= *texts[i] == NULL;
    }
    session_clock_bound(s, &copy);
    if (failed || session_new(s, &copy, false) == NULL) {
        session_record_finish(&copy);
        s->is_incomplete = true;
    } else {
        s->disk_bytes += r->disk_bytes;
    }
    return s->is_incomplete;
}

int session_service_start(struct session_service *s, struct store *store, struct err *e)
{
    s->store = store;
    if (store_sessions(store, load, s, e) < 0 || snapshots_load(s, e) < 0)
        return -1;
    if (s->is_incomplete)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    if (session_walk_start(s, e) < 0)
        return -1;
    session_be_guests(s);
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    return 0;
}

/* -- end --------------------------------------------------------------------------------------- */

static void on_retry_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct session_service *s = handle->data;

    uv_close((uv_handle_t *)&s->retry, on_retry_closed);
}

static void on_soon_closed(uv_handle_t *handle)
{
    struct session_service *s = handle->data;

    uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}

static void free_visits(struct session_visit *v)
{
    struct session_visit *next;

    for (; v != NULL; v = next) {
        next = v->next;
        free(v);
    }
}

static void free_answers(struct session_answer *a)
{
    struct session_answer *next;

    for (; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
}

/* Whoever holds it has gone. */
static void free_sessions(struct session *session)
{
    struct session *next;

    for (; session != NULL; session = next) {
        next = session->next;
        if (session->entering != NULL)
            environment_enter_cancel(session->entering);
        run_spec_destroy(session->spec);
        free_visits(session->waiting.first);
        free_visits(session->inside.first);
        free_answers(session->on_deleted);
        session_processes_forget(session);
        session_record_finish(&session->record);
        free(session->env);
        free(session);
    }
}

/* The exact values of what is otherwise written now and then. */
static void save_all(struct session_service *s)
{
    for (struct session *one = s->first; s->store != NULL && one != NULL; one = one->next) {
        if (one->users > 0)
            one->record.used_ms = session_now_ms(s);
        if (one->last_process == one->record.last_process && one->users == 0)
            continue;
        one->record.last_process = one->last_process;
        session_touch(one);
    }
    while (s->dirty != NULL)
        save_batch(s);
}

void session_service_destroy(struct session_service *s)
{
    if (s == NULL)
        return;
    if (s->store != NULL)
        environment_set_guests(s->config.environments, &(const struct environment_guests){0});
    uv_timer_stop(&s->soon);
    uv_timer_stop(&s->tick);
    uv_timer_stop(&s->retry);
    save_all(s);
    free_answers(s->answers);
    free_answers(s->sleepers);
    session_processes_finish(s);
    free_sessions(s->first);
    free_sessions(s->ending);
    snapshots_destroy(s);
    workspace_drops_destroy(s);
    session_walk_destroy(s);
    fd_close(&s->meminfo);
    fd_close(&s->disk);
    uv_close((uv_handle_t *)&s->soon, on_soon_closed);
}
