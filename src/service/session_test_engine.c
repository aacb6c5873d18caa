/* session_test_engine: see the header. */
#include "service/session_test_engine.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

struct fake fake;
static bool gone; /* the engine has been destroyed: nothing is told any more */

struct live {
    struct live *next;
    struct live_config config;
    uv_timer_t timer;
    struct err lost;
    bool is_up, is_closing;
    void (*closed)(void *data, uint64_t bytes);
    void *data;
};

struct process {
    struct process *next;
    struct live *live;
    struct process_events events;
    uv_timer_t timer;
};

struct call {
    uv_timer_t timer;
    workspace_done *done;
    void (*grown)(void *data, const struct err *e);
    void *data;
    uint64_t value;
    int errnum;
    bool is_copy;
};

static void free_handle(uv_handle_t *handle)
{
    free(handle->data);
}

/* -- environments ------------------------------------------------------------------------------ */

static struct {
    environment_entered *done;
    void *data;
} waiting;

struct environment_visit *environment_enter(struct environment_service *s, const char *name,
                                            struct run_spec *spec, environment_entered *done,
                                            void *data)
{
    struct err e = {0};

    if (fake.environment_gone) {
        err_set(&e, ERR_NOT_FOUND, 0, "no environment");
        done(data, ENVIRONMENT_UNKNOWN, "unknown", &e);
        return NULL;
    }
    if (fake.environment_builds) {
        waiting.done = done;
        waiting.data = data;
        return (struct environment_visit *)&waiting;
    }
    fake.entered++;
    spec->nest = fake.nest;
    done(data, ENVIRONMENT_ENTERED, "ready", NULL);
    return NULL;
}

void environment_set_guests(struct environment_service *s, const struct environment_guests *g)
{
    fake.guests = *g;
}

void environment_enter_cancel(struct environment_visit *v)
{
    waiting.done = NULL;
}

void environment_left(struct environment_service *s, const char *name, const struct nest *nest,
                      const char *modules)
{
    fake.entered--;
}

int environment_get(struct environment_service *s, const char *name, struct environment_view *ret,
                    struct err *e)
{
    static const struct environment_record record = {.network = (char *)"none"};

    if (strcmp(name, "data") != 0)
        return err_set(e, ERR_NOT_FOUND, 0, "there is no environment '%s'", name);
    *ret = (struct environment_view){.record = &record};
    return 0;
}

/* -- workspaces -------------------------------------------------------------------------------- */

bool fake_has_workspace(uint64_t workspace)
{
    for (int i = 0; i < fake.nworkspaces; i++) {
        if (fake.workspaces[i] == workspace)
            return true;
    }
    return false;
}

static void answer(uv_timer_t *timer)
{
    struct call *c = timer->data;
    struct err e = {0};

    if (c->is_copy && fake.hold_copy)
        return;
    if (c->errnum != 0)
        err_set(&e, ERR_INTERNAL, c->errnum, "workspace");
    uv_close((uv_handle_t *)&c->timer, free_handle);
    if (gone)
        return;
    if (c->done != NULL)
        c->done(c->data, c->value, c->errnum != 0 ? &e : NULL);
    else
        c->grown(c->data, NULL);
}

static struct call *later(workspace_done *done, void *data, uint64_t value, int errnum)
{
    struct call *c = calloc(1, sizeof *c);

    *c = (struct call){.done = done, .data = data, .value = value, .errnum = errnum};
    uv_timer_init(&fake.loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, answer, 0, 1);
    return c;
}

int workspace_copy(struct engine *en, uint64_t from, uint64_t to, workspace_done *done, void *data)
{
    bool there = fake_has_workspace(from);

    assert_false(fake_has_workspace(to));
    if (there)
        fake.workspaces[fake.nworkspaces++] = to;
    later(done, data, 4096, there ? 0 : ENOENT)->is_copy = true;
    return 0;
}

int workspace_remove(struct engine *en, uint64_t workspace, workspace_done *done, void *data)
{
    if (fake.busy_removals > 0) {
        fake.busy_removals--;
        later(done, data, 0, EBUSY);
        return 0;
    }
    for (const struct live *live = fake.lives; live != NULL; live = live->next)
        assert_true(live->config.workspace != workspace);
    for (int i = 0; i < fake.nworkspaces; i++) {
        if (fake.workspaces[i] == workspace)
            fake.workspaces[i] = fake.workspaces[--fake.nworkspaces];
    }
    later(done, data, 0, 0);
    return 0;
}

/* -- sandboxes --------------------------------------------------------------------------------- */

static void end_processes(struct live *live)
{
    struct process *next;

    for (struct process *p = fake.processes; p != NULL; p = next) {
        next = p->next;
        if (p->live == live) {
            const struct process_result result = {.lost = true, .signal = 9};
            struct process **at = &fake.processes;

            while (*at != p)
                at = &(*at)->next;
            *at = p->next;
            p->events.on_end(p->events.data, &result);
            uv_close((uv_handle_t *)&p->timer, free_handle);
            next = fake.processes;
        }
    }
}

static void on_live(uv_timer_t *timer)
{
    struct live *live = timer->data, **at = &fake.lives;

    if (gone) {
        uv_timer_stop(timer);
    } else if (live->is_closing) {
        end_processes(live);
        if (fake.hold_close)
            return;
        while (*at != live)
            at = &(*at)->next;
        *at = live->next;
        fake.nlives--;
        uv_close((uv_handle_t *)timer, free_handle);
        live->closed(live->data, live->config.workspace != 0 ? 5000 : 0);
    } else if (live->lost.code != ERR_NONE) {
        uv_timer_stop(timer);
        end_processes(live);
        live->config.on_lost(live->config.data, &live->lost);
    } else if (!live->is_up && !fake.hold_up) {
        live->is_up = true;
        if (live->config.workspace != 0 && !fake_has_workspace(live->config.workspace))
            fake.workspaces[fake.nworkspaces++] = live->config.workspace;
        live->config.on_up(live->config.data);
    }
}

struct live *live_open(struct engine *en, const struct live_config *config, struct err *e)
{
    struct live *live = calloc(1, sizeof *live);

    live->config = *config;
    live->next = fake.lives;
    live->lost = fake.fail_open;
    fake.fail_open = (struct err){0};
    if (config->workspace != 0 && config->is_new && fake_has_workspace(config->workspace))
        err_set(&live->lost, ERR_EXISTS, EEXIST, "open the workspace");
    if (config->workspace != 0 && !config->is_new && !fake_has_workspace(config->workspace))
        err_set(&live->lost, ERR_NOT_FOUND, ENOENT, "open the workspace");
    fake.lives = live;
    fake.nlives++;
    fake.opened++;
    uv_timer_init(&fake.loop, &live->timer);
    live->timer.data = live;
    uv_timer_start(&live->timer, on_live, 0, 1);
    return live;
}

void live_close(struct live *live, void (*closed)(void *data, uint64_t bytes), void *data)
{
    assert_false(live->is_closing);
    live->is_closing = true;
    live->closed = closed;
    live->data = data;
    uv_timer_start(&live->timer, on_live, 0, 1);
}

void fake_lose(struct session *session)
{
    err_set(&session->live->lost, ERR_UNAVAILABLE, 0, "the kernel killed it");
    uv_timer_start(&session->live->timer, on_live, 0, 1);
    fake_settle();
}

int live_grow(struct live *live, uint64_t bytes, void (*done)(void *data, const struct err *e),
              void *data, struct err *e)
{
    later(NULL, data, 0, 0)->grown = done;
    return 0;
}

/* -- processes --------------------------------------------------------------------------------- */

static void on_started(uv_timer_t *timer)
{
    struct process *p = timer->data;

    if (!gone)
        p->events.on_start(p->events.data, 7);
}

struct process *process_start(struct live *live, const struct process_spec *spec,
                              const struct process_events *events, struct err *e)
{
    struct process *p;

    assert_true(live->is_up && !live->is_closing && spec->id != 0);
    p = calloc(1, sizeof *p);
    *p = (struct process){.next = fake.processes, .live = live, .events = *events};
    fake.processes = p;
    uv_timer_init(&fake.loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_started, 0, 0);
    return p;
}

void fake_print(int stream, const char *text)
{
    struct process *p = fake.processes;

    p->events.on_output(p->events.data, stream, text, strlen(text));
}

void fake_end(int exit_code)
{
    struct process *p = fake.processes;
    const struct process_result result = {.exit_code = exit_code};

    fake.processes = p->next;
    p->events.on_end(p->events.data, &result);
    uv_close((uv_handle_t *)&p->timer, free_handle);
}

ssize_t process_write(struct process *p, const char *bytes, size_t len)
{
    snprintf(fake.written, sizeof fake.written, "%.*s", (int)len, bytes);
    return (ssize_t)len;
}

int process_write_last(struct process *p, const char *bytes, size_t len)
{
    snprintf(fake.written, sizeof fake.written, "%.*sEOF", (int)len, bytes);
    return 0;
}

bool process_is_full(const struct process *p)
{
    return false;
}

bool process_takes_input(const struct process *p)
{
    return true;
}

void process_signal(struct process *p, int signal, bool group)
{
    fake.signalled = signal;
}

void process_resize(struct process *p, uint16_t rows, uint16_t columns)
{
}

void process_pause(struct process *p, bool paused)
{
    fake.paused += paused ? 1 : -1;
}

/* -- the service ------------------------------------------------------------------------------- */

void fake_settle(void)
{
    for (int i = 0; i < 40; i++) {
        uv_run(&fake.loop, UV_RUN_NOWAIT);
        usleep(100);
    }
}

void fake_wait(bool (*is_done)(void))
{
    for (int i = 0; i < 5000 && !is_done(); i++) {
        uv_run(&fake.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_true(is_done());
}

void fake_go_on(void)
{
    environment_entered *done = waiting.done;

    fake.hold_up = fake.hold_close = fake.hold_copy = fake.environment_builds = false;
    waiting.done = NULL;
    if (done != NULL) {
        fake.entered++;
        done(waiting.data, ENVIRONMENT_ENTERED, "ready", NULL);
    }
    fake_settle();
}

static void start(void)
{
    struct err e = {0};
    const struct session_service_config config = {.loop = &fake.loop, .settings = &fake.settings};

    gone = false;
    fake.store = store_open(fake.dir, &e);
    assert_string_equal(e.text, "");
    fake.service = session_service_create(&config, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(session_service_start(fake.service, fake.store, &e), 0);
}

/* What is on its way when the engine goes away is never told. */
static void close_leftover(uv_handle_t *handle, void *data)
{
    if (!uv_is_closing(handle))
        uv_close(handle, free_handle);
}

static void stop(void)
{
    gone = true;
    session_service_destroy(fake.service);
    fake_settle();
    uv_walk(&fake.loop, close_leftover, NULL);
    fake.lives = NULL;
    fake.processes = NULL;
    fake.nlives = 0;
    fake_settle();
    store_close(fake.store);
}

void fake_restart(void)
{
    stop();
    start();
}

int fake_set_up(void **state)
{
    char *argv[] = {(char *)"test"};
    int rest;

    log_init("test", LOG_ERROR, LOG_TEXT);
    fake = (struct fake){0};
    strcpy(fake.dir, "/tmp/dunlin-session-XXXXXX");
    if (mkdtemp(fake.dir) == NULL ||
        settings_load(&fake.settings, NULL, 1, argv, &rest, NULL, NULL) < 0)
        return -1;
    free(fake.settings.data);
    fake.settings.data = strdup(fake.dir);
    fake.settings.disk_reserve = 0;
    uv_loop_init(&fake.loop);
    start();
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

int fake_tear_down(void **state)
{
    stop();
    assert_int_equal(uv_loop_close(&fake.loop), 0);
    settings_finish(&fake.settings);
    nftw(fake.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* -- callers ----------------------------------------------------------------------------------- */

static void note(void *data, const struct err *e)
{
    struct told *told = data;

    told->times++;
    told->e = e != NULL ? *e : (struct err){0};
}

void fake_made(void *data, struct session *session, const struct err *e)
{
    note(data, e);
    ((struct told *)data)->session = session;
}

void fake_changed(void *data, const struct err *e)
{
    note(data, e);
}

void fake_deleted(void *data)
{
    note(data, NULL);
}

void fake_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    note(data, e);
    ((struct told *)data)->live = live;
}

void fake_snapshot(void *data, const struct snapshot_view *view, const struct err *e)
{
    struct told *told = data;

    note(data, e);
    if (view != NULL)
        snprintf(told->snapshot, sizeof told->snapshot, "%s", view->id);
}

struct session *fake_create(const char *id, bool ephemeral)
{
    const struct session_wanted w = {.owner = "", .id = id, .ephemeral = ephemeral};
    struct told told = {0};
    struct err e = {0};

    session_create(fake.service, &w, fake_made, &told, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(told.times, 0);
    fake_settle();
    assert_int_equal(told.times, 1);
    assert_non_null(told.session);
    return told.session;
}

struct session_visit *fake_enter(struct session *session)
{
    struct told told = {0};
    struct err e = {0};
    struct session_visit *v = session_enter(session, fake_entered, &told, &e);

    assert_non_null(v);
    assert_int_equal(told.times, 0);
    fake_settle();
    assert_string_equal(told.e.text, "");
    assert_int_equal(told.times, 1);
    assert_non_null(told.live);
    return v;
}

void fake_age(struct session *session, int64_t seconds)
{
    session->record.used_ms -= seconds * 1000;
    session->record.created_ms -= seconds * 1000;
    session->used_us -= (uint64_t)seconds * 1000000;
}

void fake_assert_none_ending(void)
{
    for (int i = 0; i < 5; i++) /* what is to be written holds them until then */
        session_tick(fake.service);
    assert_null(fake.service->ending);
}
