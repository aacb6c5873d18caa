/* session_answer: encoder of sessions and snapshots.  Runs in the server's loop thread. */
#include "api/session_answer.h"

#include "api/put.h"

const char *const session_state_names[] = {
    [SESSION_ASLEEP] = "asleep",
    [SESSION_WAKING] = "waking",
    [SESSION_AWAKE] = "awake",
    [SESSION_FALLING_ASLEEP] = "falling asleep",
    NULL,
};

/* Negative (never) is null. */
static void put_span(struct writer *w, const char *name, int64_t seconds)
{
    if (seconds < 0)
        put_text(w, name, NULL);
    else
        put_number(w, name, (uint64_t)seconds);
}

static void put_limits(struct writer *w, const struct run_limits *limits)
{
    put_name(w, "limits");
    put(w, "{");
    put_if_set(w, "memory_mb", limits->memory_mb);
    if (limits->cpu_milli)
        put_thousandths(w, "cpu", limits->cpu_milli);
    else
        put_text(w, "cpu", NULL);
    put_if_set(w, "processes", limits->processes);
    put(w, "}");
}

int session_append(struct buf *out, const struct session_view *v)
{
    struct writer w = {.out = out};
    put(&w, "{");
    put_text(&w, "id", v->id);
    put_text(&w, "environment", v->environment ? v->environment : "default");
    put_text(&w, "state", session_state_names[v->state]);
    put_bool(&w, "ephemeral", v->ephemeral);
    put_number(&w, "size", v->bytes);
    put_number(&w, "disk_bytes", v->disk_bytes);
    put_text(&w, "network", v->network ? v->network : "none");
    put_object(&w, "env", v->env);
    put_object(&w, "labels", v->labels);
    put_limits(&w, &v->limits);
    put_date(&w, "created_at", v->created_ms);
    put_date(&w, "last_used", v->used_ms);
    put_date(&w, "expires_at", v->expires_ms);
    put_bool(&w, "expires_soon", v->expires_soon);
    put_span(&w, "idle_timeout", v->idle_s);
    put_span(&w, "idle_ttl", v->idle_ttl_s);
    put_span(&w, "ttl", v->ttl_s);
    put_number(&w, "processes", v->processes);
    put(&w, "}");
    return w.failed ? -1 : 0;
}

int session_append_snapshot(struct buf *out, const struct snapshot_view *v)
{
    struct writer w = {.out = out};
    put(&w, "{");
    put_text(&w, "id", v->id);
    put_text(&w, "session", v->session);
    put_text(&w, "name", v->name);
    put_number(&w, "size", v->bytes);
    put_number(&w, "disk_bytes", v->disk_bytes);
    put_date(&w, "created_at", v->created_ms);
    put(&w, "}");
    return w.failed ? -1 : 0;
}
