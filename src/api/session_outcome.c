/* session_outcome: encoder of what came of a program.  Runs in the server's loop thread; names of
 * commands are the client's, results the sandbox's. */
#include "api/session_outcome.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/outcome.h"
#include "engine/run.h"

#define EXIT_NOT_STARTED 127 /* as shells have it */

const char *signal_name(int number)
{
    static char name[24];
    const char *known = sigabbrev_np(number);
    if (number == 0)
        return NULL;
    if (known)
        snprintf(name, sizeof name, "SIG%s", known);
    else
        snprintf(name, sizeof name, "SIG%d", number);
    return name;
}

static int number_of_digits(const char *text)
{
    int number = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > SIGRTMAX)
            return 0;
        number = number * 10 + (*text - '0');
    }
    return number <= SIGRTMAX ? number : 0;
}

int signal_number(const char *text)
{
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    if (*text >= '0' && *text <= '9')
        return number_of_digits(text); /* as signal_name() says one without a name */
    for (int i = 1; i <= SIGRTMAX; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcasecmp(known, text) == 0)
            return i;
    }
    return 0;
}

bool session_outcome_refused(const struct session_process_view *v, struct err *e)
{
    if (v->result.refused)
        err_set(e, ERR_UNAVAILABLE, 0, "%s", v->result.error);
    return v->result.refused;
}

void put_exit(struct writer *w, const struct process_result *result)
{
    int code = result->signal ? -result->signal : result->exit_code;
    put_signed(w, "exit_code", result->error ? EXIT_NOT_STARTED : code);
    put_text(w, "signal", result->error ? NULL : signal_name(result->signal));
    put_bool(w, "timed_out", result->timed_out);
}

void put_outcome(struct writer *w, const struct session_outcome *o)
{
    const struct process_result *result = &o->view.result;
    put_exit(w, result);
    put_name(w, "limits_hit");
    w->failed |= outcome_append_limits(w->out, o->limits_hit) < 0;
    put_thousandths(w, "duration_ms", result->wall_us);
    put_thousandths(w, "cpu_ms", result->cpu_us);
    put_thousandths(w, "memory_peak_mb", result->memory_peak * 1000 >> 20);
    put_bool(w, "stdout_truncated", o->truncated[0]);
    put_bool(w, "stderr_truncated", o->truncated[1]);
    put_number(w, "process", o->view.id);
    put_bool(w, "warm", result->warm);
}

int session_process_answer(struct buf *out, const struct session_process_view *v)
{
    struct writer w = {.out = out};
    put(&w, "{");
    put_number(&w, "process", v->id);
    put_if_set(&w, "pid", v->pid);
    put_text(&w, "command", v->name);
    put_bool(&w, "background", v->background);
    put_bool(&w, "terminal", v->terminal);
    put_bool(&w, "running", !v->ended);
    if (v->ended) {
        put_exit(&w, &v->result);
    } else {
        put_text(&w, "exit_code", NULL);
        put_text(&w, "signal", NULL);
        put_bool(&w, "timed_out", false);
    }
    put_date(&w, "started_at", v->started_ms);
    put_date(&w, "ended_at", v->ended ? v->ended_ms : 0);
    put_number(&w, "stdout_bytes", v->offset[0]);
    put_number(&w, "stderr_bytes", v->offset[1]);
    put_number(&w, "stdout_kept_from", v->first[0]);
    put_number(&w, "stderr_kept_from", v->first[1]);
    put(&w, "}");
    return w.failed ? -1 : 0;
}
