/* run: one run on the same engine as the server's, in one process.
 *
 * Runs as the operator (root).  The run's output is copied to our own descriptors and never
 * interpreted; its files are written only beneath --output, by names that are checked again. */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/str.h"
#include "cli/client_exec.h"
#include "cli/run_options.h"
#include "engine/engine.h"
#include "engine/language.h"
#include "engine/launch.h"

#define STATUS_TIMEOUT    124 /* as timeout(1) */
#define STATUS_NO_SANDBOX 125
#define STATUS_SIGNAL     128

struct local_run {
    struct run_options options;
    uv_loop_t loop;
    struct engine *engine;
    int status;
};

/* -- what comes of it -------------------------------------------------------------------------- */

static int status_of(const struct run_result *r)
{
    switch (r->outcome) {
    case RUN_EXITED:
        return r->exit_code;
    case RUN_SIGNALED:
        return STATUS_SIGNAL + r->signal;
    case RUN_TIMEOUT:
        return STATUS_TIMEOUT;
    default:
        return STATUS_NO_SANDBOX;
    }
}

static json_t *text(const struct buf *b)
{
    _cleanup_buf_ struct buf clean;
    json_t *value;

    buf_init(&clean, 0);
    if (utf8_append(&clean, b->data != NULL ? b->data : "", b->len) < 0)
        return json_string("");
    value = json_stringn(clean.data != NULL ? clean.data : "", clean.len);
    return value != NULL ? value : json_string("");
}

static void print_json(const struct run_result *r)
{
    json_t *files = json_array();
    json_t *root;

    for (size_t i = 0; i < r->nfiles; i++)
        json_array_append_new(files, json_string(r->files[i].name));
    root =
        json_pack("{s:b, s:o, s:o, s:i, s:i, s:b, s:s?, s:o, s:{s:f, s:f, s:I}}", "success",
                  r->outcome == RUN_EXITED && r->exit_code == 0, "stdout", text(&r->out), "stderr",
                  text(&r->err), "exit_code", r->exit_code, "signal", r->signal, "timed_out",
                  r->outcome == RUN_TIMEOUT, "error", r->message, "files", files, "usage",
                  "wall_ms", (double)r->wall_us / 1000, "cpu_ms", (double)r->cpu_us / 1000,
                  "memory_peak_kb", (json_int_t)(r->memory_peak >> 10));
    json_dumpf(root, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

/* Makes the parents of dir/name; the directory for the last component, or -1. */
static int open_parent(const char *dir, char *name, const char **ret_last)
{
    _cleanup_fd_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *slash;

    while (at >= 0 && (slash = strchr(name, '/')) != NULL) {
        int next;

        *slash = '\0';
        if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0 || *name == '\0')
            return -1;
        mkdirat(at, name, 0755);
        next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(at);
        at = next;
        name = slash + 1;
    }
    *ret_last = name;
    return fd_steal(&at);
}

/* Safe because: each component is opened without following links, and none may be "..", so a name
 * that a hostile run chose stays beneath the directory. */
static int write_output(const char *dir, const struct run_output_file *f, struct err *e)
{
    char name[4096];
    const char *last = "";
    _cleanup_fd_ int parent = -1, fd = -1;

    snprintf(name, sizeof name, "%s", f->name);
    parent = open_parent(dir, name, &last);
    if (parent >= 0 && strcmp(last, "..") != 0)
        fd = openat(parent, last, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, ERR_INVALID, errno, "write %s/%s", dir, f->name);
    return fd_write_all(fd, f->data, f->len, e);
}

static void write_outputs(const char *dir, const struct run_result *r)
{
    struct err e = {0};

    mkdir(dir, 0755);
    for (size_t i = 0; i < r->nfiles; i++) {
        if (write_output(dir, &r->files[i], &e) < 0)
            fprintf(stderr, "dunlin run: %s\n", e.text);
    }
}

static void on_done(void *data, struct run_result *r)
{
    struct local_run *local = data;

    local->status = status_of(r);
    if (local->options.output != NULL)
        write_outputs(local->options.output, r);
    if (local->options.json)
        print_json(r);
    else if (r->outcome == RUN_TIMEOUT)
        fputs("dunlin run: ended at its deadline\n", stderr);
    else if (r->message != NULL)
        fprintf(stderr, "dunlin run: %s\n", r->message);
    if (!local->options.json && (r->limits_hit & RUN_HIT_MEMORY) != 0)
        fputs("dunlin run: it ran out of memory\n", stderr);
    run_result_finish(r);
    uv_stop(&local->loop);
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct local_run *local = data;

    if (!local->options.json)
        fd_write_all(stream, bytes, len, NULL);
}

/* -- the way there ----------------------------------------------------------------------------- */

static void on_spawner_gone(void *data)
{
    struct local_run *local = data;

    local->status = STATUS_NO_SANDBOX;
    uv_stop(&local->loop);
}

static int run_it(struct local_run *local, const struct settings *s, struct launch *launch,
                  struct err *e)
{
    struct run_spec *spec = local->options.spec;
    struct run_events events = {.on_output = on_output, .on_done = on_done, .data = local};
    struct engine_config config = {.spawner = fd_steal(&launch->spawner),
                                   .pool_min = 1,
                                   .pool_max = 1,
                                   .limits = {.memory_mb = (uint32_t)(s->memory_limit >> 20),
                                              .cpu_milli = (uint32_t)s->cpu_milli,
                                              .processes = (uint32_t)s->process_limit,
                                              .workspace_mb = (uint32_t)(s->workspace_limit >> 20),
                                              .output_kb = (uint32_t)(s->max_output >> 10)},
                                   .work_dir = s->work_dir,
                                   .on_spawner_gone = on_spawner_gone,
                                   .data = local};

    if (!language_available(spec->language))
        return err_set(e, ERR_UNAVAILABLE, 0, "this machine has no interpreter for %s",
                       spec->language->name);
    if (uv_loop_init(&local->loop) != 0)
        return err_set(e, ERR_INTERNAL, 0, "event loop");
    local->engine = engine_create(&local->loop, &config, e);
    if (local->engine == NULL)
        return -1;
    local->options.spec = NULL; /* the engine's now */
    if (engine_run(local->engine, spec, &events, e) == NULL)
        return -1;
    uv_run(&local->loop, UV_RUN_DEFAULT);
    return 0;
}

static void warn(const char *message)
{
    fprintf(stderr, "dunlin run: %s\n", message);
}

static int launch_and_run(struct local_run *local, struct err *e)
{
    char *no_flags[] = {(char *)"run", NULL};
    struct launch_paths paths;
    struct launch launch = {.spawner = -1, .lock = -1};
    struct settings s;
    int rest, r;

    if (settings_load(&s, ".env", 1, no_flags, &rest, warn, e) < 0)
        return -1;
    if (local->options.data != NULL) {
        free(s.data);
        s.data = strdup(local->options.data);
    }
    r = launch_find_paths(&paths, e);
    if (r == 0)
        r = launch_start(&s, &paths, false, true, &launch, e);
    if (r == 0)
        r = run_it(local, &s, &launch, e);
    engine_destroy(local->engine);
    if (local->engine != NULL)
        uv_run(&local->loop, UV_RUN_NOWAIT);
    fd_close(&launch.spawner);
    launch_wait(&launch);
    settings_finish(&s);
    return r;
}

/* Whether an option names a server; behind the file the words are the program's. */
static bool is_remote(int argc, char **argv)
{
    for (int i = 1; i < argc && argv[i][0] == '-' && argv[i][1] == '-'; i++) {
        if (strcmp(argv[i], "--url") == 0 || strncmp(argv[i], "--url=", 6) == 0)
            return true;
        i += strchr(argv[i], '=') == NULL && strcmp(argv[i], "--json") != 0 &&
             strcmp(argv[i], "--stdin") != 0;
    }
    return false;
}

int cli_run(int argc, char **argv)
{
    struct local_run local = {.status = STATUS_NO_SANDBOX};
    struct err e = {0};
    int status = 2;

    if (is_remote(argc, argv))
        return cli_client(argc, argv);
    log_init("run", LOG_WARNING, LOG_AUTO);
    signal(SIGPIPE, SIG_IGN);
    if (run_options_parse(&local.options, argc, argv, &e) < 0) {
        if (e.code != ERR_NONE)
            fprintf(stderr, "dunlin run: %s\n", e.text);
    } else if (local.options.help) {
        run_options_usage();
        status = 0;
    } else {
        if (launch_and_run(&local, &e) < 0)
            fprintf(stderr, "dunlin run: %s\n", e.text);
        status = local.status;
    }
    run_options_finish(&local.options);
    return status;
}
