/* execute: couples admission to the engine.
 *
 * Runs on the server's loop thread.  It logs one line for each run and never writes the code, its
 * output or any text from a sandbox at info level.  It must free a slot exactly when the engine is
 * done with the run, also when the client has gone before. */
#include "service/execute.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/language.h"
#include "service/admission.h"

struct execute_service {
    struct engine *engine;
    struct admission *admission;
    struct execution *all;
};

struct execution {
    struct admission_ticket ticket; /* first: a ticket is cast to its execution */
    struct execute_service *service;
    struct execution *prev, *next;
    struct run_spec *spec; /* until the engine has it */
    struct run *run;       /* while the engine has it */
    struct run_events events;
    bool abandoned; /* by execute_cancel: events go nowhere */
    uint64_t asked_us, started_us;
    char id[sizeof((struct run_spec *)0)->id];
    const struct language *language;
    struct run_limits limits;
    uint32_t timeout_ms;
    bool check_only;
    char client[ADMISSION_CLIENT_KEY];
};

struct execute_service *execute_service_create(const struct execute_config *config, struct err *e)
{
    struct admission_config admission = {
        .slots = config->slots,
        .queue_max = config->queue_max,
        .memory_mb = config->memory_mb,
    };
    if (getrandom(&admission.hash_seed, sizeof admission.hash_seed, 0) < 0)
        admission.hash_seed = (uint32_t)clock_now_us();
    struct execute_service *s = calloc(1, sizeof *s);
    if (s)
        s->admission = admission_create(&admission);
    if (!s || !s->admission) {
        free(s);
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    s->engine = config->engine;
    return s;
}

/* -- the list of executions, for the end of the service -- */

static void link_execution(struct execution *x)
{
    struct execute_service *s = x->service;
    x->next = s->all;
    if (s->all)
        s->all->prev = x;
    s->all = x;
}

static void free_execution(struct execution *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        x->service->all = x->next;
    if (x->next)
        x->next->prev = x->prev;
    run_spec_destroy(x->spec);
    free(x);
}

void execute_service_destroy(struct execute_service *s)
{
    if (!s)
        return;
    while (s->all)
        free_execution(s->all);
    admission_destroy(s->admission);
    free(s);
}

/* -- the log -- */

static const char *outcome_name(const struct run_result *r)
{
    static const char *const names[] = {
        [RUN_EXITED] = "exited",       [RUN_SIGNALED] = "signaled", [RUN_TIMEOUT] = "timeout",
        [RUN_REFUSED] = "refused",     [RUN_BAD_FILE] = "bad_file", [RUN_FAILED] = "failed",
        [RUN_CANCELLED] = "cancelled",
    };
    return names[r->outcome];
}

/* "time,memory" */
static void format_limits_hit(unsigned hit, char *out, size_t size)
{
    static const char *const names[] = {"time",      "memory", "processes",
                                        "workspace", "output", "files"};
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(hit & 1u << i))
            continue;
        int n = snprintf(out + len, size - len, "%s%s", len ? "," : "", names[i]);
        if (n < 0 || (size_t)n >= size - len)
            return;
        len += (size_t)n;
    }
}

/* A job of our own has no language. */
static const char *language_name(const struct execution *x)
{
    return x->language != NULL ? x->language->name : "build";
}

static void log_run(const struct execution *x, const struct run_result *r)
{
    char hit[64];
    format_limits_hit(r->limits_hit, hit, sizeof hit);
    log_event(LOG_INFO, x->check_only ? "policy_check" : "run", LOG_STR("id", x->id),
              LOG_STR("client", x->client), LOG_STR("language", language_name(x)),
              LOG_INT("timeout_ms", x->timeout_ms), LOG_INT("memory_mb", x->limits.memory_mb),
              LOG_INT("cpu_milli", x->limits.cpu_milli), LOG_INT("processes", x->limits.processes),
              LOG_INT("workspace_mb", x->limits.workspace_mb),
              LOG_INT("output_kb", x->limits.output_kb), LOG_STR("outcome", outcome_name(r)),
              LOG_INT("exit_code", r->exit_code), LOG_INT("signal", r->signal),
              LOG_STR("limits_hit", hit),
              LOG_REAL("queue_ms", (double)(x->started_us - x->asked_us) / 1000),
              LOG_REAL("wall_ms", (double)r->wall_us / 1000),
              LOG_REAL("cpu_ms", (double)r->cpu_us / 1000),
              LOG_INT("memory_peak_kb", (int64_t)(r->memory_peak / 1024)),
              LOG_BOOL("warm", r->isolation.warm));
    if (r->outcome == RUN_FAILED)
        log_event(LOG_ERROR, "run_failed", LOG_STR("id", x->id), LOG_STR("reason", r->message));
}

/* -- a run -- */

static int pump(struct execute_service *s, const struct execution *mine, struct err *e);

static void end_execution(struct execution *x, struct run_result *result)
{
    struct execute_service *s = x->service;
    struct run_events events = x->events;
    bool abandoned = x->abandoned;

    x->run = NULL;
    log_run(x, result);
    admission_note_duration(s->admission, clock_now_us() - x->started_us);
    admission_leave(s->admission, &x->ticket);
    free_execution(x);
    if (abandoned)
        run_result_finish(result);
    else
        events.on_done(events.data, result);
    pump(s, NULL, NULL);
}

static void on_start(void *data)
{
    struct execution *x = data;
    if (!x->abandoned && x->events.on_start)
        x->events.on_start(x->events.data);
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct execution *x = data;
    if (!x->abandoned && x->events.on_output)
        x->events.on_output(x->events.data, stream, bytes, len);
}

static void on_done(void *data, struct run_result *result)
{
    end_execution(data, result);
}

/* Hands an admitted execution to the engine. */
static int start_run(struct execution *x, struct err *e)
{
    const struct run_events events = {
        .on_start = on_start, .on_output = on_output, .on_done = on_done, .data = x};
    struct run_spec *spec = x->spec;
    x->started_us = clock_now_us();
    x->spec = NULL;
    x->run = engine_run(x->service->engine, spec, &events, e);
    return x->run ? 0 : -1;
}

/* Starts all that may start.  When the engine has no memory for `mine`, that is its caller's error
 * (-1 and e), and mine is freed; any other's is told to its own client. */
static int pump(struct execute_service *s, const struct execution *mine, struct err *e)
{
    struct admission_ticket *t;
    int result = 0;
    while ((t = admission_next(s->admission))) {
        struct execution *x = (struct execution *)t;
        struct err failure = {0};
        if (start_run(x, &failure) == 0)
            continue;
        if (x == mine) {
            admission_leave(s->admission, t);
            free_execution(x);
            if (e)
                *e = failure;
            result = -1;
            continue;
        }
        struct run_result failed = {.outcome = RUN_FAILED, .message = strdup(failure.text)};
        end_execution(x, &failed);
    }
    return result;
}

static struct execution *create_execution(struct execute_service *s, struct run_spec *spec,
                                          const char *client, const struct run_events *events)
{
    struct execution *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->service = s;
    x->spec = spec;
    x->events = *events;
    x->asked_us = x->started_us = clock_now_us();
    memcpy(x->id, spec->id, sizeof x->id);
    x->language = spec->language;
    x->limits = spec->limits;
    x->timeout_ms = spec->timeout_ms;
    x->check_only = spec->check_only;
    x->ticket.memory_mb = spec->limits.memory_mb;
    snprintf(x->client, sizeof x->client, "%s", client);
    link_execution(x);
    return x;
}

struct execution *execute_submit(struct execute_service *s, struct run_spec *spec,
                                 const char *client, const struct run_events *events, struct err *e)
{
    assert(spec->limits.memory_mb > 0);
    struct execution *x = create_execution(s, spec, client, events);
    if (!x) {
        run_spec_destroy(spec);
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    if (admission_enter(s->admission, client, &x->ticket, e) < 0) {
        free_execution(x);
        return NULL;
    }
    if (pump(s, x, e) < 0)
        return NULL;
    return x;
}

void execute_cancel(struct execution *x)
{
    struct execute_service *s = x->service;
    if (x->run) {
        x->abandoned = true;
        run_cancel(x->run);
        return;
    }
    admission_leave(s->admission, &x->ticket);
    log_event(LOG_INFO, "run", LOG_STR("id", x->id), LOG_STR("client", x->client),
              LOG_STR("language", language_name(x)), LOG_STR("outcome", "left_queue"),
              LOG_REAL("queue_ms", (double)(clock_now_us() - x->asked_us) / 1000));
    free_execution(x);
    pump(s, NULL, NULL);
}

unsigned execute_retry_after(const struct execute_service *s)
{
    return admission_retry_after(s->admission);
}

struct execute_status execute_status(const struct execute_service *s)
{
    return (struct execute_status){.running = admission_running(s->admission),
                                   .waiting = admission_waiting(s->admission)};
}
