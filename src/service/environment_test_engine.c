/* environment_test_engine: see the header. */
#include "service/environment_test_engine.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/engine.h"

struct fake fake;
static bool gone; /* engine_destroy() has been called: nothing is told any more */

struct run {
    struct run_spec *spec;
    struct run_events events;
    uv_timer_t timer;
    struct run_result result;
};

struct nest {
    struct nest_config config;
    uv_timer_t timer;
    void (*on_closed)(void *data, uint64_t bytes, const struct err *e);
    void *data;
    char why[64];
};

struct call {
    uv_timer_t timer;
    layer_done *done;
    void *data;
    uint64_t value;
};

/* -- layers -- */

static void free_handle(uv_handle_t *handle)
{
    free(handle->data);
}

static void answer(uv_timer_t *timer)
{
    struct call *c = timer->data;

    if (!gone)
        c->done(c->data, c->value, NULL);
    uv_close((uv_handle_t *)timer, free_handle);
}

static int later(layer_done *done, void *data, uint64_t value)
{
    struct call *c = calloc(1, sizeof *c);

    *c = (struct call){.done = done, .data = data, .value = value};
    uv_timer_init(&fake.loop, &c->timer);
    c->timer.data = c;
    return uv_timer_start(&c->timer, answer, 0, 0);
}

bool fake_has_layer(uint64_t layer)
{
    for (int i = 0; i < fake.nlayers; i++) {
        if (fake.layers[i] == layer)
            return true;
    }
    return false;
}

static void add_layer(uint64_t layer)
{
    assert_false(fake_has_layer(layer));
    fake.layers[fake.nlayers++] = layer;
}

int layer_make_host(struct engine *en, enum spawn_host_layer which, uint64_t layer,
                    layer_done *done, void *data)
{
    fake.made_host++;
    add_layer(layer);
    return later(done, data, 1000);
}

int layer_remove(struct engine *en, uint64_t layer, layer_done *done, void *data)
{
    for (int i = 0; i < fake.nlayers; i++) {
        if (fake.layers[i] == layer)
            fake.layers[i] = fake.layers[--fake.nlayers];
    }
    return later(done, data, 0);
}

int layer_next(struct engine *en, uint64_t after, layer_done *done, void *data)
{
    uint64_t next = 0;

    for (int i = 0; i < fake.nlayers; i++) {
        if (fake.layers[i] > after && (next == 0 || fake.layers[i] < next))
            next = fake.layers[i];
    }
    return later(done, data, next);
}

int input_remove(struct engine *en, uint64_t input, layer_done *done, void *data)
{
    return later(done, data, 0);
}

/* -- nests -- */

struct nest *nest_open(struct engine *en, const struct nest_config *config, struct err *e)
{
    struct nest *nest;

    if (fake.refuse_nests) {
        err_set(e, ERR_UNAVAILABLE, 0, "no nest today");
        return NULL;
    }
    for (uint32_t i = 0; i < config->make.nlayers; i++)
        assert_true(fake_has_layer(config->make.layers[i]));
    nest = calloc(1, sizeof *nest);
    nest->config = *config;
    nest->config.modules = NULL;
    uv_timer_init(&fake.loop, &nest->timer);
    nest->timer.data = nest;
    fake.last = config->make;
    if (config->make.kind == SPAWN_NEST_RUN)
        snprintf(fake.modules, sizeof fake.modules, "%s", config->modules);
    else
        add_layer(config->make.target);
    fake.open_nests++;
    fake.nests_made++;
    return nest;
}

static void tell_closed(uv_timer_t *timer)
{
    struct nest *nest = timer->data;
    struct err e = {0};

    if (fake.fail_seal)
        err_set(&e, ERR_UNAVAILABLE, 0, "cannot make it safe");
    fake.open_nests--;
    if (!gone)
        nest->on_closed(nest->data, 5000, fake.fail_seal ? &e : NULL);
    uv_close((uv_handle_t *)timer, free_handle);
}

void nest_close(struct nest *nest, bool end_runs,
                void (*on_closed)(void *data, uint64_t bytes, const struct err *e), void *data)
{
    assert_null(nest->on_closed);
    nest->on_closed = on_closed;
    nest->data = data;
    uv_timer_start(&nest->timer, tell_closed, 0, 0);
}

static void tell_failed(uv_timer_t *timer)
{
    struct nest *nest = timer->data;
    struct err e = {0};

    err_set(&e, ERR_UNAVAILABLE, 0, "%s", nest->why);
    nest->config.on_failed(nest, &e, nest->config.data);
}

void fake_fail_nest(struct nest *nest, const char *why)
{
    snprintf(nest->why, sizeof nest->why, "%s", why);
    uv_timer_start(&nest->timer, tell_failed, 0, 0);
}

bool nest_is_up(const struct nest *nest)
{
    return true;
}

uint32_t nest_busy(const struct nest *nest)
{
    return 0;
}

uint64_t nest_used_us(const struct nest *nest)
{
    return 0;
}

/* -- jobs -- */

static void tell_done(uv_timer_t *timer)
{
    struct run *run = timer->data;

    if (!gone)
        run->events.on_done(run->events.data, &run->result);
    run_spec_destroy(run->spec);
    uv_close((uv_handle_t *)timer, free_handle);
}

struct run *engine_run(struct engine *en, struct run_spec *spec, const struct run_events *events,
                       struct err *e)
{
    struct run *run = calloc(1, sizeof *run);

    assert_true(fake.njobs < FAKE_JOBS);
    assert_non_null(spec->program);
    run->spec = spec;
    run->events = *events;
    uv_timer_init(&fake.loop, &run->timer);
    run->timer.data = run;
    fake.jobs[fake.njobs++] = (struct fake_job){run, spec, spec->nest};
    return run;
}

static void forget_job(const struct run *run)
{
    for (int i = 0; i < fake.njobs; i++) {
        if (fake.jobs[i].run == run)
            fake.jobs[i].run = NULL;
    }
}

void run_cancel(struct run *run)
{
    run->result.outcome = RUN_CANCELLED;
    forget_job(run);
    uv_timer_start(&run->timer, tell_done, 0, 0);
}

void fake_print(int i, const char *output)
{
    struct run *run = fake.jobs[i].run;

    assert_non_null(run);
    run->events.on_output(run->events.data, 2, output, strlen(output));
}

void fake_end_job(int i, const char *output, int status, const char *facts)
{
    struct run *run = fake.jobs[i].run;

    assert_non_null(run);
    if (output != NULL)
        fake_print(i, output);
    run->result.outcome = RUN_EXITED;
    run->result.exit_code = status;
    if (facts != NULL) {
        run->result.files = calloc(1, sizeof *run->result.files);
        run->result.nfiles = 1;
        run->result.files[0] = (struct run_output_file){
            .name = strdup("facts.json"), .data = strdup(facts), .len = strlen(facts)};
    }
    forget_job(run);
    uv_timer_start(&run->timer, tell_done, 0, 0);
    fake_settle();
}

/* -- the service -- */

void fake_settle(void)
{
    for (int i = 0; i < 50; i++)
        uv_run(&fake.loop, UV_RUN_NOWAIT);
}

static void start(void)
{
    struct err e = {0};
    const struct environment_service_config config = {.loop = &fake.loop,
                                                      .settings = &fake.settings,
                                                      .host_base = "host-1",
                                                      .host_tools = "tools-1",
                                                      .host_python = "3.11",
                                                      .registry_auth = ""};

    gone = false;
    fake.njobs = 0;
    fake.store = store_open(fake.dir, &e);
    assert_string_equal(e.text, "");
    fake.service = environment_service_create(&config, &e);
    assert_non_null(fake.service);
    assert_int_equal(environment_service_start(fake.service, fake.store, fake.logs, &e), 0);
    fake_settle();
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
    for (int i = 0; i < fake.njobs; i++) {
        if (fake.jobs[i].run != NULL)
            run_spec_destroy(fake.jobs[i].spec);
    }
    environment_service_destroy(fake.service);
    fake_settle();
    uv_walk(&fake.loop, close_leftover, NULL);
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
    strcpy(fake.dir, "/tmp/dunlin-environment-XXXXXX");
    if (mkdtemp(fake.dir) == NULL)
        return -1;
    fake.logs = open(fake.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (settings_load(&fake.settings, NULL, 1, argv, &rest, NULL, NULL) < 0)
        return -1;
    fake.settings.disk_reserve = 0;
    free(fake.settings.max_network);
    fake.settings.max_network = strdup("none");
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
    close(fake.logs);
    nftw(fake.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

void fake_create(const char *name, const char *script)
{
    const struct environment_wanted w = {.name = name, .setup_script = script};
    struct err e = {0};

    environment_create(fake.service, &w, &e);
    assert_string_equal(e.text, "");
    fake_settle();
}

struct environment_view fake_view(const char *name)
{
    struct environment_view v;
    struct err e = {0};

    environment_get(fake.service, name, &v, &e);
    assert_string_equal(e.text, "");
    return v;
}
