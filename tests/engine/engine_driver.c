/* engine_driver: the engine and the spawner without a server, for tests/test_nests.py.
 *
 *   engine_driver PREFIX [FLAG OF dunlin serve]...
 *
 * Runs as root.  Reads one JSON object a line from stdin, does what its "op" says, and answers with
 * one JSON object, which has "error" when it could not be done:
 *
 *   {"op": "host", "which": "base"|"tools", "layer": N}                  "value": bytes
 *   {"op": "next"|"remove", "layer": N}                                  "value"
 *   {"op": "open", "kind": "run"|"build"|"tool", "layers": [N, ...], "target": N, "warm": bool,
 *    "network": "none"|"bridge"|"host", "modules": "a\nb"}               "nest": handle
 *   {"op": "run", "nest": handle, "language": "python", "code": TEXT, "fresh": bool,
 *    "program": [TEXT, ...], "files": {NAME: TEXT}, "network": ..., "timeout_ms": N}   what came
 *   {"op": "close", "nest": handle, "now": bool}                         "value": bytes of the
 * target
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "engine/language.h"
#include "engine/launch.h"
#include "engine/nest.h"

#define NESTS 16

static struct {
    uv_loop_t loop;
    struct engine *engine;
    struct nest *nests[NESTS];
    struct settings settings;
    bool waiting; /* for the answer of what is being done */
    json_t *answer;
    struct buf output[3]; /* of the run in progress, by descriptor */
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

static uint32_t network_of(const json_t *in)
{
    const char *name = text_of(in, "network");

    return strcmp(name, "bridge") == 0 ? SPAWN_NETWORK_BRIDGE
           : strcmp(name, "host") == 0 ? SPAWN_NETWORK_HOST
                                       : SPAWN_NETWORK_NONE;
}

static struct nest *nest_of(const json_t *in)
{
    uint64_t i = number_of(in, "nest");

    return json_object_get(in, "nest") != NULL && i < NESTS ? d.nests[i] : NULL;
}

/* -- layers ------------------------------------------------------------------------------------ */

static void on_layer(void *data, uint64_t value, const struct err *e)
{
    answer(e != NULL ? trouble(e->text) : json_pack("{s:I}", "value", (json_int_t)value));
}

static void do_layer(const json_t *in)
{
    const char *op = text_of(in, "op");
    uint64_t layer = number_of(in, "layer");

    if (strcmp(op, "host") == 0)
        layer_make_host(d.engine,
                        strcmp(text_of(in, "which"), "tools") == 0 ? SPAWN_HOST_TOOLS
                                                                   : SPAWN_HOST_BASE,
                        layer, on_layer, NULL);
    else if (strcmp(op, "next") == 0)
        layer_next(d.engine, layer, on_layer, NULL);
    else
        layer_remove(d.engine, layer, on_layer, NULL);
    wait_for_answer();
}

/* -- nests ------------------------------------------------------------------------------------- */

static void on_failed(struct nest *nest, const struct err *e, void *data)
{
    answer(trouble(e->text));
}

static void on_closed(void *data, uint64_t bytes, const struct err *e)
{
    on_layer(NULL, bytes, e);
}

static void do_open(const json_t *in)
{
    const char *kind = text_of(in, "kind");
    struct nest_config config = {
        .make = {.network = network_of(in), .target = number_of(in, "target")},
        .modules = text_of(in, "modules"),
        .pool_min = 1,
        .pool_max = 2,
        .on_failed = on_failed};
    const json_t *layers = json_object_get(in, "layers");
    struct err e = {0};
    int i = 0;

    config.make.kind = strcmp(kind, "build") == 0  ? SPAWN_NEST_BUILD
                       : strcmp(kind, "tool") == 0 ? SPAWN_NEST_TOOL
                                                   : SPAWN_NEST_RUN;
    config.make.warm = json_is_true(json_object_get(in, "warm"));
    config.make.target_mb = config.make.target != 0 ? (uint32_t)(d.settings.build_disk >> 20) : 0;
    while (config.make.nlayers < SPAWN_LAYERS && config.make.nlayers < json_array_size(layers)) {
        config.make.layers[config.make.nlayers] =
            (uint64_t)json_integer_value(json_array_get(layers, config.make.nlayers));
        config.make.nlayers++;
    }
    while (i < NESTS - 1 && d.nests[i] != NULL)
        i++;
    d.nests[i] = nest_open(d.engine, &config, &e);
    if (d.nests[i] == NULL) {
        answer(trouble(e.text));
        return;
    }
    d.waiting = true;
    while (d.waiting && !nest_is_up(d.nests[i]))
        uv_run(&d.loop, UV_RUN_ONCE);
    if (d.waiting)
        answer(json_pack("{s:i}", "nest", i));
    else
        json_object_set_new(d.answer, "nest", json_integer(i));
}

static void do_close(const json_t *in)
{
    struct nest *nest = nest_of(in);

    if (nest == NULL) {
        answer(trouble("no such nest"));
        return;
    }
    nest_close(nest, json_is_true(json_object_get(in, "now")), on_closed, NULL);
    wait_for_answer();
    d.nests[number_of(in, "nest")] = NULL;
}

/* -- runs -------------------------------------------------------------------------------------- */

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    buf_append(&d.output[stream], bytes, len);
}

static json_t *text(const char *data, size_t len)
{
    json_t *value = json_stringn(data != NULL ? data : "", len);

    return value != NULL ? value : json_string("(not UTF-8)");
}

static void on_done(void *data, struct run_result *r)
{
    static const char *const outcomes[] = {"exited",   "signaled", "timeout",  "refused",
                                           "bad_file", "failed",   "cancelled"};
    json_t *files = json_object();

    for (size_t i = 0; i < r->nfiles; i++)
        json_object_set_new(files, r->files[i].name, text(r->files[i].data, r->files[i].len));
    answer(json_pack("{s:s, s:i, s:i, s:o, s:o, s:s?, s:b, s:s?, s:s?, s:s?, s:o}", "outcome",
                     outcomes[r->outcome], "exit_code", r->exit_code, "signal", r->signal, "stdout",
                     text(d.output[1].data, d.output[1].len), "stderr",
                     text(d.output[2].data, d.output[2].len), "message", r->message, "warm",
                     r->isolation.warm, "network", r->isolation.network, "seccomp",
                     r->isolation.seccomp, "modules", r->modules, "files", files));
    run_result_finish(r);
    for (int i = 1; i <= 2; i++)
        buf_finish(&d.output[i]);
}

static void take_files(struct run_spec *spec, json_t *files)
{
    const char *name;
    json_t *value;

    spec->files = calloc(json_object_size(files) + 1, sizeof *spec->files);
    json_object_foreach(files, name, value) spec->files[spec->nfiles++] = (struct run_file){
        strdup(name), strdup(json_string_value(value)), json_string_length(value)};
}

static void take_program(struct run_spec *spec, const json_t *program)
{
    size_t n = json_array_size(program);

    if (n == 0)
        return;
    spec->program = calloc(n, sizeof *spec->program);
    for (; spec->nprogram < n; spec->nprogram++)
        spec->program[spec->nprogram] =
            strdup(json_string_value(json_array_get(program, spec->nprogram)));
}

static void do_run(const json_t *in)
{
    struct run_events events = {.on_output = on_output, .on_done = on_done};
    struct run_spec *spec = run_spec_create();
    const char *language = text_of(in, "language");

    spec->language = language_find(language[0] != '\0' ? language : "python");
    spec->code = strdup(text_of(in, "code"));
    spec->code_len = strlen(spec->code);
    spec->timeout_ms = (uint32_t)number_of(in, "timeout_ms");
    if (spec->timeout_ms == 0)
        spec->timeout_ms = 20000;
    spec->max_file_size = 1 << 20;
    spec->nest = nest_of(in);
    spec->fresh = json_is_true(json_object_get(in, "fresh"));
    spec->network = network_of(in);
    take_files(spec, json_object_get(in, "files"));
    take_program(spec, json_object_get(in, "program"));
    if (engine_run(d.engine, spec, &events, NULL) == NULL)
        answer(trouble("out of memory"));
    else
        wait_for_answer();
}

/* -- the loop ---------------------------------------------------------------------------------- */

static void serve(void)
{
    static const struct {
        const char *op;
        void (*handler)(const json_t *in);
    } handlers[] = {{"host", do_layer}, {"next", do_layer}, {"remove", do_layer},
                    {"open", do_open},  {"run", do_run},    {"close", do_close}};
    static char line[1 << 20];

    while (fgets(line, sizeof line, stdin) != NULL) {
        json_t *in = json_loads(line, 0, NULL);

        answer(trouble("no such op"));
        for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
            if (strcmp(text_of(in, "op"), handlers[i].op) == 0)
                handlers[i].handler(in);
        }
        json_decref(in);
        json_dumpf(d.answer, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
    }
}

static void on_spawner_gone(void *data)
{
    fprintf(stderr, "engine_driver: the spawner is gone\n");
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
        fprintf(stderr, "engine_driver: %s\n", e.text);
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
