/* se_execute: POST /workspace/se/execute/{id}: a command line in a session (contract B6.1).
 *
 * Runs in the server's loop thread.  The client's going ends the command. */
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/se_call.h"
#include "api/se_command.h"
#include "api/se_output.h"
#include "api/se_reply.h"
#include "api/session_foreground.h"
#include "base/limits.h"
#include "base/settings.h"
#include "http/http.h"
#include "service/session.h"

#define EXECUTE_FAILED "Failed to execute command"

struct execution {
    struct se_call call; /* first */
    const char *command;
    const char **args;
    uint32_t timeout_ms;
    struct buf line;
    const char *argv[4];
    struct session_program program;
    struct session_hearing *hearing; /* in progress */
};

static void execution_on_end(struct se_call *c)
{
    struct execution *x = (struct execution *)c;
    free(x->args);
    buf_finish(&x->line);
}

static void execution_on_gone(struct se_call *c)
{
    struct execution *x = (struct execution *)c;
    if (x->hearing)
        session_hearing_cancel(x->hearing);
}

static void decode(struct se_call *c)
{
    struct execution *x = (struct execution *)c;
    struct json_body *b = &c->body;
    json_body_require(b, "command");
    json_body_text(b, "command", LIMIT_ARGS_ENV, &x->command);
    json_body_list(b, "args", LIMIT_ARGS_ENV, &x->args);
    json_body_seconds(b, "timeout", c->api->settings->session_max_timeout, &x->timeout_ms);
}

static void start(struct execution *x, struct session *session, const char *shell);

static void on_done(void *data, struct session_heard *heard, const struct err *e)
{
    struct execution *x = data;
    struct se_call *c = &x->call;
    struct buf value = {0};
    x->hearing = NULL;
    if (!heard) {
        se_reply_err(c->r, EXECUTE_FAILED, e);
        se_call_end(c);
        return;
    }
    if (heard->outcome->view.result.error && strcmp(x->argv[0], "bash") == 0) {
        struct session *session = session_find(c->api->sessions, c->owner, c->id);
        if (session) {
            start(x, session, "sh");
            return;
        }
    }
    int failed = se_append_output(&value, heard) | buf_append_str(&value, "}");
    se_reply(c->r, &value, NULL, failed);
    se_call_end(c);
}

static void start(struct execution *x, struct session *session, const char *shell)
{
    const struct session_hearing_events events = {on_done, x};
    size_t max = (size_t)x->call.api->rules.usual.output_kb << 10;
    struct err e = {0};
    x->argv[0] = shell;
    x->argv[1] = "-c";
    x->argv[2] = x->line.data;
    x->program = (struct session_program){.spec = {.argv = x->argv, .timeout_ms = x->timeout_ms},
                                          .name = x->command};
    x->hearing = session_hear(session, &x->program, max, &events, &e);
    if (x->hearing)
        return;
    se_reply_err(x->call.r, "Failed to start command execution", &e);
    se_call_end(&x->call);
}

static void on_session(struct se_call *c, struct session *session)
{
    struct execution *x = (struct execution *)c;
    const char *allowed = c->api->settings->allowed_commands;
    if (!se_command_is_allowed(x->command, allowed ? allowed : "")) {
        se_call_error(c, 403, "Command not allowed",
                      "the operator allows certain commands only (ALLOWED_COMMANDS)");
        return;
    }
    if (x->timeout_ms == 0)
        x->timeout_ms = (uint32_t)c->api->settings->session_timeout * 1000;
    if (se_command_line(&x->line, x->command, x->args) == 0) {
        start(x, session, "bash");
        return;
    }
    error_reply_memory(c->r);
    se_call_end(c);
}

void se_execute_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.decode = decode,
                                          .on_session = on_session,
                                          .on_gone = execution_on_gone,
                                          .on_end = execution_on_end};
    struct execution *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}
