/* se_code: POST /workspace/se/execute_code/{id}: a script that is put into a session and run there
 * (contract B6.1).
 *
 *     decode -> write the script -> run it [-> read its variables -> remove their file] -> answer
 *
 * Runs in the server's loop thread.  Nothing is ever pasted into the client's code: variables are
 * written down by a program of ours around it (runtime/python/variables.py), and what that wrote is
 * hostile, too.  The client's going ends the script. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/json_scan.h"
#include "api/se_call.h"
#include "api/se_command.h"
#include "api/se_entry.h"
#include "api/se_output.h"
#include "api/se_path.h"
#include "api/se_reply.h"
#include "api/session_call.h"
#include "api/session_foreground.h"
#include "api/text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/settings.h"
#include "http/http.h"
#include "service/session.h"

#define EXECUTE_FAILED "Failed to execute command"
#define WORKSPACE      "/workspace/"
#define VARIABLES      "/opt/dunlin/python/variables.py"
#define VARIABLES_MAX  (10u << 20) /* bytes of output_variables */
#define MODE           0755        /* a script may be called by its name later */
#define OWN_WORDS      8           /* of argv, before the client's arguments */

struct script {
    struct se_call call; /* first */
    struct json_slice code, filename, script_type;
    const char **args, **names; /* of output_params */
    uint32_t timeout_ms;
    const struct se_language *language;
    struct buf name;           /* of the script, as the client has it */
    char *path;                /* relative */
    struct buf place;          /* absolute, inside */
    char variables[48];        /* the file for them, relative; "" for none */
    struct buf variables_path; /* absolute, inside */
    struct buf names_json;
    const char **argv;
    struct session_program program;
    struct session_hearing *hearing; /* in progress */
    size_t written;
    bool finished;    /* all of the code has been given */
    struct buf value; /* the answer so far */
    struct buf found; /* the variables, as they were written */
    int failed;
};

static void script_on_end(struct se_call *c)
{
    struct script *x = (struct script *)c;
    free(x->args);
    free(x->names);
    free(x->path);
    free(x->argv);
    buf_finish(&x->name);
    buf_finish(&x->place);
    buf_finish(&x->variables_path);
    buf_finish(&x->names_json);
    buf_finish(&x->value);
    buf_finish(&x->found);
}

static void script_on_gone(struct se_call *c)
{
    struct script *x = (struct script *)c;
    if (x->hearing)
        session_hearing_cancel(x->hearing);
}

static void decode(struct se_call *c)
{
    struct script *x = (struct script *)c;
    struct json_body *b = &c->body;
    json_body_require(b, "code");
    json_body_bytes(b, "code", SIZE_MAX, &x->code);
    json_body_bytes(b, "filename", LIMIT_FILE_PATH, &x->filename);
    json_body_bytes(b, "script_type", LIMIT_FILE_NAME, &x->script_type);
    json_body_list(b, "args", LIMIT_ARGS_ENV, &x->args);
    json_body_list(b, "output_params", LIMIT_ARGS_ENV, &x->names);
    json_body_seconds(b, "timeout", c->api->settings->session_max_timeout, &x->timeout_ms);
}

/* The session, or NULL: it has been deleted meanwhile, and the request is answered. */
static struct session *session_again(struct script *x)
{
    struct se_call *c = &x->call;
    struct session *session = session_find(c->api->sessions, c->owner, c->id);
    if (!session)
        se_call_error(c, 404, EXECUTE_FAILED, "the session was deleted");
    return session;
}

static void reply(struct script *x)
{
    int failed = x->failed | buf_append_str(&x->value, "}");
    se_reply(x->call.r, &x->value, NULL, failed);
    se_call_end(&x->call);
}

static void on_refused(void *data, const struct err *e)
{
    struct se_call *c = data;
    c->files = NULL;
    se_call_refused(c, e);
}

/* -- the variables -- */

static void on_removed(void *data, const struct file_end *end, const char *text)
{
    struct script *x = data;
    x->call.files = NULL;
    reply(x);
}

static void on_found_bytes(void *data, const char *bytes, size_t len)
{
    struct script *x = data;
    x->failed |= buf_append(&x->found, bytes, len);
}

static void on_found(void *data, const struct file_end *end, const char *text)
{
    struct script *x = data;
    const struct session_call_spec spec = {.what = {.op = FILE_REMOVE}, .path = x->variables};
    const struct session_call_events events = {
        .on_end = on_removed, .on_refused = on_refused, .data = x};
    bool is_good = end->error == 0 && x->found.len > 0 && x->found.data[0] == '{' &&
                   json_is_valid(x->found.data, x->found.len);
    x->call.files = NULL;
    x->failed |= buf_append_str(&x->value, ",\"output_variables\":") |
                 (is_good ? buf_append(&x->value, x->found.data, x->found.len)
                          : buf_append_str(&x->value, "{}"));
    if (end->error == ENOENT) {
        reply(x);
        return;
    }
    struct session *session = session_again(x);
    if (session)
        se_call_files(&x->call, session, &spec, &events);
}

static void read_variables(struct script *x)
{
    const struct session_call_spec spec = {.what = {.op = FILE_READ, .size = VARIABLES_MAX},
                                           .path = x->variables};
    const struct session_call_events events = {
        .on_bytes = on_found_bytes, .on_end = on_found, .on_refused = on_refused, .data = x};
    struct session *session = session_again(x);
    if (session)
        se_call_files(&x->call, session, &spec, &events);
}

/* -- the run -- */

static void start(struct script *x, struct session *session);

static void on_heard(void *data, struct session_heard *heard, const struct err *e)
{
    struct script *x = data;
    x->hearing = NULL;
    if (!heard) {
        se_reply_err(x->call.r, EXECUTE_FAILED, e);
        se_call_end(&x->call);
        return;
    }
    if (heard->outcome->view.result.error && strcmp(x->argv[0], "bash") == 0) {
        struct session *session = session_again(x);
        x->argv[0] = "sh";
        if (session)
            start(x, session);
        return;
    }
    x->failed |= se_append_output(&x->value, heard);
    if (x->variables[0])
        read_variables(x);
    else
        reply(x);
}

static void start(struct script *x, struct session *session)
{
    const struct session_hearing_events events = {on_heard, x};
    size_t max = (size_t)x->call.api->rules.usual.output_kb << 10;
    struct err e = {0};
    x->program = (struct session_program){
        .spec = {.argv = x->argv,
                 .timeout_ms = x->timeout_ms,
                 .is_python = strcmp(x->argv[0], "python3") == 0},
        .name = x->name.data,
    };
    x->hearing = session_hear(session, &x->program, max, &events, &e);
    if (x->hearing)
        return;
    se_reply_err(x->call.r, "Failed to start command execution", &e);
    se_call_end(&x->call);
}

/* ["a","b"] */
static int append_names(struct buf *out, const char *const *names)
{
    int failed = buf_append_str(out, "[");
    for (size_t i = 0; names[i]; i++)
        failed |= buf_append_str(out, i ? "," : "") | text_append_json_str(out, names[i]);
    return failed | buf_append_str(out, "]") | buf_append(out, "", 1);
}

/* A name for the variables' file, which no listing shows (src/init/file_internal.h). */
static int name_variables(struct script *x)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -1;
    snprintf(x->variables, sizeof x->variables, SE_HIDDEN_PREFIX "%016" PRIx64 "%016" PRIx64,
             random[0], random[1]);
    return buf_printf(&x->variables_path, WORKSPACE "%s", x->variables) |
           buf_append(&x->variables_path, "", 1) |
           append_names(&x->names_json, (const char *const *)x->names);
}

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static int make_argv(struct script *x)
{
    size_t nargs = count((const char *const *)x->args), n = 0;
    bool wants_variables = count((const char *const *)x->names) > 0;
    x->argv = calloc(OWN_WORDS + nargs, sizeof *x->argv);
    if (!x->argv || buf_append_str(&x->place, WORKSPACE) < 0 ||
        buf_append(&x->place, x->path, strlen(x->path) + 1) < 0)
        return -1;
    x->argv[n++] = x->language->program;
    if (wants_variables && strcmp(x->language->name, "python") == 0) {
        if (name_variables(x) < 0)
            return -1;
        x->argv[n++] = VARIABLES;
        x->argv[n++] = x->variables_path.data;
        x->argv[n++] = x->names_json.data;
    }
    x->argv[n++] = x->place.data;
    for (size_t i = 0; i < nargs; i++)
        x->argv[n++] = x->args[i];
    return 0;
}

/* -- the script -- */

static void give_bytes(void *data)
{
    struct script *x = data;
    struct se_call *c = &x->call;
    if (x->finished)
        return;
    x->written += session_call_write(c->files, x->code.data + x->written, x->code.len - x->written);
    x->finished = x->written == x->code.len;
    if (x->finished)
        session_call_finish(c->files);
}

static void on_written(void *data, const struct file_end *end, const char *text)
{
    struct script *x = data;
    x->call.files = NULL;
    if (end->error != 0 || !x->finished) {
        const struct file_end broken = {.error = end->error ? end->error : EIO};
        se_call_failed(&x->call, "Failed to write script", &broken, text);
        return;
    }
    struct session *session = session_again(x);
    if (session)
        start(x, session);
}

static void write_script(struct script *x, struct session *session)
{
    const struct session_call_spec spec = {
        .what = {.op = FILE_WRITE, .flags = FILE_PARENTS, .size = x->code.len, .mode = MODE},
        .path = x->path,
    };
    const struct session_call_events events = {.on_ready = give_bytes,
                                               .on_writable = give_bytes,
                                               .on_end = on_written,
                                               .on_refused = on_refused,
                                               .data = x};
    se_call_files(&x->call, session, &spec, &events);
}

/* Microseconds, so that no two scripts of this server share one. */
static uint64_t unique_number(void)
{
    static uint64_t last;
    uint64_t now = clock_wall_us();
    last = now > last ? now : last + 1;
    return last;
}

static int name_script(struct script *x)
{
    struct json_slice given = x->filename;
    if (se_script_name(&x->name, x->language, given.data, given.len, unique_number()) < 0)
        return -1;
    x->path = malloc(x->name.len);
    return x->path ? 0 : -1;
}

static void on_session(struct se_call *c, struct session *session)
{
    struct script *x = (struct script *)c;
    const char *type = x->script_type.len ? x->script_type.data : "python";
    x->language = se_language_find(type, x->script_type.len ? x->script_type.len : 6);
    if (!x->language) {
        se_call_error(c, 400, "Unsupported script type", "python, shell or javascript");
        return;
    }
    if (x->timeout_ms == 0)
        x->timeout_ms = (uint32_t)c->api->settings->session_timeout * 1000;
    if (name_script(x) < 0) {
        error_reply_memory(c->r);
        se_call_end(c);
        return;
    }
    const char *fault = se_path_join(x->name.data, x->name.len - 1, x->path);
    if (fault) {
        se_call_error(c, 400, "Invalid file path", fault);
    } else if (make_argv(x) < 0) {
        error_reply_memory(c->r);
        se_call_end(c);
    } else {
        write_script(x, session);
    }
}

void se_code_post(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct se_hooks hooks = {.decode = decode,
                                          .on_session = on_session,
                                          .on_gone = script_on_gone,
                                          .on_end = script_on_end};
    struct script *x = se_call_begin(sizeof *x, &hooks, api, r, call);
    if (x)
        se_call_decode(&x->call);
}
