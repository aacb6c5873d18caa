/* session_walk: removes images of workspaces that no record names: what a crash has left.
 *
 * Runs in the server, on the loop, once after the start.  What it knows is of that moment, so it
 * leaves alone whatever got its number later. */
#include <stdlib.h>

#include "base/log.h"
#include "service/session_internal.h"

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void end_walk(struct session_service *s)
{
    free(s->walk_known);
    s->walk_known = NULL;
}

static void on_next(void *data, uint64_t value, const struct err *e)
{
    struct session_service *s = data;

    if (e != NULL)
        log_event(LOG_WARNING, "workspaces.not_searched", LOG_STR("reason", e->text));
    if (e != NULL || value == 0 || value >= s->walk_end) {
        end_walk(s);
        return;
    }
    if (bsearch(&value, s->walk_known, s->nwalk_known, sizeof value, compare) == NULL) {
        log_event(LOG_INFO, "workspace.orphaned", LOG_INT("workspace", (int64_t)value));
        workspace_drop(s, value, NULL, NULL);
    }
    s->walk_at = value;
    s->walk_waits = true;
    session_retry_soon(s);
}

void session_walk_step(struct session_service *s)
{
    if (!s->walk_waits)
        return;
    s->walk_waits = false;
    if (workspace_next(s->config.engine, s->walk_at, on_next, s) < 0)
        end_walk(s);
}

int session_walk_start(struct session_service *s, struct err *e)
{
    size_t n = 0;

    if (store_workspace_number(s->store, &s->walk_end, e) < 0)
        return -1;
    s->walk_known = calloc((size_t)s->count + s->nsnapshots + 1, sizeof *s->walk_known);
    if (s->walk_known == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    for (const struct session *one = s->first; one != NULL; one = one->next)
        s->walk_known[n++] = one->record.workspace;
    for (const struct snapshot *one = s->snapshots; one != NULL; one = one->next)
        s->walk_known[n++] = one->record.workspace;
    qsort(s->walk_known, n, sizeof *s->walk_known, compare);
    s->nwalk_known = n;
    s->walk_waits = true;
    session_retry_soon(s);
    return 0;
}

void session_walk_destroy(struct session_service *s)
{
    end_walk(s);
}
