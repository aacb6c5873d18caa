/* live_driver: live sandboxes of sessions without a server, for tests/test_live.py.
 *
 *   live_driver PREFIX [FLAG OF dunlin serve]...
 *
 * Runs as root.  Reads one JSON object a line from stdin, does what its "op" says, and answers with
 * one JSON object, which has "error" when it could not be done, and "us", how long it took:
 *
 *   {"op": "open", "workspace": N, "new": bool, "bytes": N}     "live": handle
 *   {"op": "exec", "live": handle, "argv": [TEXT, ...], "stdin": TEXT, "python": bool,
 *    "script": PATH, "code": TEXT, "background": bool, "terminal": bool, "timeout_ms": N}  its end
 *   {"op": "file", "live": handle, "call": enum file_op, "path": TEXT, "other": TEXT, "flags": N,
 *    "offset": N, "size": N, "limit": N, "data": TEXT, "fill": N}
 *                  "frames": [{...}], "bytes": how many came, "data": the first of them, "errno"
 *   {"op": "grow", "live": handle, "bytes": N}
 *   {"op": "usage", "live": handle}                             "cpu_us", "memory_peak"
 *   {"op": "close", "live": handle}                             "value": bytes on the disk
 *   {"op": "copy", "workspace": N, "to": N}, {"op": "remove", "workspace": N}  "value"
 *   {"op": "turn", "ms": N}                                     lets things happen for so long
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "engine/file_call.h"
#include "engine/launch.h"
#include "engine/live.h"
#include "engine/process.h"

#define LIVES      2048
#define STRINGS    64
#define DATA_MAX   (64u << 10)
#define FILL_PIECE (256u << 10)

static struct {
    uv_loop_t loop;
    struct engine *engine;
    struct live *lives[LIVES];
    struct settings settings;
    bool waiting; /* for the answer of what is being done */
    json_t *answer;
    uint32_t last_id;
    struct buf output[3]; /* of the program in progress, by descriptor */
    json_t *frames;       /* of the call in progress */
    struct buf data;
    uint64_t bytes, fill;
    struct file_call *call;
} d;

static json_t *trouble(const char *text)
{
    return json_pack("{s:s}", "error", text);
}

static void answer(json_t *value)
{
    json_decref(d.answer);
    d.answer = value;
    d.waiting = false;
}

static void wait_for_answer(void)
{
    d.waiting = true;
    while (d.waiting && uv_run(&d.loop, UV_RUN_ONCE) != 0)
        ;
}

static const char *text_of(const json_t *in, const char *key)
{
    const char *text = json_string_value(json_object_get(in, key));

    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *in, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(in, key));
}

static bool is_true(const json_t *in, const char *key)
{
    return json_is_true(json_object_get(in, key));
}

static struct live *live_of(const json_t *in)
{
    return d.lives[number_of(in, "live") % LIVES];
}

static json_t *text(const char *data, size_t len)
{
    json_t *value = json_stringn(data != NULL ? data : "", len);

    return value != NULL ? value : json_string("(not UTF-8)");
}

/* -- sessions ---------------------------------------------------------------------------------- */

static void on_up(void *data)
{
    answer(json_pack("{s:i}", "live", (int)(intptr_t)data));
}

static void on_lost(void *data, const struct err *e)
{
    answer(json_pack("{s:s, s:i, s:i}", "error", e->text, "code", e->code, "live",
                     (int)(intptr_t)data));
}

static void do_open(const json_t *in)
{
    struct live_config config = {.workspace = number_of(in, "workspace"),
                                 .bytes = number_of(in, "bytes"),
                                 .is_new = is_true(in, "new"),
                                 .on_up = on_up,
                                 .on_lost = on_lost};
    intptr_t i = 0;
    struct err e = {0};

    while (i < LIVES - 1 && d.lives[i] != NULL)
        i++;
    config.data = (void *)i;
    d.lives[i] = live_open(d.engine, &config, &e);
    if (d.lives[i] == NULL)
        answer(trouble(e.text));
    else
        wait_for_answer();
}

static void on_closed(void *data, uint64_t bytes)
{
    answer(json_pack("{s:I}", "value", (json_int_t)bytes));
}

static void do_close(const json_t *in)
{
    live_close(live_of(in), on_closed, NULL);
    d.lives[number_of(in, "live") % LIVES] = NULL;
    wait_for_answer();
}

static void on_done(void *data, uint64_t value, const struct err *e)
{
    answer(e != NULL ? trouble(e->text) : json_pack("{s:I}", "value", (json_int_t)value));
}

static void do_workspace(const json_t *in)
{
    const char *op = text_of(in, "op");
    uint64_t workspace = number_of(in, "workspace");

    if (strcmp(op, "copy") == 0)
        workspace_copy(d.engine, workspace, number_of(in, "to"), on_done, NULL);
    else
        workspace_remove(d.engine, workspace, on_done, NULL);
    wait_for_answer();
}

static void on_grown(void *data, const struct err *e)
{
    on_done(NULL, 0, e);
}

static void do_grow(const json_t *in)
{
    struct err e = {0};

    if (live_grow(live_of(in), number_of(in, "bytes"), on_grown, NULL, &e) < 0)
        answer(trouble(e.text));
    else
        wait_for_answer();
}

static void on_usage(void *data, const struct live_usage *u)
{
    answer(u == NULL ? trouble("gone")
                     : json_pack("{s:I, s:I, s:i}", "cpu_us", (json_int_t)u->cpu_us, "memory_peak",
                                 (json_int_t)u->memory_peak, "oom_kills", (int)u->oom_kills));
}

static void do_usage(const json_t *in)
{
    struct err e = {0};

    if (live_usage(live_of(in), on_usage, NULL, &e) < 0)
        answer(trouble(e.text));
    else
        wait_for_answer();
}

/* -- programs ---------------------------------------------------------------------------------- */

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    buf_append(&d.output[stream], bytes, len);
}

static void on_end(void *data, const struct process_result *r)
{
    answer(json_pack("{s:s?, s:i, s:i, s:b, s:b, s:b, s:I, s:I, s:I, s:o, s:o}", "refused",
                     r->error, "exit_code", r->exit_code, "signal", r->signal, "timed_out",
                     r->timed_out, "lost", r->lost, "warm", r->warm, "wall_us",
                     (json_int_t)r->wall_us, "cpu_us", (json_int_t)r->cpu_us, "memory_peak",
                     (json_int_t)r->memory_peak, "stdout", text(d.output[1].data, d.output[1].len),
                     "stderr", text(d.output[2].data, d.output[2].len)));
    for (int i = 1; i <= 2; i++)
        buf_finish(&d.output[i]);
}

static void do_exec(const json_t *in)
{
    const struct process_events events = {.on_output = on_output, .on_end = on_end};
    const json_t *argv = json_object_get(in, "argv");
    const char *strings[STRINGS + 1] = {NULL};
    struct live *live = live_of(in);
    char **env = process_environment(live, is_true(in, "terminal"), NULL, NULL);
    struct process_spec spec = {.id = ++d.last_id,
                                .argv = strings,
                                .env = (const char *const *)env,
                                .script = json_string_value(json_object_get(in, "script")),
                                .script_data = text_of(in, "code"),
                                .script_len = strlen(text_of(in, "code")),
                                .temporary = is_true(in, "temporary"),
                                .is_python = is_true(in, "python"),
                                .background = is_true(in, "background"),
                                .terminal = is_true(in, "terminal"),
                                .rows = 24,
                                .columns = 80,
                                .stdin_data = text_of(in, "stdin"),
                                .stdin_len = strlen(text_of(in, "stdin")),
                                .timeout_ms = (uint32_t)number_of(in, "timeout_ms")};
    struct err e = {0};

    for (size_t i = 0; i < json_array_size(argv) && i < STRINGS; i++)
        strings[i] = json_string_value(json_array_get(argv, i));
    if (process_start(live, &spec, &events, &e) == NULL)
        answer(trouble(e.text));
    else
        wait_for_answer();
    free(env);
}

/* -- files ------------------------------------------------------------------------------------- */

static void on_frame(void *data, const struct file_message *m)
{
    json_t *f = json_pack("{s:i, s:o}", "frame", (int)m->type, "text", text(m->text, m->text_len));

    if (m->type == FILE_INFO)
        json_object_update_new(f, json_pack("{s:i, s:i, s:I}", "type", (int)m->info.type, "mode",
                                            (int)m->info.mode, "size", (json_int_t)m->info.size));
    if (m->type == FILE_PROCESS)
        json_object_set_new(f, "id", json_integer(m->process.id));
    json_array_append_new(d.frames, f);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    size_t room = DATA_MAX - d.data.len;

    d.bytes += len;
    buf_append(&d.data, bytes, len < room ? len : room);
}

static void fill(void *data)
{
    static const char zeros[FILL_PIECE];

    while (d.fill > 0) {
        size_t n = d.fill < sizeof zeros ? (size_t)d.fill : sizeof zeros;
        size_t taken = file_call_write(d.call, zeros, n);

        d.fill -= taken;
        if (taken < n)
            return;
    }
    file_call_finish(d.call);
}

static void on_call_end(void *data, const struct file_end *end, const char *words)
{
    answer(json_pack("{s:O, s:I, s:o, s:i, s:s, s:b, s:I}", "frames", d.frames, "bytes",
                     (json_int_t)d.bytes, "data", text(d.data.data, d.data.len), "errno",
                     end->error, "text", words, "truncated", end->truncated != 0, "count",
                     (json_int_t)end->bytes));
    d.call = NULL;
}

static bool takes_bytes(uint32_t op)
{
    return op == FILE_WRITE || op == FILE_APPEND || op == FILE_PATCH || op == FILE_UNPACK;
}

static void do_file(const json_t *in)
{
    const struct session_file what = {.op = (uint32_t)number_of(in, "call"),
                                      .flags = (uint32_t)number_of(in, "flags"),
                                      .offset = number_of(in, "offset"),
                                      .size = number_of(in, "size"),
                                      .mode = (uint32_t)number_of(in, "mode"),
                                      .limit = (uint32_t)number_of(in, "limit")};
    const struct file_call_events events = {
        .on_frame = on_frame, .on_bytes = on_bytes, .on_writable = fill, .on_end = on_call_end};
    const char *bytes = text_of(in, "data");
    struct err e = {0};

    d.frames = json_array();
    d.bytes = 0;
    d.fill = number_of(in, "fill");
    d.call =
        file_call_start(live_of(in), &what, text_of(in, "path"), text_of(in, "other"), &events, &e);
    if (d.call == NULL) {
        answer(trouble(e.text));
    } else {
        file_call_write(d.call, bytes, strlen(bytes));
        if (takes_bytes(what.op))
            fill(NULL);
        wait_for_answer();
    }
    json_decref(d.frames);
    buf_finish(&d.data);
}

/* -- the loop ---------------------------------------------------------------------------------- */

static void on_turned(uv_timer_t *timer)
{
    uv_timer_stop(timer);
    answer(json_object());
}

static void do_turn(const json_t *in)
{
    static uv_timer_t timer;

    if (timer.loop == NULL)
        uv_timer_init(&d.loop, &timer);
    uv_update_time(&d.loop);
    uv_timer_start(&timer, on_turned, number_of(in, "ms"), 0);
    wait_for_answer();
}

static void serve(void)
{
    static const struct {
        const char *op;
        void (*handler)(const json_t *in);
    } handlers[] = {{"open", do_open},      {"close", do_close},      {"exec", do_exec},
                    {"file", do_file},      {"grow", do_grow},        {"usage", do_usage},
                    {"copy", do_workspace}, {"remove", do_workspace}, {"turn", do_turn}};
    static char line[1 << 20];

    while (fgets(line, sizeof line, stdin) != NULL) {
        json_t *in = json_loads(line, 0, NULL);
        uint64_t from_us = clock_now_us();

        answer(trouble("no such op"));
        for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
            if (strcmp(text_of(in, "op"), handlers[i].op) == 0)
                handlers[i].handler(in);
        }
        json_object_set_new(d.answer, "us", json_integer((json_int_t)(clock_now_us() - from_us)));
        json_decref(in);
        json_dumpf(d.answer, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
    }
}

static void on_spawner_gone(void *data)
{
    fprintf(stderr, "live_driver: the spawner is gone\n");
    exit(1);
}

static int start(struct launch *launch, const char *prefix, struct err *e)
{
    const struct settings *s = &d.settings;
    struct launch_paths paths;

    snprintf(paths.libexec, sizeof paths.libexec, "%s/libexec/dunlin", prefix);
    snprintf(paths.share, sizeof paths.share, "%s/share/dunlin", prefix);
    if (launch_start(s, &paths, true, false, launch, e) < 0)
        return -1;
    struct engine_config config = {.spawner = fd_steal(&launch->spawner),
                                   .pool_min = (uint32_t)s->pool_min,
                                   .pool_max = (uint32_t)s->pool_max,
                                   .limits = {.memory_mb = (uint32_t)(s->memory_limit >> 20),
                                              .cpu_milli = (uint32_t)s->cpu_milli,
                                              .processes = (uint32_t)s->process_limit,
                                              .workspace_mb = (uint32_t)(s->workspace_limit >> 20),
                                              .output_kb = (uint32_t)(s->output_limit >> 10)},
                                   .work_dir = s->work_dir,
                                   .network = launch_network(s),
                                   .warm = true,
                                   .on_spawner_gone = on_spawner_gone};
    d.engine = engine_create(&d.loop, &config, e);
    return d.engine != NULL ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct launch launch = {.spawner = -1, .lock = -1};
    struct err e = {0};
    int rest;

    log_init("driver", LOG_WARNING, LOG_TEXT);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || uv_loop_init(&d.loop) != 0 ||
        settings_load(&d.settings, NULL, argc - 1, argv + 1, &rest, NULL, &e) < 0 ||
        start(&launch, argv[1], &e) < 0) {
        fprintf(stderr, "live_driver: %s\n", e.text);
        return 1;
    }
    serve();
    engine_destroy(d.engine);
    uv_run(&d.loop, UV_RUN_NOWAIT);
    launch_wait(&launch);
    settings_finish(&d.settings);
    json_decref(d.answer);
    return 0;
}
