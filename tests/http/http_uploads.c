/* http_uploads: bodies that are read piece by piece.
 *
 *   PUT /upload[?rate=BYTES][&delay=MS][&refuse=head|later|body]
 *       counts and sums the body, taking `rate` bytes each 10 ms and beginning after `delay`;
 *       refuses it in the handler, after the delay, or when the first bytes have come
 *   POST /form[?rate=BYTES]   tells the parts: name, file name, bytes, sum */
#include <stdlib.h>
#include <string.h>

#include "http/body.h"
#include "http_echo.h"

#define TICK_MS   10
#define ADLER_MOD 65521u

struct upload_job {
    struct http_request *request;
    uv_timer_t timer;
    const char *refuse;
    unsigned long rate, budget; /* bytes each tick, bytes left in this one */
    uint64_t bytes;
    uint32_t low, high; /* of the Adler-32 sum */
    struct buf parts;   /* of a form, as JSON */
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void finish_job(struct upload_job *job)
{
    counters.open--;
    buf_finish(&job->parts);
    uv_close((uv_handle_t *)&job->timer, on_timer_closed);
}

static void on_gone(void *data)
{
    counters.gone++;
    finish_job(data);
}

static void answer(struct upload_job *job, int status, const char *json)
{
    reply_text(job->request, status, json);
    finish_job(job);
}

static void reset_sum(struct upload_job *job)
{
    job->bytes = 0;
    job->low = 1;
    job->high = 0;
}

static void add_to_sum(struct upload_job *job, const char *bytes, size_t len)
{
    job->bytes += len;
    if (http_query(job->request, "nosum") != NULL)
        return;
    for (size_t i = 0; i < len; i++) {
        job->low = (job->low + (unsigned char)bytes[i]) % ADLER_MOD;
        job->high = (job->high + job->low) % ADLER_MOD;
    }
}

static size_t take(void *data, const char *bytes, size_t len)
{
    struct upload_job *job = data;

    if (job->refuse != NULL && strcmp(job->refuse, "body") == 0) {
        http_add_header(job->request, "X-Test", "refused");
        answer(job, 507, "{\"refused\":\"body\"}");
        return 0;
    }
    if (job->rate > 0) {
        if (len > job->budget)
            len = job->budget;
        job->budget -= len;
    }
    add_to_sum(job, bytes, len);
    return len;
}

static void on_tick(uv_timer_t *timer)
{
    struct upload_job *job = timer->data;

    job->budget = job->rate;
    http_body_resume(job->request);
}

static void end_upload(void *data)
{
    struct upload_job *job = data;
    struct buf body;
    uint64_t length = http_body_length(job->request);

    buf_init(&body, 0);
    buf_printf(&body, "{\"bytes\":%lu,\"sum\":%u,\"length\":%ld}", (unsigned long)job->bytes,
               job->high << 16 | job->low, length == UINT64_MAX ? -1 : (long)length);
    reply_json(job->request, 200, &body);
    finish_job(job);
}

static void begin_upload(struct upload_job *job)
{
    if (job->rate > 0)
        uv_timer_start(&job->timer, on_tick, TICK_MS, TICK_MS);
    http_body_read(job->request, &(const struct http_sink){take, end_upload, job});
}

static void on_delay(uv_timer_t *timer)
{
    struct upload_job *job = timer->data;

    if (job->refuse != NULL && strcmp(job->refuse, "later") == 0)
        answer(job, 404, "{\"refused\":\"later\"}");
    else
        begin_upload(job);
}

static struct upload_job *start_job(struct http_request *r)
{
    struct upload_job *job = calloc(1, sizeof *job);

    if (job == NULL)
        abort();
    job->request = r;
    job->rate = job->budget = query_number(r, "rate");
    job->refuse = http_query(r, "refuse");
    reset_sum(job);
    uv_timer_init(test_loop, &job->timer);
    job->timer.data = job;
    http_set_gone(r, on_gone, job);
    counters.open++;
    return job;
}

void serve_upload(struct http_request *r)
{
    struct upload_job *job = start_job(r);

    if (job->refuse != NULL && strcmp(job->refuse, "head") == 0)
        answer(job, 403, "{\"refused\":\"head\"}");
    else if (query_number(r, "delay") > 0)
        uv_timer_start(&job->timer, on_delay, query_number(r, "delay"), 0);
    else
        begin_upload(job);
}

/* -- forms */

static int on_part(void *data, const char *name, const char *filename)
{
    struct upload_job *job = data;

    reset_sum(job);
    buf_append_str(&job->parts, job->parts.len > 0 ? ",[\"" : "[\"");
    for (const char *at = name; *at != '\0'; at++)
        buf_printf(&job->parts, "%02x", (unsigned char)*at);
    buf_append_str(&job->parts, filename != NULL ? "\",\"" : "\",null");
    for (const char *at = filename; at != NULL && *at != '\0'; at++)
        buf_printf(&job->parts, "%02x", (unsigned char)*at);
    buf_append_str(&job->parts, filename != NULL ? "\"" : "");
    return strcmp(name, "unwanted") != 0;
}

static void on_part_end(void *data)
{
    struct upload_job *job = data;

    buf_printf(&job->parts, ",%lu,%u]", (unsigned long)job->bytes, job->high << 16 | job->low);
}

static void end_form(void *data, bool malformed)
{
    struct upload_job *job = data;
    struct buf body;

    if (malformed) {
        answer(job, 400, "{\"malformed\":true}");
        return;
    }
    buf_init(&body, 0);
    buf_append_str(&body, "{\"parts\":[");
    buf_append(&body, job->parts.data, job->parts.len);
    buf_append_str(&body, "]}");
    reply_json(job->request, 200, &body);
    finish_job(job);
}

void serve_form(struct http_request *r)
{
    struct upload_job *job = start_job(r);

    buf_init(&job->parts, 0);
    if (job->rate > 0)
        uv_timer_start(&job->timer, on_tick, TICK_MS, TICK_MS);
    if (http_form_read(r,
                       &(const struct http_form_events){on_part, take, on_part_end, end_form, job},
                       NULL) < 0)
        answer(job, 415, "{\"form\":false}");
}
