/* se_handler_answer: from a run of runtime/python/handler.py to JSON.
 *
 * Runs in the server, on the loop or on the thread pool.  Everything that the run left is hostile:
 * its output is escaped, and its result is checked to be JSON before it is handed on. */
#include "api/se_handler_answer.h"

#include <string.h>

#include "api/json_scan.h"
#include "api/outcome.h"
#include "api/text.h"

#define EXIT_EMPTY     7 /* the predecessor's numbers: it ended well and said nothing, */
#define EXIT_SERIALISE 3 /* its result is no JSON */

/* What came of the handler. */
struct verdict {
    int exit_code;
    const char *error; /* JSON, or NULL: made of `text` */
    size_t error_len;
    const char *result; /* JSON */
    size_t result_len;
    struct buf text; /* what stderr gets beside the run's own; "" when the run has said it itself */
};

static const struct run_output_file *find_result(const struct run_result *r)
{
    for (size_t i = 0; i < r->nfiles; i++) {
        if (strcmp(r->files[i].name, HANDLER_RESULT) == 0)
            return &r->files[i];
    }
    return NULL;
}

static bool is_skipped(const struct run_result *r)
{
    for (size_t i = 0; i < r->nskipped; i++) {
        if (strcmp(r->skipped[i].name, HANDLER_RESULT) == 0)
            return true;
    }
    return false;
}

/* Reads {"exit_code":N,"error":...}, whose first member stands where we put it. */
static bool read_head(const char *line, size_t len, struct verdict *v)
{
    static const char start[] = "{\"exit_code\": ", middle[] = ", \"error\": ";
    size_t at = sizeof start - 1, before = at + 1 + sizeof middle - 1;
    if (len <= before + 1 || memcmp(line, start, at) != 0 || line[at] < '0' || line[at] > '9' ||
        memcmp(line + at + 1, middle, sizeof middle - 1) != 0 || !json_is_valid(line, len))
        return false;
    v->exit_code = line[at] - '0';
    v->error = line + before;
    v->error_len = len - before - 1;
    return true;
}

static bool read_result(const struct run_output_file *f, struct verdict *v)
{
    const char *newline = memchr(f->data, '\n', f->len);
    if (!newline || !read_head(f->data, (size_t)(newline - f->data), v))
        return false;
    v->result = newline + 1;
    v->result_len = f->len - (size_t)(v->result - f->data);
    return json_is_valid(v->result, v->result_len);
}

/* Exit code and words of a run without a (good) result. */
static int explain(const struct run_result *r, const struct handler_facts *facts, bool is_bad,
                   struct verdict *v)
{
    const struct outcome_facts of = {facts->timeout_ms / 1000, facts->memory_mb};
    int failed = buf_append_str(&v->text, "Failed to parse execution result: ");
    if (is_bad || is_skipped(r)) {
        v->exit_code = EXIT_SERIALISE;
        return failed | buf_append_str(&v->text, is_bad ? "the result is not valid JSON"
                                                        : "the result is too large");
    }
    v->exit_code = r->outcome == RUN_EXITED ? r->exit_code : 128 + r->signal;
    if (v->exit_code != 0)
        return failed | outcome_append_error(&v->text, r, &of);
    v->exit_code = EXIT_EMPTY;
    return failed | buf_append_str(&v->text, "the process ended before the handler returned");
}

static int judge(const struct run_result *r, const struct handler_facts *facts, struct verdict *v)
{
    const struct run_output_file *f = find_result(r);
    *v = (struct verdict){0};
    if (f && read_result(f, v))
        return 0;
    *v = (struct verdict){.result = "null", .result_len = 4};
    return explain(r, facts, f != NULL, v);
}

static int append_stderr(struct buf *out, const struct buf *own, const struct buf *text)
{
    _cleanup_buf_ struct buf all = {0};
    if (text->len == 0)
        return text_append_json(out, own->data, own->len);
    bool open_line = own->len > 0 && own->data[own->len - 1] != '\n';
    if (buf_append(&all, own->data, own->len) < 0 ||
        buf_append_str(&all, open_line ? "\n" : "") < 0 ||
        buf_append(&all, text->data, text->len) < 0 || buf_append_str(&all, "\n") < 0)
        return -1;
    return text_append_json(out, all.data, all.len);
}

static int append_metrics(struct buf *out, const struct run_result *r,
                          const struct handler_facts *facts)
{
    return buf_printf(out,
                      "{\"duration_ms\":%.2f,\"memory_peak_mb\":%.2f,\"cpu_time_ms\":%.2f,"
                      "\"timeout_seconds\":%.10g}",
                      (double)r->wall_us / 1000, (double)r->memory_peak / (1 << 20),
                      (double)r->cpu_us / 1000, facts->timeout_ms / 1000.0);
}

static int append_error(struct buf *out, const struct verdict *v)
{
    if (v->error)
        return buf_append(out, v->error, v->error_len);
    return buf_append_str(out, "{\"type\":\"ExecutionError\",\"message\":") |
           text_append_json(out, v->text.data, v->text.len) | buf_append_str(out, "}");
}

static int append_answer(struct buf *out, const struct run_result *r,
                         const struct handler_facts *facts, const struct verdict *v)
{
    int failed =
        buf_append_str(out, "{\"stdout\":") | text_append_json(out, r->out.data, r->out.len) |
        buf_append_str(out, ",\"stderr\":") | append_stderr(out, &r->err, &v->text) |
        buf_append_str(out, ",\"result\":") | buf_append(out, v->result, v->result_len) |
        buf_append_str(out, ",\"metrics\":") | append_metrics(out, r, facts) |
        buf_printf(out, ",\"exit_code\":%d,\"error\":", v->exit_code) | append_error(out, v);
    return failed | buf_append_str(out, "}");
}

int handler_answer_write(struct buf *out, const struct run_result *r,
                         const struct handler_facts *facts)
{
    struct verdict v;
    int failed = judge(r, facts, &v);
    if (failed == 0)
        failed = append_answer(out, r, facts, &v);
    buf_finish(&v.text);
    return failed;
}

int handler_answer_write_refused(struct buf *out, const char *text,
                                 const struct handler_facts *facts)
{
    const struct run_result none = {0};
    struct verdict v = {.exit_code = 1, .result = "null", .result_len = 4};
    int failed = buf_append_str(&v.text, text);
    if (failed == 0)
        failed = append_answer(out, &none, facts, &v);
    buf_finish(&v.text);
    return failed;
}

/* -- errors -- */

static int append_detail(struct buf *out, const char *code, const char *description,
                         const char *detail, const char *solution)
{
    return buf_printf(out, "{\"detail\":{\"error_code\":\"Sandbox.%s\",\"description\":\"%s\",",
                      code, description) |
           buf_append_str(out, "\"error_detail\":") | text_append_json_str(out, detail) |
           buf_append_str(out, ",\"solution\":") | text_append_json_str(out, solution);
}

int handler_answer_write_timeout(struct buf *out, const struct run_result *r,
                                 const struct handler_facts *facts)
{
    _cleanup_buf_ struct buf detail = {0};
    if (buf_printf(&detail, "Execution timed out after %.10g seconds", facts->timeout_ms / 1000.0) <
            0 ||
        buf_append(&detail, "", 1) < 0)
        return -1;
    return append_detail(out, "ExecTimeout", "Handler execution timeout", detail.data,
                         "请优化代码或增大 event.__timeout (make the handler faster, or raise "
                         "event.__timeout)") |
           buf_append_str(out, ",\"stdout\":") | text_append_json(out, r->out.data, r->out.len) |
           buf_append_str(out, ",\"stderr\":") | text_append_json(out, r->err.data, r->err.len) |
           buf_append_str(out, "}}");
}

int handler_answer_write_full(struct buf *out, const char *why)
{
    _cleanup_buf_ struct buf detail = {0};
    if (buf_printf(&detail, "System error: 沙箱池已满 (%s)", why) < 0 ||
        buf_append(&detail, "", 1) < 0)
        return -1;
    return append_detail(out, "TooManyRequestsExection", "Too many requests", detail.data,
                         "请稍后重试 (try again later)") |
           buf_append_str(out, "}}");
}

int handler_answer_write_failed(struct buf *out, const char *why)
{
    return append_detail(out, "InternalError", "The sandbox failed", why,
                         "请重试 (try again: the code was not judged)") |
           buf_append_str(out, "}}");
}
