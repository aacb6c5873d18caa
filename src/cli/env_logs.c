/* env_logs: `dunlin env logs`, what a build has said and says.
 *
 * Runs in dunlin-client, as whoever calls it.  A log is written by a setup script, so it is hostile
 * to terminals: every byte of it passes client_text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/client.h"
#include "cli/client_events.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_text.h"
#include "cli/env_internal.h"
#include "cli/words.h"

#define STATUS_INTERRUPTED 130

struct log {
    struct client_text_tail tail;
    struct client_events events;
    bool at_line_start;
    bool ended;
    char status[16]; /* of the environment, at the end */
};

/* -1: nobody reads our output any more. */
static int print_piece(struct log *log, const char *bytes, size_t len)
{
    _cleanup_buf_ struct buf out = {0};

    if (client_text_escape_piece(&out, &log->tail, bytes, len) < 0)
        return -1;
    if (out.len == 0)
        return 0;
    log->at_line_start = out.data[out.len - 1] == '\n';
    return fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : -1;
}

static int on_event(void *data, const char *name, const char *text, size_t len)
{
    struct log *log = data;
    json_t *body = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    const json_t *piece = json_object_get(body, "text");
    int r = 0;

    if (strcmp(name, "log") == 0 && json_is_string(piece))
        r = print_piece(log, json_string_value(piece), json_string_length(piece));
    if (strcmp(name, "end") == 0) {
        log->ended = true;
        snprintf(log->status, sizeof log->status, "%s", client_text_of(body, "status"));
    }
    json_decref(body);
    return r;
}

static int on_followed(void *data, const char *bytes, size_t len)
{
    struct log *log = data;

    return client_events_feed(&log->events, bytes, len);
}

static int on_plain(void *data, const char *bytes, size_t len)
{
    return print_piece(data, bytes, len);
}

static char *make_path(const struct client_options *o)
{
    char rest[64] = "/logs", tail[32] = "";

    if (o->tail >= 0)
        snprintf(tail, sizeof tail, "%ctail=%d", o->follow ? '&' : '?', o->tail);
    snprintf(rest, sizeof rest, "/logs%s%s", o->follow ? "?follow=true" : "", tail);
    return client_path("environments", o->argument[0], rest);
}

/* What follows the log when it was followed to its end. */
static int say_end(const struct log *log)
{
    if (strcmp(log->status, "failed") == 0) {
        puts(WORDS("❌ the build failed", "❌ 环境构建失败"));
        return 1;
    }
    if (strcmp(log->status, "ready") == 0)
        puts(WORDS("✅ the environment is ready", "✅ 环境已就绪"));
    return 0;
}

static int end(struct log *log, const struct client_options *o, const struct client_answer *a)
{
    if (a->status / 100 != 2)
        return client_refused(o, WORDS("cannot read the log", "获取构建日志失败"), env_kind(), a);
    print_piece(log, NULL, 0);
    if (!log->at_line_start)
        putchar('\n');
    if (!o->follow)
        return 0;
    if (log->ended)
        return say_end(log);
    puts(WORDS("❌ the server ended the log before the build was over", "❌ 日志在构建结束前中断"));
    return 1;
}

int env_logs(struct client *c, const struct client_options *o)
{
    struct log log = {.at_line_start = true};
    struct client_call call = {.method = "GET",
                               .path = make_path(o),
                               .piece = o->follow ? on_followed : on_plain,
                               .data = &log};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};
    int status;

    client_catch_interrupts();
    client_events_init(&log.events, on_event, &log);
    if (call.path == NULL)
        err_set(&e, ERR_INTERNAL, 0, "out of memory");
    if (call.path != NULL && client_call(c, &call, &a, &e) == 0)
        status = end(&log, o, &a);
    else if (client_interrupted())
        status = STATUS_INTERRUPTED;
    else
        status = client_fail_call(o, &e);
    client_events_finish(&log.events);
    free((char *)call.path);
    return status;
}
