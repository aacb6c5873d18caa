/* execute_files: the input files of POST /execute.
 *
 * Runs in the server, on the loop or on the thread pool.  Names and contents are hostile; the
 * answer to a bad one is the predecessor's text with what is wrong in English behind it. */
#include <stdlib.h>
#include <string.h>

#include "api/execute_decode.h"
#include "api/file_name.h"
#include "base/base64.h"
#include "base/limits.h"
#include "engine/language.h"

/* Cuts absurdly long names in answers; a good name is never cut. */
static int shown_length(const char *name)
{
    return (int)strnlen(name, LIMIT_FILE_PATH);
}

static enum request_verdict refuse_name(struct decode *d, const char *name, const char *why)
{
    buf_printf(&d->out->answer, "执行错误: 不安全的文件名: %.*s (unsafe file name: %s)",
               shown_length(name), name, why);
    return REQUEST_REFUSED;
}

static enum request_verdict refuse_base64(struct decode *d, const char *name, const struct err *e)
{
    buf_printf(&d->out->answer, "执行错误: 处理文件 %s 时出错: base64 编码无效 (%s)", name,
               e->text);
    return REQUEST_REFUSED;
}

static enum request_verdict refuse_size(struct decode *d, const char *name)
{
    buf_printf(&d->out->answer,
               "执行错误: 处理文件 %s 时出错: 文件 %s 超过大小限制 (file exceeds %zu bytes)", name,
               name, d->rules->file_max);
    return REQUEST_REFUSED;
}

/* Decodes one content into file->data: in the arena where it stands there, else into a block of
 * its own. */
static enum request_verdict decode_content(struct decode *d, const char *name,
                                           const json_t *content, struct run_file *file)
{
    bool lifted;
    struct err e = {0};
    struct json_slice s = json_lift_string(d->fields.lift, content, &lifted);
    char *out = lifted ? s.data : malloc(base64_decoded_max(s.len) + 1);
    if (!out)
        return REQUEST_FAILED;
    file->data = out;
    if (base64_decode(s.data, s.len, (unsigned char *)out, &file->len, &e) < 0)
        return refuse_base64(d, name, &e);
    if (file->len > d->rules->file_max)
        return refuse_size(d, name);
    return REQUEST_RUN;
}

static enum request_verdict decode_file(struct decode *d, const char *name, const json_t *content)
{
    struct run_spec *spec = d->spec;
    const char *why = file_name_fault(name, strlen(name));
    if (why)
        return refuse_name(d, name, why);
    struct run_file *file = &spec->files[spec->nfiles];
    file->name = strdup(name);
    if (!file->name)
        return REQUEST_FAILED;
    spec->nfiles++;
    return decode_content(d, name, content, file);
}

/* The code is written last, so a file of its name never shows: it is left out. */
static void drop_main_file(struct run_spec *spec)
{
    for (size_t i = 0; i < spec->nfiles; i++) {
        if (strcmp(spec->files[i].name, spec->language->main_file) != 0)
            continue;
        run_spec_free_file(spec, &spec->files[i]);
        memmove(&spec->files[i], &spec->files[i + 1],
                (spec->nfiles - i - 1) * sizeof spec->files[0]);
        spec->nfiles--;
        return;
    }
}

static enum request_verdict check_collisions(struct decode *d)
{
    const struct run_spec *spec = d->spec;
    const char **names = calloc(spec->nfiles + 1, sizeof *names);
    if (!names)
        return REQUEST_FAILED;
    for (size_t i = 0; i < spec->nfiles; i++)
        names[i] = spec->files[i].name;
    names[spec->nfiles] = spec->language->main_file;
    const char *other, *name = file_names_collide(names, spec->nfiles + 1, &other);
    enum request_verdict verdict = REQUEST_RUN;
    if (name) {
        _cleanup_buf_ struct buf why = {0};
        buf_printf(&why, "%s is a file already", other);
        verdict = why.data ? refuse_name(d, name, why.data) : REQUEST_FAILED;
    }
    free(names);
    return verdict;
}

enum request_verdict decode_file_contents(struct decode *d)
{
    struct run_spec *spec = d->spec;
    size_t n = d->files ? json_object_size(d->files) : 0;
    if (n == 0)
        return REQUEST_RUN;
    spec->files = calloc(n, sizeof *spec->files);
    if (!spec->files)
        return REQUEST_FAILED;
    for (void *i = json_object_iter(d->files); i; i = json_object_iter_next(d->files, i)) {
        const char *name = json_object_iter_key(i);
        json_t *content = json_object_iter_value(i);
        enum request_verdict verdict = decode_file(d, name, content);
        if (verdict != REQUEST_RUN)
            return verdict;
    }
    drop_main_file(spec);
    return check_collisions(d);
}
