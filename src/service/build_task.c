/* build_task: opens a nest, runs a job in it, closes the nest.
 *
 * Runs in the server, on the loop.  The job's output and files are hostile (a script was root in
 * there); whether it succeeded is its exit status as pid 1 of its sandbox reports it, and whether
 * the layer is complete is the spawner's word. */
#include "service/build_task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "service/environment_internal.h"

#define TARGET_MIN_MB 64 /* below it nothing useful fits */
#define DISK_FULL     "the disk of the data directory is nearly full (DISK_RESERVE)"

enum { STDOUT = 1, STDERR, STREAMS };

struct build_task {
    struct environment_service *service;
    struct build_task *next;
    struct nest *nest;
    struct run *run; /* NULL when it has ended */
    const char *what, *cancelled;
    struct build_lines lines[STREAMS];
    struct build_task_result result;
    uint64_t started_us;
    uint32_t target_mb;
    void (*on_pause)(void *data);
    void (*on_done)(void *data, struct build_task_result *result);
    void *data;
};

static void unlink_task(struct build_task *t)
{
    struct build_task **at = &t->service->tasks;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

static void on_closed(void *data, uint64_t bytes, const struct err *e)
{
    struct build_task *t = data;

    t->result.bytes = bytes;
    t->result.seconds = (double)(clock_now_us() - t->started_us) / 1e6;
    if (e != NULL && t->result.ok) {
        t->result.ok = false;
        snprintf(t->result.reason, sizeof t->result.reason, "%s", e->text);
    }
    unlink_task(t);
    t->on_done(t->data, &t->result);
    build_facts_finish(&t->result.facts);
    free(t);
}

/* "the setup script ..." */
__attribute__((format(printf, 2, 3))) static void blame(struct build_task *t, const char *format,
                                                        ...)
{
    char *reason = t->result.reason;
    int len = snprintf(reason, sizeof t->result.reason, "%s ", t->what);
    va_list args;

    va_start(args, format);
    vsnprintf(reason + len, sizeof t->result.reason - (size_t)len, format, args);
    va_end(args);
}

static void explain_signal(struct build_task *t, const struct run_result *r)
{
    const struct environment_rules *rules = &t->service->rules;

    if (r->limits_hit & RUN_HIT_OUTPUT)
        blame(t, "printed more than 64 MB");
    else if (r->limits_hit & RUN_HIT_MEMORY)
        blame(t, "was killed by signal %d: more than %u MB of memory (BUILD_MEMORY)", r->signal,
              rules->build_limits.memory_mb);
    else
        blame(t, "was killed by signal %d", r->signal);
}

static void explain(struct build_task *t, const struct run_result *r)
{
    const struct environment_rules *rules = &t->service->rules;

    switch (r->outcome) {
    case RUN_EXITED:
        blame(t, "ended with exit status %d%s%s", r->exit_code,
              r->limits_hit & RUN_HIT_MEMORY ? "; it reached its memory limit (BUILD_MEMORY)" : "",
              r->limits_hit & RUN_HIT_PROCESSES
                  ? "; it reached its limit of processes (BUILD_PROCESSES)"
                  : "");
        break;
    case RUN_SIGNALED:
        explain_signal(t, r);
        break;
    case RUN_TIMEOUT:
        blame(t, "took longer than %u s (BUILD_TIMEOUT)", rules->build_timeout_ms / 1000);
        break;
    default:
        blame(t, "could not be run: %s", r->message != NULL ? r->message : "cancelled");
    }
}

static void on_run_done(void *data, struct run_result *r)
{
    struct build_task *t = data;

    t->run = NULL;
    for (int i = STDOUT; i <= STDERR; i++)
        build_lines_end(&t->lines[i]);
    t->on_pause(t->data);
    t->result.ok = r->outcome == RUN_EXITED && r->exit_code == 0 && t->cancelled == NULL;
    if (t->cancelled != NULL)
        snprintf(t->result.reason, sizeof t->result.reason, "%s", t->cancelled);
    else if (!t->result.ok)
        explain(t, r);
    build_facts_read(&t->result.facts, r);
    run_result_finish(r);
    nest_close(t->nest, true, on_closed, t);
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct build_task *t = data;

    if (stream != STDOUT && stream != STDERR)
        return;
    build_lines_feed(&t->lines[stream], bytes, len);
    t->on_pause(t->data);
}

/* The run that waits in it has been told, and that is where the task goes on. */
static void on_nest_failed(struct nest *nest, const struct err *e, void *data)
{
}

static char **copy_strings(const char *const *strings, size_t n)
{
    char **copy = calloc(n + 1, sizeof *copy);

    for (size_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = strdup(strings[i]);
        if (copy[i] != NULL)
            continue;
        while (i > 0)
            free(copy[--i]);
        free(copy);
        return NULL;
    }
    return copy;
}

static bool add_file(struct run_spec *spec, const struct build_task_config *c)
{
    if (c->file_name == NULL)
        return true;
    spec->files = calloc(1, sizeof *spec->files);
    if (spec->files == NULL)
        return false;
    spec->nfiles = 1;
    spec->files[0] = (struct run_file){
        .name = strdup(c->file_name), .data = strdup(c->file_data), .len = strlen(c->file_data)};
    return spec->files[0].name != NULL && spec->files[0].data != NULL;
}

static struct run_spec *describe(const struct build_task *t, const struct build_task_config *c)
{
    const struct environment_rules *rules = &t->service->rules;
    struct run_spec *spec = run_spec_create();

    if (spec == NULL)
        return NULL;
    spec->nest = t->nest;
    spec->network = c->make.network;
    spec->timeout_ms = rules->build_timeout_ms;
    spec->limits = rules->build_limits;
    spec->max_file_size = BUILD_FACTS_BYTES;
    spec->program = copy_strings(c->program, c->nprogram);
    spec->nprogram = spec->program != NULL ? c->nprogram : 0;
    spec->env = copy_strings(c->env, c->nenv);
    spec->nenv = spec->env != NULL ? c->nenv : 0;
    if (spec->program == NULL || spec->env == NULL || !add_file(spec, c)) {
        run_spec_destroy(spec);
        return NULL;
    }
    return spec;
}

static void on_abandoned(void *data, uint64_t bytes, const struct err *e)
{
}

static uint64_t free_bytes(const struct environment_service *s)
{
    struct statfs fs;

    return fstatfs(s->logs, &fs) == 0 ? (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize : UINT64_MAX;
}

/* How large the layer may become: what is written into it reaches the disk later, so the size of
 * its file system is the only bound that holds.  All that are being made must fit together. */
static int choose_size(struct build_task *t, struct err *e)
{
    const struct environment_service *s = t->service;
    uint64_t room = free_bytes(s), promised = s->rules.disk_reserve;

    for (const struct build_task *other = s->tasks; other != NULL; other = other->next)
        promised += (uint64_t)other->target_mb << 20;
    room = room > promised ? (room - promised) >> 20 : 0;
    if (room < TARGET_MIN_MB)
        return err_set(e, ERR_LIMIT, 0, DISK_FULL);
    t->target_mb = room < s->rules.build_disk_mb ? (uint32_t)room : s->rules.build_disk_mb;
    return 0;
}

static int start_run(struct build_task *t, const struct build_task_config *c, struct err *e)
{
    const struct run_events events = {.on_output = on_output, .on_done = on_run_done, .data = t};
    struct nest_config nest = {
        .make = c->make, .pool_max = 1, .on_failed = on_nest_failed, .data = t};
    struct run_spec *spec;

    if (choose_size(t, e) < 0)
        return -1;
    nest.make.target_mb = t->target_mb;
    t->nest = nest_open(t->service->config.engine, &nest, e);
    if (t->nest == NULL)
        return -1;
    spec = describe(t, c);
    if (spec != NULL)
        t->run = engine_run(t->service->config.engine, spec, &events, e);
    else
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    if (t->run != NULL)
        return 0;
    nest_close(t->nest, true, on_abandoned, NULL);
    return -1;
}

struct build_task *build_task_start(struct environment_service *s,
                                    const struct build_task_config *c, struct err *e)
{
    struct build_task *t = calloc(1, sizeof *t);

    if (t == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    t->service = s;
    t->what = c->what;
    t->on_pause = c->on_pause;
    t->on_done = c->on_done;
    t->data = c->data;
    t->started_us = clock_now_us();
    for (int i = STDOUT; i <= STDERR; i++)
        t->lines[i] = (struct build_lines){.stream = i, .each = c->on_line, .data = c->data};
    if (start_run(t, c, e) < 0) {
        free(t);
        return NULL;
    }
    t->next = s->tasks;
    s->tasks = t;
    return t;
}

void build_task_cancel(struct build_task *t, const char *why)
{
    if (t->cancelled != NULL)
        return;
    t->cancelled = why != NULL ? why : "cancelled";
    if (t->run != NULL) {
        run_cancel(t->run);
    } else if (t->result.ok) { /* the layer is being made safe already, for nothing */
        t->result.ok = false;
        snprintf(t->result.reason, sizeof t->result.reason, "%s", t->cancelled);
    }
}

bool build_task_is_sealing(const struct build_task *t)
{
    return t->run == NULL;
}

/* -- the disk ---------------------------------------------------------------------------------- */

void build_tasks_watch_disk(struct environment_service *s)
{
    if (s->tasks == NULL || free_bytes(s) >= s->rules.disk_reserve)
        return;
    for (struct build_task *t = s->tasks; t != NULL; t = t->next)
        build_task_cancel(t, DISK_FULL);
}

void build_tasks_destroy(struct environment_service *s)
{
    struct build_task *next;

    for (struct build_task *t = s->tasks; t != NULL; t = next) {
        next = t->next;
        build_facts_finish(&t->result.facts);
        free(t);
    }
    s->tasks = NULL;
}
