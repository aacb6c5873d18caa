/* outcome: texts about the result of a run.  Runs in the server; captured output is hostile and is
 * quoted in one line of bounded length only. */
#include "api/outcome.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define TAIL_MAX (16u << 10) /* bytes at the end of stderr that are searched for a traceback */

static const char *const limit_names[] = {"time",      "memory", "processes",
                                          "workspace", "output", "files"};
#define NLIMITS (sizeof limit_names / sizeof limit_names[0])

int outcome_append_limits(struct buf *out, unsigned limits_hit)
{
    int failed = buf_append_str(out, "[");
    const char *between = "";
    for (unsigned i = 0; i < NLIMITS; i++) {
        if (!(limits_hit & 1u << i))
            continue;
        failed |= buf_printf(out, "%s\"%s\"", between, limit_names[i]);
        between = ",";
    }
    return failed | buf_append_str(out, "]");
}

bool outcome_exit_code(const struct run_result *r, int *ret)
{
    *ret = r->outcome == RUN_EXITED ? r->exit_code : -r->signal;
    return r->outcome == RUN_EXITED ||
           ((r->outcome == RUN_SIGNALED || r->outcome == RUN_TIMEOUT) && r->signal > 0);
}

/* -- the exception of a traceback -- */

/* The start of the last line in [start, end) that begins with `prefix`, or NULL. */
static const char *last_line_with(const char *start, const char *end, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *found = NULL;
    const char *s = start;
    while ((s = memmem(s, (size_t)(end - s), prefix, n))) {
        if (s == start || s[-1] == '\n')
            found = s;
        s += n;
    }
    return found;
}

static const char *next_line(const char *s, const char *end)
{
    const char *newline = memchr(s, '\n', (size_t)(end - s));
    return newline ? newline + 1 : end;
}

size_t outcome_exception_line(const char *text, size_t len, const char **ret_line)
{
    if (len == 0)
        return 0;
    const char *end = text + len;
    const char *s = len > TAIL_MAX ? end - TAIL_MAX : text;
    /* A syntax error of the code itself has no "Traceback" above its "File" line. */
    const char *frame = last_line_with(s, end, "  File \"");
    if (!frame)
        return 0;
    /* Frames, their source lines and markers are indented; the exception's line is not. */
    while (frame < end && (*frame == ' ' || *frame == '\n'))
        frame = next_line(frame, end);
    if (frame == end)
        return 0;
    const char *stop = memchr(frame, '\n', (size_t)(end - frame));
    size_t n = (size_t)((stop ? stop : end) - frame);
    if (n > OUTCOME_LINE_MAX)
        n = utf8_valid_prefix(frame, OUTCOME_LINE_MAX, NULL);
    *ret_line = frame;
    return n;
}

/* -- the texts -- */

/* Opens the bracket behind an exit code, or goes on inside it. */
static int append_detail(struct buf *out, bool *opened, const char *text, size_t len)
{
    int failed = buf_append_str(out, *opened ? "; " : " (");
    *opened = true;
    return failed | utf8_append(out, text, len);
}

static int append_limit_details(struct buf *out, bool *opened, const struct run_result *r,
                                const struct outcome_facts *facts)
{
    char text[64];
    int failed = 0;
    if (r->limits_hit & RUN_HIT_MEMORY) {
        int n = snprintf(text, sizeof text, "memory limit of %u MB reached",
                         (unsigned)facts->memory_mb);
        failed |= append_detail(out, opened, text, (size_t)n);
    }
    if (r->limits_hit & RUN_HIT_PROCESSES)
        failed |= append_detail(out, opened, "process limit reached", 21);
    if (r->limits_hit & RUN_HIT_WORKSPACE)
        failed |= append_detail(out, opened, "workspace is full", 17);
    return failed;
}

static int append_failure(struct buf *out, const struct run_result *r,
                          const struct outcome_facts *facts)
{
    int code;
    bool opened = false;
    outcome_exit_code(r, &code);
    int failed = buf_printf(out, "代码执行失败，退出码: %d", code);
    if (r->outcome == RUN_SIGNALED) {
        char text[48];
        const char *name = sigabbrev_np(r->signal);
        int n = snprintf(text, sizeof text, "killed by signal %d%s%s", r->signal,
                         name ? ", SIG" : "", name ? name : "");
        failed |= append_detail(out, &opened, text, (size_t)n);
    } else {
        const char *line;
        size_t n = outcome_exception_line(r->err.data, r->err.len, &line);
        if (n > 0)
            failed |= append_detail(out, &opened, line, n);
    }
    failed |= append_limit_details(out, &opened, r, facts);
    return opened ? failed | buf_append_str(out, ")") : failed;
}

int outcome_append_error(struct buf *out, const struct run_result *r,
                         const struct outcome_facts *facts)
{
    const char *message = r->message ? r->message : "";
    unsigned timeout = (unsigned)facts->timeout_s;
    switch (r->outcome) {
    case RUN_EXITED:
        return r->exit_code == 0 ? 0 : append_failure(out, r, facts);
    case RUN_SIGNALED:
        return append_failure(out, r, facts);
    case RUN_TIMEOUT:
        return buf_printf(out, "代码执行超时（%u秒） / execution timed out (timeout %us)", timeout,
                          timeout);
    case RUN_REFUSED:
        return buf_printf(out, "Security policy violation: %s", message);
    case RUN_BAD_FILE:
        return buf_printf(out, "执行错误: 处理文件 %s 时出错: %s", r->bad_file ? r->bad_file : "",
                          message);
    case RUN_FAILED:
    case RUN_CANCELLED:
        break;
    }
    return buf_printf(out, "执行错误: %s", message);
}
