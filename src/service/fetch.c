/* fetch: runs that fetch files, and the calls that write them.
 *
 *     waiting -> run -> its first line: a call on files -> pieces, as the call takes them -> its
 *     last line: the call is told that this is all -> over, when run and call are
 *
 * Runs in the server's loop.  What a run prints is hostile (fetch_stream.c judges it), and so is
 * what a call answers.  Of each file no more is held than one read of a pipe.  URLs, headers and
 * tokens are never logged. */
#include "service/fetch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "engine/file_call.h"
#include "service/fetch_job.h"
#include "service/session.h"

#define AT_ONCE     3          /* files of one request: what the predecessor did */
#define PENDING_MAX (2u << 20) /* what a pipe may hold when its run ends, and one read more */

struct item {
    struct fetch *fetch;
    char *path;
    char *job; /* until it is started */
    struct run *run;
    struct file_call *call;
    struct buf pending; /* came from the run, and is not yet taken by the call */
    bool complete;      /* all of the file has come */
    bool finished;      /* and has been given to the call */
    bool failed, cancelled, over;
    struct fetch_result result;
    struct fetch_stream stream;
};

struct fetch {
    struct fetch_service *service;
    struct fetch *next;
    struct session_visit *visit;
    struct fetch_events events;
    struct item **items;
    size_t nitems, nstarted, nover;
    uint32_t seconds;
    bool entered, cancelled;
};

struct fetch_service {
    struct engine *engine;
    const struct settings *settings;
    struct fetch *first; /* in the order of their turns */
    uint32_t running;
};

static void pump(struct fetch_service *s);

/* -- ends -------------------------------------------------------------------------------------- */

static void item_destroy(struct item *it)
{
    if (it == NULL)
        return;
    free(it->path);
    free(it->job);
    buf_finish(&it->pending);
    free(it);
}

static void fetch_destroy(struct fetch *f)
{
    for (size_t i = 0; f->items != NULL && i < f->nitems; i++)
        item_destroy(f->items[i]);
    free(f->items);
    free(f);
}

static void fetch_unlink(struct fetch *f)
{
    struct fetch **at = &f->service->first;

    while (*at != NULL && *at != f)
        at = &(*at)->next;
    if (*at == f)
        *at = f->next;
}

static void fetch_link(struct fetch *f)
{
    struct fetch **at = &f->service->first;

    while (*at != NULL)
        at = &(*at)->next;
    f->next = NULL;
    *at = f;
}

static bool is_over(const struct fetch *f)
{
    return f->entered && f->nover == (f->cancelled ? f->nstarted : f->nitems);
}

static void tell_done(struct fetch *f)
{
    const struct fetch_result **results = calloc(f->nitems, sizeof(struct fetch_result *));
    const struct err e = {.code = ERR_UNAVAILABLE, .text = "out of memory"};

    for (size_t i = 0; results != NULL && i < f->nitems; i++)
        results[i] = &f->items[i]->result;
    if (results != NULL)
        f->events.on_done(f->events.data, results, f->nitems);
    else
        f->events.on_refused(f->events.data, &e);
    free(results);
}

static void fetch_end(struct fetch *f)
{
    fetch_unlink(f);
    if (!f->cancelled) {
        tell_done(f);
        session_left(f->visit);
    }
    fetch_destroy(f);
}

/* Counts it as over when neither a run nor a call is left of it. */
static bool item_count(struct item *it)
{
    if (it->run != NULL || it->call != NULL || it->over)
        return false;
    it->over = true;
    it->fetch->service->running--;
    it->fetch->nover++;
    it->result.success = !it->failed;
    it->result.size = it->stream.total;
    buf_finish(&it->pending);
    log_event(LOG_INFO, "fetch", LOG_BOOL("success", !it->failed),
              LOG_INT("status", it->result.facts.status),
              LOG_INT("bytes", (int64_t)it->result.size));
    return true;
}

static void item_settle(struct item *it)
{
    struct fetch_service *s = it->fetch->service;

    if (!item_count(it))
        return;
    if (is_over(it->fetch))
        fetch_end(it->fetch);
    pump(s);
}

/* There will be no such file; what is in progress for it ends.  item_settle is the caller's. */
static void item_abort(struct item *it)
{
    it->failed = true;
    if (it->call != NULL) {
        file_call_cancel(it->call);
        it->call = NULL;
    }
    if (it->run != NULL && !it->cancelled) {
        it->cancelled = true;
        run_cancel(it->run);
    }
}

__attribute__((format(printf, 2, 3))) static void item_fail(struct item *it, const char *format,
                                                            ...)
{
    va_list args;

    if (it->failed)
        return;
    va_start(args, format);
    vsnprintf(it->result.facts.error, sizeof it->result.facts.error, format, args);
    va_end(args);
    item_abort(it);
}

/* -- the call ---------------------------------------------------------------------------------- */

static void finish_call(struct item *it)
{
    if (!it->complete || it->pending.len > 0 || it->call == NULL || it->finished)
        return;
    it->finished = true;
    file_call_finish(it->call);
}

static void on_writable(void *data)
{
    struct item *it = data;

    buf_consume(&it->pending, file_call_write(it->call, it->pending.data, it->pending.len));
    if (it->pending.len > 0)
        return;
    if (it->run != NULL)
        run_pause(it->run, false);
    finish_call(it);
}

static void on_frame(void *data, const struct file_message *m)
{
}

static const char *words_of(int error, const char *text)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "the workspace is full";
    case EXDEV:
        return "the path leads out of the workspace";
    case EISDIR:
        return "the path is a directory";
    default:
        return text[0] != '\0' ? text : strerror(error);
    }
}

static void on_call_end(void *data, const struct file_end *end, const char *text)
{
    struct item *it = data;

    it->call = NULL;
    if (end->error != 0)
        item_fail(it, "%s", words_of(end->error, text));
    else if (!it->finished)
        item_fail(it, "the session took less than there is");
    item_settle(it);
}

static void start_call(struct item *it)
{
    static const struct session_file what = {
        .op = FILE_WRITE, .flags = FILE_PARENTS, .size = FILE_UNTIL_END};
    const struct file_call_events events = {
        .on_frame = on_frame, .on_writable = on_writable, .on_end = on_call_end, .data = it};
    struct live *live = session_visit_live(it->fetch->visit);
    struct err e = {.text = "the session ended"};

    if (live != NULL)
        it->call = file_call_start(live, &what, it->path, NULL, &events, &e);
    if (it->call == NULL)
        item_fail(it, "%s", e.text);
}

/* -- the run ----------------------------------------------------------------------------------- */

static void pass_on(struct item *it, const char *bytes, size_t len)
{
    size_t taken = it->pending.len == 0 ? file_call_write(it->call, bytes, len) : 0;

    if (taken == len)
        return;
    if (buf_append(&it->pending, bytes + taken, len - taken) < 0)
        item_fail(it, "out of memory");
    else
        run_pause(it->run, true);
}

/* What the program says, beyond the bytes of the file. */
static void hear(struct item *it, enum fetch_phase before)
{
    const struct fetch_stream *s = &it->stream;

    if (s->phase == before)
        return;
    if (before == FETCH_HEAD || s->phase == FETCH_OVER)
        it->result.facts = s->facts;
    if (s->phase == FETCH_OVER && s->facts.failed) {
        item_abort(it);
    } else if (before == FETCH_HEAD) {
        start_call(it);
    } else if (s->phase == FETCH_OVER) {
        it->complete = true;
        finish_call(it);
    }
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct item *it = data;

    while (stream == 1 && len > 0 && !it->failed) {
        enum fetch_phase before = it->stream.phase;
        const char *piece;
        size_t n;
        struct err e = {0};
        long used = fetch_stream_take(&it->stream, bytes, len, &piece, &n, &e);

        if (used < 0) {
            item_fail(it, "the program that fetches says what it should not: %s", e.text);
            return;
        }
        if (n > 0)
            pass_on(it, piece, n);
        if (!it->failed)
            hear(it, before);
        bytes += used;
        len -= (size_t)used;
    }
}

static void explain(struct item *it, const struct run_result *r)
{
    if (r->outcome == RUN_TIMEOUT)
        item_fail(it, "not complete after %u s", it->fetch->seconds);
    else if (r->outcome == RUN_FAILED)
        item_fail(it, "%s", r->message != NULL ? r->message : "the sandbox failed");
    else if ((r->limits_hit & RUN_HIT_MEMORY) != 0)
        item_fail(it, "the program that fetches ran out of memory");
    else
        item_fail(it, "the program that fetches ended early");
}

static void on_done(void *data, struct run_result *result)
{
    struct item *it = data;

    it->run = NULL;
    if (!it->complete)
        explain(it, result);
    run_result_finish(result);
    item_settle(it);
}

/* -- turns ------------------------------------------------------------------------------------- */

/* Without memory for it, it is over at once. */
static void item_start(struct item *it)
{
    const struct run_events events = {.on_output = on_output, .on_done = on_done, .data = it};
    struct fetch *f = it->fetch;
    struct run_spec *spec = fetch_job_spec(it->job, f->seconds);

    it->job = NULL;
    it->stream.max = (uint64_t)f->service->settings->fetch_max_size;
    f->nstarted++;
    if (spec != NULL)
        it->run = engine_run(f->service->engine, spec, &events, NULL);
    f->service->running++;
    if (it->run == NULL) {
        item_fail(it, "out of memory");
        item_count(it);
    }
}

static bool may_start(const struct fetch *f)
{
    return f->entered && !f->cancelled && f->nstarted < f->nitems &&
           f->nstarted - f->nover < AT_ONCE && f->service->running < LIMIT_FETCHES;
}

/* Starts what may be started: each request one file, then the next. */
static void pump(struct fetch_service *s)
{
    struct fetch *f = s->first;

    while (f != NULL) {
        if (!may_start(f)) {
            f = f->next;
            continue;
        }
        fetch_unlink(f);
        fetch_link(f);
        item_start(f->items[f->nstarted]);
        if (is_over(f))
            fetch_end(f);
        f = s->first;
    }
}

/* -- from outside ------------------------------------------------------------------------------ */

struct fetch_service *fetch_service_create(struct engine *engine, const struct settings *settings)
{
    struct fetch_service *s = calloc(1, sizeof *s);

    if (s != NULL)
        *s = (struct fetch_service){.engine = engine, .settings = settings};
    return s;
}

void fetch_service_destroy(struct fetch_service *s)
{
    struct fetch *next;

    if (s == NULL)
        return;
    for (struct fetch *f = s->first; f != NULL; f = next) {
        next = f->next;
        fetch_destroy(f);
    }
    free(s);
}

int fetch_check(const struct fetch_service *s, struct err *e)
{
    if (s->settings->fetch_hosts[0] == '\0')
        return err_set(e, ERR_UNAVAILABLE, 0,
                       "fetching is off (FETCH_HOSTS names no host that may be fetched from)");
    if (strcmp(s->settings->max_network, "none") == 0)
        return err_set(e, ERR_UNAVAILABLE, 0,
                       "fetching needs a network, and MAX_NETWORK is none: set it to bridge");
    return 0;
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct fetch *f = data;

    f->entered = true;
    if (live != NULL) {
        pump(f->service);
        return;
    }
    f->events.on_refused(f->events.data, e);
    fetch_unlink(f);
    fetch_destroy(f);
}

static struct item *item_create(struct fetch *f, const struct fetch_wanted *w,
                                const struct fetch_item *wanted)
{
    struct item *it = calloc(1, sizeof *it);

    if (it == NULL)
        return NULL;
    it->fetch = f;
    it->path = strdup(wanted->path);
    it->job = fetch_job_text(f->service->settings, w, wanted);
    buf_init(&it->pending, PENDING_MAX);
    if (it->path != NULL && it->job != NULL)
        return it;
    item_destroy(it);
    return NULL;
}

/* NULL: out of memory. */
static struct fetch *create(struct fetch_service *s, const struct fetch_wanted *wanted,
                            const struct fetch_events *events)
{
    struct fetch *f = calloc(1, sizeof *f);
    struct fetch_wanted w = *wanted;

    if (f == NULL)
        return NULL;
    if (w.seconds == 0 || w.seconds > s->settings->fetch_timeout)
        w.seconds = (uint32_t)s->settings->fetch_timeout;
    *f = (struct fetch){.service = s,
                        .events = *events,
                        .seconds = w.seconds,
                        .nitems = w.nitems,
                        .items = calloc(w.nitems, sizeof(struct item *))};
    for (size_t i = 0; i < w.nitems; i++) {
        if (f->items == NULL || (f->items[i] = item_create(f, &w, &w.items[i])) == NULL) {
            fetch_destroy(f);
            return NULL;
        }
    }
    return f;
}

struct fetch *fetch_start(struct fetch_service *s, const struct fetch_wanted *wanted,
                          const struct fetch_events *events, struct err *e)
{
    struct fetch *f;

    if (fetch_check(s, e) < 0)
        return NULL;
    f = create(s, wanted, events);
    if (f == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    f->visit = session_enter(wanted->session, on_entered, f, e);
    if (f->visit == NULL) {
        fetch_destroy(f);
        return NULL;
    }
    fetch_link(f);
    return f;
}

void fetch_cancel(struct fetch *f)
{
    struct fetch_service *s = f->service;

    f->cancelled = true;
    for (size_t i = 0; i < f->nstarted; i++) {
        item_abort(f->items[i]);
        item_count(f->items[i]);
    }
    session_left(f->visit);
    /* Those that still have a run are over when that is. */
    f->entered = true;
    if (is_over(f))
        fetch_end(f);
    pump(s);
}
