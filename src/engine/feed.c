/* feed: turns a run's spec into what init reads (wire/frame.h).
 *
 * Runs in the server's loop.  Trusts the spec: names are checked, sizes are within the limits. */
#include "engine/feed.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/language.h"
#include "engine/run.h"
#include "wire/frame.h"

#define IOV_AT_ONCE 64

static const char *const policy_names[] = {
    [POLICY_OFF] = "off", [POLICY_STANDARD] = "standard", [POLICY_STRICT] = "strict"};

#define IN_BUILT_IN (1u << 0) /* code in the built-in environment */
#define IN_IMAGE    (1u << 1) /* code in another one */
#define IN_PROGRAM  (1u << 2) /* a job of our own */

/* The environment of every run; the client's own settings come first and win (R14). */
static const struct {
    const char *name, *value; /* value NULL: the work directory */
    unsigned where;
} environment[] = {
    {"PATH", "/usr/local/bin:/usr/bin:/bin", IN_BUILT_IN},
    {"PATH",
     "/opt/venv/bin:/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
     IN_IMAGE | IN_PROGRAM},
    {"HOME", "/tmp", IN_BUILT_IN | IN_IMAGE},
    {"HOME", "/root", IN_PROGRAM},
    {"LANG", "C.UTF-8", IN_BUILT_IN | IN_IMAGE | IN_PROGRAM},
    {"PYTHONUNBUFFERED", "1", IN_BUILT_IN | IN_IMAGE},
    {"PYTHONPATH", NULL, IN_BUILT_IN | IN_IMAGE},
};

#define DEFAULTS (sizeof environment / sizeof environment[0])

static bool is_set(const struct run_spec *spec, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < spec->nenv; i++) {
        if (strncmp(spec->env[i], name, len) == 0 && spec->env[i][len] == '=')
            return true;
    }
    return false;
}

static int add_string(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s) + 1);
}

static unsigned place_of(const struct run_spec *spec, const struct feed_config *config)
{
    if (spec->program != NULL)
        return IN_PROGRAM;
    return config->is_image ? IN_IMAGE : IN_BUILT_IN;
}

/* Appends the client's environment and the defaults it leaves; counts them. */
static int add_environment(struct buf *b, const struct run_spec *spec,
                           const struct feed_config *config, uint32_t *ret_n)
{
    unsigned place = place_of(spec, config);
    uint32_t n = (uint32_t)spec->nenv;
    int r = 0;

    for (size_t i = 0; i < spec->nenv; i++)
        r |= add_string(b, spec->env[i]);
    for (size_t i = 0; i < DEFAULTS; i++) {
        const char *value = environment[i].value != NULL ? environment[i].value : config->work_dir;

        if ((environment[i].where & place) == 0 || is_set(spec, environment[i].name))
            continue;
        r |= buf_append_str(b, environment[i].name);
        r |= buf_append(b, "=", 1);
        r |= add_string(b, value);
        n++;
    }
    *ret_n = n;
    return r;
}

static uint32_t job_flags(const struct run_spec *spec, bool warm)
{
    uint32_t flags = 0;

    if (spec->check_only)
        flags |= FRAME_JOB_CHECK;
    if (spec->files_mode == RUN_FILES_CHANGED)
        flags |= FRAME_JOB_CHANGED;
    if (!warm && spec->program == NULL && spec->language->runner)
        flags |= FRAME_JOB_RUNNER;
    return flags;
}

static int add_frame(struct buf *b, enum frame_type type, const void *payload, size_t len)
{
    char header[FRAME_HEADER];

    frame_header(header, type, len);
    return buf_append(b, header, sizeof header) | buf_append(b, payload, len);
}

/* The name of an interpreter: in an image it lies where PATH finds it. */
static const char *interpreter(const char *path, const struct feed_config *config)
{
    return config->is_image ? strrchr(path, '/') + 1 : path;
}

/* The program and its arguments; counts them. */
static int add_argv(struct buf *b, const struct run_spec *spec, const struct feed_config *config,
                    uint32_t *ret_n)
{
    int r = 0;

    *ret_n = 0;
    if (spec->program != NULL) {
        for (size_t i = 0; i < spec->nprogram; i++)
            r |= add_string(b, spec->program[i]);
        *ret_n = (uint32_t)spec->nprogram;
        return r;
    }
    for (const char *const *arg = spec->language->argv; !config->warm && *arg != NULL; arg++) {
        r |= add_string(b, *ret_n == 0 ? interpreter(*arg, config) : *arg);
        ++*ret_n;
    }
    return r;
}

static int add_job(struct buf *b, const struct run_spec *spec, const struct feed_config *config)
{
    struct frame_job job = {.flags = job_flags(spec, config->warm),
                            .timeout_ms = spec->timeout_ms,
                            .nargs = (uint32_t)spec->nargs,
                            .max_file_size = spec->max_file_size};
    const struct language *l = spec->program == NULL ? spec->language : NULL;
    _cleanup_buf_ struct buf p;
    int r;

    if (spec->limits.workspace_mb != config->workspace_mb)
        job.workspace_mb = spec->limits.workspace_mb;
    buf_init(&p, FRAME_PAYLOAD_MAX);
    r = buf_append(&p, &job, sizeof job) | add_string(&p, l != NULL ? l->main_file : "");
    r |= add_string(&p, policy_names[l != NULL && l->policy ? spec->policy : POLICY_OFF]);
    r |= add_string(&p, spec->allowed_modules != NULL ? spec->allowed_modules : "");
    r |= add_argv(&p, spec, config, &job.nargv);
    for (size_t i = 0; i < spec->nargs; i++)
        r |= add_string(&p, spec->args[i]);
    r |= add_environment(&p, spec, config, &job.nenv);
    if (r != 0)
        return -1;
    memcpy(p.data, &job, sizeof job);
    return add_frame(b, FRAME_JOB, p.data, p.len);
}

/* A frame that announces raw bytes. */
static int add_blob(struct buf *b, enum frame_type type, const char *name, size_t size)
{
    struct frame_blob blob = {.size = size};
    size_t len = name != NULL ? strlen(name) : 0;
    char header[FRAME_HEADER];

    frame_header(header, type, sizeof blob + len);
    return buf_append(b, header, sizeof header) | buf_append(b, &blob, sizeof blob) |
           buf_append(b, name, len);
}

/* While the heads still grow, iov_base of a piece of them holds its offset. */
static void add_heads(struct feed *f, size_t from)
{
    f->iov[f->niov++] = (struct iovec){(void *)(uintptr_t)from, f->heads.len - from};
}

static void add_raw(struct feed *f, const char *data, size_t len)
{
    f->iov[f->niov++] = (struct iovec){(void *)(uintptr_t)data, len};
}

/* iov is laid out as heads, raw, heads, raw, ..., heads. */
static void settle_heads(struct feed *f)
{
    for (size_t i = 0; i < f->niov; i += 2)
        f->iov[i].iov_base = f->heads.data + (uintptr_t)f->iov[i].iov_base;
}

static int add_all(struct feed *f, const struct run_spec *spec, const struct feed_config *config)
{
    size_t from = 0;
    int r = add_job(&f->heads, spec, config);

    for (size_t i = 0; i < spec->nfiles; i++) {
        r |= add_blob(&f->heads, FRAME_FILE, spec->files[i].name, spec->files[i].len);
        add_heads(f, from);
        add_raw(f, spec->files[i].data, spec->files[i].len);
        from = f->heads.len;
    }
    if (spec->stdin_data != NULL) {
        r |= add_blob(&f->heads, FRAME_STDIN, NULL, spec->stdin_len);
        add_heads(f, from);
        add_raw(f, spec->stdin_data, spec->stdin_len);
        from = f->heads.len;
    }
    if (spec->program == NULL) {
        /* Last, so that an input file of the same name loses. */
        r |= add_blob(&f->heads, FRAME_FILE, spec->language->main_file, spec->code_len);
        add_heads(f, from);
        add_raw(f, spec->code, spec->code_len);
        from = f->heads.len;
    }
    r |= add_frame(&f->heads, FRAME_GO, NULL, 0);
    add_heads(f, from);
    return r;
}

int feed_init(struct feed *f, const struct run_spec *spec, const struct feed_config *config,
              struct err *e)
{
    *f = (struct feed){.niov = 0};
    buf_init(&f->heads, 0);
    f->iov = calloc(2 * spec->nfiles + 5, sizeof *f->iov);
    if (f->iov == NULL || add_all(f, spec, config) != 0) {
        feed_finish(f);
        return err_set(e, ERR_LIMIT, 0, "the job is too large");
    }
    settle_heads(f);
    return 0;
}

void feed_finish(struct feed *f)
{
    buf_finish(&f->heads);
    free(f->iov);
    *f = (struct feed){.niov = 0};
}

int feed_write(struct feed *f, int fd, struct err *e)
{
    while (f->at < f->niov) {
        size_t left = f->niov - f->at;
        ssize_t n = writev(fd, f->iov + f->at, (int)(left < IOV_AT_ONCE ? left : IOV_AT_ONCE));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return err_set(e, ERR_CLOSED, errno, "hand the job over");
        while (f->at < f->niov && (size_t)n >= f->iov[f->at].iov_len)
            n -= (ssize_t)f->iov[f->at++].iov_len;
        if (n > 0) {
            f->iov[f->at].iov_base = (char *)f->iov[f->at].iov_base + n;
            f->iov[f->at].iov_len -= (size_t)n;
        }
    }
    return 1;
}
