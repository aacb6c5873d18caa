/* env_wait: waits until an environment is built, and shows how far it is.
 *
 * Runs in dunlin-client, as whoever calls it.  On a terminal one line changes; elsewhere there is a
 * line for each new phase and one every ten seconds.  Whoever stops waiting does not stop the
 * build. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_progress.h"
#include "cli/client_text.h"
#include "cli/env_internal.h"
#include "cli/words.h"

#define FRAME_MS           100
#define POLL_MS            500
#define POLL_FIRST_MS      20 /* many a build is over at once; doubles up to POLL_MS */
#define REPORT_S           10 /* between two lines where there is no terminal */
#define STATUS_INTERRUPTED 130

struct wait {
    struct client *client;
    const struct client_options *options;
    struct client_progress progress;
    unsigned limit_s;
    unsigned reported_s;
    uint64_t pause_ms;
};

/* -- how far it is ----------------------------------------------------------------------------- */

static void name_phase(const json_t *environment, char *out, size_t cap)
{
    static const struct {
        const char *phase, *english, *chinese;
    } phases[] = {{"base", "preparing the base", "准备基础镜像"},
                  {"setup", "running the script", "运行脚本"},
                  {"sealing", "sealing the layer", "保存镜像层"}};
    const char *phase = client_text_of(environment, "phase");

    snprintf(out, cap, "%s", WORDS("building", "构建中"));
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        if (strcmp(phase, phases[i].phase) == 0)
            snprintf(out, cap, "%s", WORDS(phases[i].english, phases[i].chinese));
    }
    if (json_is_true(json_object_get(environment, "queued")))
        snprintf(out, cap,
                 WORDS("queued, place %" JSON_INTEGER_FORMAT, "排队中，第 %" JSON_INTEGER_FORMAT),
                 client_number_of(environment, "queue_place"));
}

/* Lines of the log begin with a time and a blank. */
static void show_last_line(struct wait *w)
{
    struct env_request r = {.method = "GET",
                            .name = w->options->argument[0],
                            .rest = "/logs?tail=1",
                            .tick = client_progress_draw,
                            .data = &w->progress};
    _cleanup_answer_ struct client_answer a = {0};
    const char *text;
    size_t len;

    if (env_ask(w->client, &r, &a, NULL) < 0 || a.status != 200)
        return;
    text = strchr(a.body.data, ' ');
    text = text != NULL ? text + 1 : a.body.data;
    len = strcspn(text, "\n");
    if (len > 0)
        client_progress_set_detail(&w->progress, text, len);
}

static void report(struct wait *w, const json_t *environment)
{
    unsigned seconds = client_progress_seconds(&w->progress);
    char what[sizeof w->progress.what];
    bool changed;

    name_phase(environment, what, sizeof what);
    changed = strcmp(what, w->progress.what) != 0;
    memcpy(w->progress.what, what, sizeof what);
    if (w->progress.shown) {
        show_last_line(w);
        return;
    }
    if (w->options->json || (!changed && seconds < w->reported_s + REPORT_S))
        return;
    printf(WORDS("⏳ %s... (%us/%us)\n", "⏳ %s... (%us/%us)\n"), what, seconds, w->limit_s);
    fflush(stdout);
    w->reported_s = seconds;
}

/* -- the end ----------------------------------------------------------------------------------- */

static int end_late(const struct wait *w)
{
    if (w->options->json)
        return 1;
    puts(WORDS("❌ timed out; the build goes on", "❌ 环境构建超时"));
    return 1;
}

static int end_interrupted(const struct wait *w)
{
    const char *name = w->options->argument[0];

    if (w->options->json)
        return STATUS_INTERRUPTED;
    fputs(WORDS("⏸️  no longer waiting; the build goes on. To wait again: dunlin env wait ",
                "⏸️  已停止等待，构建仍在继续。再次等待: dunlin env wait "),
          stdout);
    client_text_print(name);
    putchar('\n');
    return STATUS_INTERRUPTED;
}

static int end_built(const struct wait *w, const json_t *environment)
{
    /* Whoever began the build wants to know about it, others only whether there is something. */
    bool ready = w->options->wait ? !env_has_failed(environment)
                                  : strcmp(client_text_of(environment, "status"), "ready") == 0;

    if (w->options->json)
        client_json_print(environment);
    else if (ready)
        puts(WORDS("✅ the environment is built!", "✅ 环境构建完成!"));
    else
        env_print_failure(environment);
    return ready ? 0 : 1;
}

/* A new build of one that is ready leaves it ready meanwhile. */
static bool is_building(const json_t *environment)
{
    return strcmp(client_text_of(environment, "status"), "building") == 0 ||
           *client_text_of(environment, "phase") != '\0';
}

/* Asks once.  -1: it is still being built; otherwise the exit status. */
static int look(struct wait *w)
{
    struct env_request r = {.method = "GET",
                            .name = w->options->argument[0],
                            .rest = "",
                            .tick = client_progress_draw,
                            .data = &w->progress};
    const char *what = WORDS("cannot check the environment", "检查环境状态失败");
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};
    int failed = env_ask(w->client, &r, &a, &e);

    if (failed < 0 && client_interrupted())
        return -1;
    if (failed == 0 && a.status == 200 && is_building(a.json)) {
        report(w, a.json);
        return -1;
    }
    client_progress_clear(&w->progress);
    if (failed < 0)
        return client_fail_call(w->options, &e);
    if (client_check(w->options, what, env_kind(), &a) != 0)
        return 1;
    return end_built(w, a.json);
}

static void pause_between(struct wait *w)
{
    uint64_t until = clock_now_us() + w->pause_ms * 1000;

    w->pause_ms = w->pause_ms * 2 < POLL_MS ? w->pause_ms * 2 : POLL_MS;
    while (clock_now_us() < until && !client_interrupted()) {
        uint64_t left = (until - clock_now_us()) / 1000 + 1;

        client_progress_draw(&w->progress);
        client_sleep_ms((long)(left < FRAME_MS ? left : FRAME_MS));
    }
}

int env_wait(struct client *c, const struct client_options *o)
{
    struct wait w = {.client = c,
                     .options = o,
                     .limit_s = (unsigned)o->wait_minutes * 60,
                     .pause_ms = POLL_FIRST_MS};
    int status = -1;

    client_catch_interrupts();
    client_progress_start(&w.progress);
    w.progress.shown = w.progress.shown && !o->json;
    if (!o->json) {
        fputs(WORDS("⏳ Waiting for the environment '", "⏳ 等待环境 '"), stdout);
        client_text_print(o->argument[0]);
        puts(WORDS("' to be built...", "' 构建完成..."));
        fflush(stdout);
    }
    while ((status = look(&w)) < 0) {
        if (client_interrupted())
            break;
        if (client_progress_seconds(&w.progress) >= w.limit_s)
            break;
        pause_between(&w);
    }
    if (status >= 0)
        return status;
    client_progress_clear(&w.progress);
    return client_interrupted() ? end_interrupted(&w) : end_late(&w);
}
