/* session_launch: starts programs in sessions.  Runs in the server's loop thread; what is started
 * is hostile, and named by hostile strings that only the sandbox's init ever looks at. */
#include "api/session_launch.h"

#include <stdlib.h>

#include "service/session.h"
#include "service/session_process.h"

struct session_launch {
    const struct session_program *program;
    struct session_visit *visit;
    session_launched *done;
    void *data;
};

/* NULL and e. */
static struct session_process *start(struct session_launch *l, struct session *session,
                                     struct live *live, struct err *e)
{
    const struct session_program *program = l->program;
    struct process_spec spec = program->spec;
    char **env = process_environment(live, spec.terminal, session_env(session), program->env);
    if (!env) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    spec.env = (const char *const *)env;
    struct session_process *process =
        session_process_start(l->visit, &spec, program->name, program->keep, e);
    free(env);
    return process;
}

static void on_entered(void *data, struct session *session, struct live *live, const struct err *e)
{
    struct session_launch *l = data;
    struct err failure = {0};
    if (!live) {
        l->done(l->data, session, NULL, e);
        free(l);
        return;
    }
    struct session_process *process = start(l, session, live, &failure);
    struct session_visit *visit = l->visit;
    l->done(l->data, session, process, &failure);
    if (!process)
        session_left(visit);
    free(l);
}

struct session_launch *session_launch(struct session *session,
                                      const struct session_program *program, session_launched *done,
                                      void *data, struct err *e)
{
    struct session_launch *l = malloc(sizeof *l);
    if (!l) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    *l = (struct session_launch){.program = program, .done = done, .data = data};
    l->visit = session_enter(session, on_entered, l, e);
    if (l->visit)
        return l;
    free(l);
    return NULL;
}

void session_launch_cancel(struct session_launch *l)
{
    session_left(l->visit);
    free(l);
}
