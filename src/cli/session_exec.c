/* session_exec: `dunlin session exec`, `run`, `ps`, `kill` and `logs`.
 *
 * Runs in dunlin-client, as whoever calls it.  What a program of the session writes goes to our
 * stdout and stderr as it is, which is what was asked for; everything else is escaped. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/client_events.h"
#include "cli/client_json.h"
#include "cli/client_text.h"
#include "cli/session_internal.h"
#include "cli/words.h"

#define STATUS_SIGNAL      128
#define STATUS_TIMEOUT     124
#define STATUS_INTERRUPTED 130
#define CODE_MAX           ((size_t)16 << 20)
#define STDIN_MAX          ((size_t)16 << 20)

/* -- following --------------------------------------------------------------------------------- */

struct follower {
    struct client_events events;
    bool ended;
    int status;
};

/* The number of a signal by its name, 0 if it is none that we know. */
static int signal_number(const char *name)
{
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);

        if (known != NULL && strncmp(name, "SIG", 3) == 0 && strcmp(known, name + 3) == 0)
            return i;
    }
    return 0;
}

/* Sessions name a signal; /execute has its number, and in exit_code that below zero. */
int session_status_of(const json_t *result)
{
    const char *signal = client_text_of(result, "signal");
    int code = (int)client_number_of(result, "exit_code");

    if (json_is_true(json_object_get(result, "timed_out")))
        return STATUS_TIMEOUT;
    if (*signal != '\0')
        return STATUS_SIGNAL + signal_number(signal);
    return code < 0 ? STATUS_SIGNAL - code : code;
}

static int pass_on(int fd, const json_t *body)
{
    const json_t *text = json_object_get(body, "text");

    return json_is_string(text)
               ? fd_write_all(fd, json_string_value(text), json_string_length(text), NULL)
               : 0;
}

static int on_event(void *data, const char *name, const char *text, size_t len)
{
    struct follower *f = data;
    json_t *body = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    int r = 0;

    if (strcmp(name, "stdout") == 0)
        r = pass_on(STDOUT_FILENO, body);
    else if (strcmp(name, "stderr") == 0)
        r = pass_on(STDERR_FILENO, body);
    else if (strcmp(name, "gap") == 0)
        fprintf(stderr,
                WORDS("dunlin: %" PRIu64 " bytes of output were lost\n",
                      "dunlin: 丢失了 %" PRIu64 " 字节输出\n"),
                (uint64_t)client_number_of(body, "bytes"));
    if (strcmp(name, "result") == 0) {
        f->ended = true;
        f->status = session_status_of(body);
    }
    json_decref(body);
    return r;
}

static int on_piece(void *data, const char *bytes, size_t len)
{
    struct follower *f = data;

    return client_events_feed(&f->events, bytes, len);
}

int session_follow(struct client *c, const struct session_options *o, const char *method,
                   const char *path, const json_t *body)
{
    struct follower f = {.status = 1};
    struct client_call call = {.method = method,
                               .path = path,
                               .body = body,
                               .events = true,
                               .piece = on_piece,
                               .data = &f};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};

    client_catch_interrupts();
    client_events_init(&f.events, on_event, &f);
    if (client_call(c, &call, &a, &e) < 0)
        f.status = client_interrupted() ? STATUS_INTERRUPTED : client_fail_call(&o->common, &e);
    else if (a.status / 100 != 2)
        f.status =
            client_refused(&o->common, WORDS("it cannot be run", "无法运行"), session_kind(&a), &a);
    else if (!f.ended)
        f.status = client_fail(&o->common, NULL,
                               WORDS("the server ended the stream early", "服务器提前中断了输出"));
    client_events_finish(&f.events);
    return f.status;
}

/* -- exec and run ------------------------------------------------------------------------------ */

/* The rest of a descriptor as a JSON string, NULL and e. */
static json_t *read_text(int fd, size_t max, struct err *e)
{
    _cleanup_buf_ struct buf b;
    char chunk[65536];
    json_t *text;
    ssize_t n;

    buf_init(&b, max);
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        if (buf_append(&b, chunk, (size_t)n) < 0) {
            err_set(e, ERR_LIMIT, 0, WORDS("more than %zu MB", "超过 %zu MB"), max >> 20);
            return NULL;
        }
    }
    if (n < 0) {
        err_set(e, ERR_INVALID, errno, WORDS("cannot read", "无法读取"));
        return NULL;
    }
    text = json_stringn(b.data != NULL ? b.data : "", b.len);
    if (text == NULL)
        err_set(e, ERR_INVALID, 0, "%s", WORDS("not UTF-8 text", "不是 UTF-8 文本"));
    return text;
}

/* What exec and run have in common.  Standard input is handed over when it is a pipe or a file. */
static int add_common(const struct session_options *o, json_t *body, bool takes_stdin,
                      struct err *e)
{
    struct stat st;
    json_t *input;
    int r = 0;

    if (o->cwd != NULL)
        r |= json_object_set_new(body, "cwd", json_string(o->cwd));
    if (o->nenv > 0)
        r |= json_object_set_new(body, "env", session_pairs(o->env, o->nenv));
    if (o->timeout > 0)
        r |= json_object_set_new(body, "timeout", json_integer(o->timeout));
    if (o->background)
        r |= json_object_set_new(body, "background", json_true());
    if (r == 0 && takes_stdin && fstat(STDIN_FILENO, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))) {
        input = read_text(STDIN_FILENO, STDIN_MAX, e);
        if (input == NULL)
            return err_prefix(e, "stdin");
        r |= json_object_set_new(body, "stdin", input);
    }
    return r < 0 ? err_set(e, ERR_INVALID, 0, "%s",
                           WORDS("the words on the command line are not UTF-8",
                                 "命令行不是 UTF-8 文本"))
                 : 0;
}

static json_t *strings(char *const *words, int n)
{
    json_t *list = json_array();

    for (int i = 0; list != NULL && i < n; i++) {
        if (json_array_append_new(list, json_string(words[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* In the background the answer is at once a process number; otherwise its output follows. */
static int start(struct client *c, const struct session_options *o, const char *rest,
                 const json_t *body)
{
    struct session_request r = {.method = "POST", .id = o->words[0], .rest = rest, .body = body};
    _cleanup_answer_ struct client_answer a = {0};
    char *path;
    int status;

    if (!o->background && !o->common.json) {
        path = client_path("v1/sessions", o->words[0], rest);
        status = path == NULL ? 1 : session_follow(c, o, "POST", path, body);
        free(path);
        return status;
    }
    status = session_answer(c, o, &r, WORDS("it cannot be run", "无法运行"), &a);
    if (status != 0)
        return status;
    if (o->common.json)
        client_json_print(a.json);
    else
        printf("%" JSON_INTEGER_FORMAT "\n", client_number_of(a.json, "process"));
    return o->background ? 0 : session_status_of(a.json);
}

int session_exec(struct client *c, const struct session_options *o)
{
    json_t *body = o->nwords == 2
                       ? json_pack("{s:s}", "command", o->words[1])
                       : json_pack("{s:o}", "argv", strings(o->words + 1, o->nwords - 1));
    struct err e = {0};
    int status;

    if (o->nwords < 2)
        err_set(&e, ERR_INVALID, 0, "%s", WORDS("a command is wanted", "缺少命令"));
    if (e.code != 0 || body == NULL || add_common(o, body, !o->background, &e) < 0)
        status = client_fail(&o->common, NULL, e.text);
    else
        status = start(c, o, "/exec", body);
    json_decref(body);
    return status;
}

/* By the ending of the name; Python otherwise. */
static const char *language_of(const char *name)
{
    static const char *const endings[][2] = {{".py", "python"},
                                             {".sh", "shell"},
                                             {".bash", "shell"},
                                             {".js", "javascript"},
                                             {".mjs", "javascript"}};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(dot, endings[i][0]) == 0)
            return endings[i][1];
    }
    return "python";
}

json_t *session_code(const struct session_options *o, const char *file, int first, struct err *e)
{
    bool is_stdin = strcmp(file, "-") == 0;
    _cleanup_fd_ int fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
    json_t *body, *code;

    if (fd < 0) {
        err_set(e, ERR_INVALID, errno, "%.120s", file);
        return NULL;
    }
    code = read_text(fd, CODE_MAX, e);
    if (code == NULL) {
        err_prefix(e, "%.120s", file);
        return NULL;
    }
    body = json_pack("{s:o, s:s, s:o}", "code", code, "language",
                     o->language != NULL ? o->language : language_of(file), "args",
                     strings(o->words + first, o->nwords - first));
    if (body == NULL)
        err_set(e, ERR_INVALID, 0, "%s",
                WORDS("the words on the command line are not UTF-8", "命令行不是 UTF-8 文本"));
    else if (add_common(o, body, !is_stdin && !o->background, e) == 0)
        return body;
    json_decref(body);
    return NULL;
}

int session_run(struct client *c, const struct session_options *o)
{
    struct err e = {0};
    json_t *body = session_code(o, o->words[1], 2, &e);
    int status = body == NULL ? client_fail(&o->common, NULL, e.text) : start(c, o, "/run", body);

    json_decref(body);
    return status;
}

/* -- processes --------------------------------------------------------------------------------- */

static void print_process(const json_t *one)
{
    bool running = json_is_true(json_object_get(one, "running"));
    const char *signal = client_text_of(one, "signal");

    printf("   %s %4" JSON_INTEGER_FORMAT "  ", running ? "🟢" : "⚪",
           client_number_of(one, "process"));
    if (running)
        printf("%-12s", WORDS("running", "运行中"));
    else if (*signal != '\0')
        printf("%-12s", signal);
    else
        printf("%s %-7" JSON_INTEGER_FORMAT, WORDS("exit", "退出"),
               client_number_of(one, "exit_code"));
    client_text_print(client_text_of(one, "command"));
    putchar('\n');
}

static void print_tree(const json_t *list)
{
    size_t i;
    json_t *one;

    puts(WORDS("   pid   parent  state  command", "   pid   parent  state  命令"));
    json_array_foreach(list, i, one)
    {
        printf("   %-5" JSON_INTEGER_FORMAT " %-7" JSON_INTEGER_FORMAT " ",
               client_number_of(one, "pid"), client_number_of(one, "parent"));
        client_text_print(client_text_of(one, "state"));
        fputs("      ", stdout);
        client_text_print(client_text_of(one, "command"));
        putchar('\n');
    }
}

int session_ps(struct client *c, const struct session_options *o)
{
    struct session_request r = {
        .method = "GET", .id = o->words[0], .rest = o->all ? "/processes?all=true" : "/processes"};
    _cleanup_answer_ struct client_answer a = {0};
    int status = session_answer(c, o, &r, WORDS("cannot list the processes", "获取进程失败"), &a);
    const json_t *list;

    if (status != 0)
        return status;
    list = json_object_get(a.json, "processes");
    if (o->common.json) {
        client_json_print(a.json);
        return 0;
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        print_process(json_array_get(list, i));
    if (json_array_size(list) == 0)
        puts(WORDS("   (nothing was started)", "   (无)"));
    if (o->all)
        print_tree(json_object_get(a.json, "tree"));
    return 0;
}

/* "/processes/N" and `rest`; false when the word is no number. */
static bool process_path(const struct session_options *o, const char *rest, char out[static 96])
{
    const char *word = o->words[1];

    if (*word == '\0' || strlen(word) > 10 || word[strspn(word, "0123456789")] != '\0') {
        client_fail(&o->common, NULL, WORDS("PROCESS is a number", "PROCESS 应为数字"));
        return false;
    }
    snprintf(out, 96, "/processes/%s%s", word, rest);
    return true;
}

int session_kill(struct client *c, const struct session_options *o)
{
    char rest[96];
    struct session_request r = {.method = "POST", .id = o->words[0], .rest = rest};
    _cleanup_answer_ struct client_answer a = {0};
    json_t *body;
    int status;

    if (!process_path(o, "/signal", rest))
        return 1;
    body = json_pack("{s:s}", "signal", o->nwords > 2 ? o->words[2] : "TERM");
    r.body = body;
    status = session_answer(c, o, &r, WORDS("cannot signal it", "无法发送信号"), &a);
    json_decref(body);
    return status;
}

/* With the NULs that it may have. */
static int print_text(const json_t *object, const char *name, FILE *out)
{
    const json_t *text = json_object_get(object, name);
    size_t len = json_string_length(text);

    return len == 0 || fwrite(json_string_value(text), 1, len, out) == len ? 0 : -1;
}

int session_logs(struct client *c, const struct session_options *o)
{
    char rest[96], *path;
    struct session_request r = {.method = "GET", .id = o->words[0], .rest = rest};
    _cleanup_answer_ struct client_answer a = {0};
    int status;

    if (!process_path(o, o->follow ? "/output?follow=true" : "/output", rest))
        return 1;
    if (o->follow) {
        path = client_path("v1/sessions", o->words[0], rest);
        status = path == NULL ? 1 : session_follow(c, o, "GET", path, NULL);
        free(path);
        return status;
    }
    status = session_answer(c, o, &r, WORDS("cannot read its output", "获取输出失败"), &a);
    if (status != 0)
        return status;
    if (o->common.json) {
        client_json_print(a.json);
        return 0;
    }
    status = print_text(a.json, "stdout", stdout) | print_text(a.json, "stderr", stderr);
    return status == 0 ? 0 : 1;
}
