/* exec_request: decodes what is to be run in a session.
 *
 * Runs in the server, on the loop or its thread pool; the body is hostile.  Nothing of it is ever
 * pasted into a command: a command goes to the shell as one argument, code into a file. */
#include "api/exec_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/session_map.h"
#include "api/session_path.h"
#include "base/limits.h"
#include "base/str.h"
#include "engine/language.h"

#define CWD_MAX       4095
#define LANGUAGE_MAX  64
#define LANGUAGES_MAX 32
#define KEEP_SHORT    (64u << 10) /* of a foreground call, whose caller hears it all */
#define ROWS_USUAL    24
#define COLUMNS_USUAL 80
#define SIDE_MAX      10000 /* rows or columns */
#define NAME_CODE     "run"
#define NAME_ENOUGH   1024         /* bytes of a name: more than anybody is shown */
#define WORK_DIR      "/workspace" /* as sessions see theirs */

/* -- what exec and run have in common -- */

static void decode_env(struct exec_request *q)
{
    json_t *root = json_body_root(&q->body);
    size_t n = 0;
    if (!root)
        return;
    if (session_map_env(&q->body.fields, root, "env", LIMIT_ARGS_ENV, &q->env_text, &n) < 0 ||
        !(q->env = calloc(n + 1, sizeof *q->env))) {
        q->body.out_of_memory = true;
        return;
    }
    const char *at = q->env_text.data;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        q->env[i] = at;
    q->program.env = q->env;
}

static void decode_stdin(struct exec_request *q)
{
    struct json_slice s = {NULL, 0};
    json_body_bytes(&q->body, "stdin", LIMIT_STDIN, &s);
    q->program.spec.stdin_data = s.data;
    q->program.spec.stdin_len = s.len;
}

static void decode_output(struct exec_request *q, const struct request_rules *rules)
{
    int64_t kb = rules->usual.output_kb;
    json_body_int(&q->body, "output_kb", (struct int_range){1, rules->max.output_kb}, &kb);
    q->output_max = (size_t)kb << 10;
}

/* A process in the background has no deadline of its own accord. */
static void decode_common(struct exec_request *q, const struct request_rules *rules)
{
    struct process_spec *spec = &q->program.spec;
    json_body_bool(&q->body, "background", &spec->background);
    spec->timeout_ms = spec->background ? 0 : rules->session_timeout_s * 1000;
    json_body_seconds(&q->body, "timeout", rules->session_timeout_max_s, &spec->timeout_ms);
    json_body_text(&q->body, "cwd", CWD_MAX, &spec->cwd);
    decode_env(q);
    decode_stdin(q);
    decode_output(q, rules);
    q->program.keep = spec->background ? LIMIT_PROCESS_OUTPUT : KEEP_SHORT;
}

/* -- exec -- */

/* The words with blanks between them, for people. */
static const char *name_of(struct exec_request *q)
{
    for (size_t i = 0; q->argv[i] && q->name.len <= NAME_ENOUGH; i++) {
        if ((i && buf_append_str(&q->name, " ") < 0) || buf_append_str(&q->name, q->argv[i]) < 0)
            return q->argv[0];
    }
    return buf_append(&q->name, "", 1) < 0 ? q->argv[0] : q->name.data;
}

static void decode_command(struct exec_request *q)
{
    const char *command = NULL;
    json_body_text(&q->body, "command", LIMIT_ARGS_ENV, &command);
    json_body_list(&q->body, "argv", LIMIT_ARGS_ENV, &q->argv);
    if (!json_body_is_valid(&q->body))
        return;
    if (!command == !q->argv) {
        json_body_refuse(&q->body, "command", "exactly one of command and argv is needed");
        return;
    }
    if (q->argv && (!q->argv[0] || !*q->argv[0])) {
        json_body_refuse(&q->body, "argv", "must begin with the name of a program");
        return;
    }
    q->shell[0] = "/bin/bash";
    q->shell[1] = "-c";
    q->shell[2] = command;
    q->program.spec.argv = q->argv ? q->argv : q->shell;
    q->program.name = q->argv ? name_of(q) : command;
}

static void decode_terminal(struct exec_request *q)
{
    struct process_spec *spec = &q->program.spec;
    const struct int_range side = {1, SIDE_MAX};
    int64_t rows = ROWS_USUAL, columns = COLUMNS_USUAL;
    json_body_bool(&q->body, "terminal", &spec->terminal);
    json_body_bool(&q->body, "stdin_open", &spec->stdin_open);
    json_body_int(&q->body, "rows", side, &rows);
    json_body_int(&q->body, "columns", side, &columns);
    spec->rows = (uint16_t)rows;
    spec->columns = (uint16_t)columns;
}

void exec_request_decode(struct exec_request *q, const struct request_rules *rules)
{
    decode_command(q);
    decode_terminal(q);
    decode_common(q, rules);
}

/* -- run -- */

static void refuse_language(struct exec_request *q, const json_t *value)
{
    const char *names[LANGUAGES_MAX + 1] = {0};
    const struct language *l;
    size_t n = 0, ignored;
    for (size_t i = 0; (l = language_at(i)) && n < LANGUAGES_MAX; i++) {
        if (language_available(l))
            names[n++] = l->name;
    }
    /* The names are not what was sent, so this only adds the violation. */
    field_choice(&q->body.fields, PLACE("language"), value, names, &ignored);
}

/* NULL, and a violation, when there is none of this name. */
static const struct language *decode_language(struct exec_request *q)
{
    json_t *root = json_body_root(&q->body);
    const json_t *value = root ? field_optional(root, "language") : NULL;
    const char *name = "python";
    json_body_text(&q->body, "language", LANGUAGE_MAX, &name);
    const struct language *l = language_find(name);
    if (l && language_available(l))
        return l;
    refuse_language(q, value);
    return NULL;
}

static bool names_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    return !session_path_fault(path) && *base && strcmp(base, ".") != 0;
}

/* Where the code goes: a file of the client's that stays, or one of its own that goes with the
 * process. */
static void place_script(struct exec_request *q, const struct language *l, const char *nonce)
{
    struct process_spec *spec = &q->program.spec;
    const char *filename = NULL;
    json_body_text(&q->body, "filename", LIMIT_FILE_NAME, &filename);
    if (filename && !names_file(filename)) {
        json_body_refuse(&q->body, "filename", "must be the path of a file within the workspace");
        return;
    }
    if (filename)
        snprintf(q->script, sizeof q->script, WORK_DIR "/%s", filename);
    else
        snprintf(q->script, sizeof q->script, "/tmp/run-%s/%s", nonce, l->main_file);
    spec->script = q->script;
    spec->temporary = !filename;
    q->program.name = filename ? filename : NAME_CODE;
}

/* The interpreter, the script, the arguments. */
static void build_argv(struct exec_request *q, const struct language *l)
{
    static const char *const python[] = {"python3", NULL};
    const char *const *first = l->warm ? python : l->argv;
    size_t n = 0, nargs = 0, nfirst = 0;
    while (first[nfirst])
        nfirst++;
    while (q->args && q->args[nargs])
        nargs++;
    q->argv = calloc(nfirst + nargs + 2, sizeof *q->argv);
    if (!q->argv) {
        q->body.out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < nfirst; i++)
        q->argv[n++] = first[i];
    q->argv[n++] = q->script;
    for (size_t i = 0; i < nargs; i++)
        q->argv[n++] = q->args[i];
    q->program.spec.argv = q->argv;
    q->program.spec.is_python = l->warm;
}

static void decode_code(struct exec_request *q, const struct request_rules *rules)
{
    struct json_slice code = {NULL, 0};
    if (!json_body_require(&q->body, "code"))
        return;
    json_body_bytes(&q->body, "code", SIZE_MAX, &code);
    if (code.len > rules->code_chars_max && utf8_count(code.data, code.len) > rules->code_chars_max)
        json_body_refuse(&q->body, "code", "is longer than MAX_CODE_LENGTH characters");
    q->program.spec.script_data = code.data ? code.data : "";
    q->program.spec.script_len = code.len;
}

void exec_request_decode_code(struct exec_request *q, const struct request_rules *rules,
                              const char *nonce)
{
    decode_code(q, rules);
    const struct language *l = decode_language(q);
    if (l)
        place_script(q, l, nonce);
    json_body_list(&q->body, "args", LIMIT_ARGS_ENV, &q->args);
    decode_common(q, rules);
    if (l && json_body_is_valid(&q->body))
        build_argv(q, l);
}

void exec_request_finish(struct exec_request *q)
{
    free(q->args);
    free(q->argv);
    free(q->env);
    buf_finish(&q->env_text);
    buf_finish(&q->name);
    json_body_finish(&q->body);
}
