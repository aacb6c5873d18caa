/* process_message: what the init of a session is told to start, and with which environment.
 *
 * Runs in the server's loop.  Trusts its caller for strings without a line of their own to hide in:
 * each is sent with its NUL. */
#include "engine/process_message.h"

#include <stdlib.h>
#include <string.h>

#include "engine/live_internal.h"
#include "engine/process.h"
#include "wire/frame.h"
#include "wire/session.h"

static int add_string(struct buf *b, const char *s)
{
    return s != NULL ? buf_append(b, s, strlen(s) + 1) : buf_append(b, "", 1);
}

/* Appends them, NULL-terminated; counts them. */
static int add_strings(struct buf *b, const char *const *list, uint32_t *ret_n)
{
    int r = 0;

    *ret_n = 0;
    for (; list != NULL && *list != NULL; list++) {
        r |= add_string(b, *list);
        ++*ret_n;
    }
    return r;
}

static uint32_t flags_of(const struct process_spec *spec)
{
    uint32_t flags = 0;

    if (spec->terminal)
        flags |= SESSION_TERMINAL;
    if (spec->script != NULL)
        flags |= SESSION_SCRIPT;
    if (spec->script != NULL && spec->temporary)
        flags |= SESSION_TEMPORARY;
    if (!spec->background)
        flags |= SESSION_FOREGROUND;
    return flags;
}

static int refuse(const struct buf *b, struct err *e)
{
    if (b->torn)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    return err_set(e, ERR_INVALID, 0, "the arguments and the environment are too long");
}

int process_exec_message(struct buf *b, uint32_t id, const struct process_spec *spec, struct err *e)
{
    struct session_head head = {.op = SESSION_EXEC, .id = id};
    struct session_exec exec = {
        .flags = flags_of(spec), .rows = spec->rows, .columns = spec->columns};
    int r;

    buf_init(b, SESSION_MESSAGE_MAX);
    r = buf_append(b, &head, sizeof head) | buf_append(b, &exec, sizeof exec);
    r |= add_string(b, spec->cwd) | add_string(b, spec->script);
    r |= add_strings(b, spec->argv, &exec.nargv);
    r |= add_strings(b, spec->env, &exec.nenv);
    if (r != 0)
        return refuse(b, e);
    if (exec.nargv == 0)
        return err_set(e, ERR_INVALID, 0, "no program is named");
    memcpy(b->data + sizeof head, &exec, sizeof exec);
    return 0;
}

bool process_can_be_warm(const struct process_spec *spec)
{
    bool is_at_home = spec->cwd == NULL || spec->cwd[0] == '\0' || strcmp(spec->cwd, ".") == 0 ||
                      strcmp(spec->cwd, SESSION_WORK_DIR) == 0;

    return spec->is_python && !spec->terminal && is_at_home && spec->argv[0] != NULL &&
           spec->argv[1] != NULL && spec->argv[1][0] == '/';
}

int process_run_message(struct buf *b, uint32_t id, const struct process_spec *spec, struct err *e)
{
    struct session_head head = {.op = SESSION_RUN, .id = id};
    struct session_run run = {.flags = flags_of(spec)};
    struct frame_job job = {.nargv = 0};
    size_t at;
    int r;

    buf_init(b, SESSION_MESSAGE_MAX);
    r = buf_append(b, &head, sizeof head) | buf_append(b, &run, sizeof run);
    r |= add_string(b, spec->script);
    at = b->len;
    r |= buf_append(b, &job, sizeof job);
    r |= add_string(b, spec->argv[1]) | add_string(b, "off") | add_string(b, "");
    r |= add_strings(b, spec->argv + 2, &job.nargs);
    r |= add_strings(b, spec->env, &job.nenv);
    if (r != 0)
        return refuse(b, e);
    memcpy(b->data + at, &job, sizeof job);
    return 0;
}

/* -- environment ------------------------------------------------------------------------------- */

#define PATH_BUILT_IN "PATH=/usr/local/bin:/usr/bin:/bin"
#define PATH_IMAGE                                                                                 \
    "PATH=/opt/venv/bin:/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"  \
    "bin"

static const char *const built_in[] = {PATH_BUILT_IN,        "HOME=" SESSION_WORK_DIR,
                                       "LANG=C.UTF-8",       "PYTHONPATH=" SESSION_WORK_DIR,
                                       "PYTHONUNBUFFERED=1", NULL};
static const char *const image[] = {PATH_IMAGE,           "HOME=" SESSION_WORK_DIR,
                                    "LANG=C.UTF-8",       "PYTHONPATH=" SESSION_WORK_DIR,
                                    "PYTHONUNBUFFERED=1", NULL};
static const char *const of_terminals[] = {"TERM=xterm-256color", NULL};

#define LISTS 4

static bool is_same_name(const char *a, const char *b)
{
    const char *end = strchr(a, '=');
    size_t len = end != NULL ? (size_t)(end - a) + 1 : strlen(a) + 1;

    return strncmp(a, b, len) == 0;
}

static bool has_name(const char *const *list, const char *text)
{
    for (; list != NULL && *list != NULL; list++) {
        if (is_same_name(text, *list))
            return true;
    }
    return false;
}

/* Whether a later one has the name of `text`; `rest` is what follows it in lists[list]. */
static bool is_replaced(const char *const *const *lists, size_t list, const char *text,
                        const char *const *rest)
{
    if (has_name(rest, text))
        return true;
    while (++list < LISTS) {
        if (has_name(lists[list], text))
            return true;
    }
    return false;
}

char **process_environment(const struct live *live, bool terminal, const char *const *first,
                           const char *const *second)
{
    const char *const *lists[LISTS] = {live->is_image ? image : built_in,
                                       terminal ? of_terminals : NULL, first, second};
    size_t n = 0, bytes = 0;
    char **block;
    char *at;

    for (size_t i = 0; i < LISTS; i++) {
        for (const char *const *s = lists[i]; s != NULL && *s != NULL; s++) {
            n++;
            bytes += strlen(*s) + 1;
        }
    }
    block = malloc((n + 1) * sizeof *block + bytes);
    if (block == NULL)
        return NULL;
    at = (char *)(block + n + 1);
    n = 0;
    for (size_t i = 0; i < LISTS; i++) {
        for (const char *const *s = lists[i]; s != NULL && *s != NULL; s++) {
            size_t len = strlen(*s) + 1;

            if (is_replaced(lists, i, *s, s + 1))
                continue;
            block[n++] = memcpy(at, *s, len);
            at += len;
        }
    }
    block[n] = NULL;
    return block;
}
