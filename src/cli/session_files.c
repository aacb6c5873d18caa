/* session_files: `dunlin session ls` and `cp`.
 *
 * Runs in dunlin-client, as whoever calls it.  Names of files in a session are hostile: they are
 * escaped when shown, and never become a path of this machine. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/client_json.h"
#include "cli/client_text.h"
#include "cli/session_internal.h"
#include "cli/words.h"

/* -- ls ---------------------------------------------------------------------------------------- */

static void print_file(const json_t *one)
{
    const char *type = client_text_of(one, "type"), *target = client_text_of(one, "target");
    char size[CLIENT_SIZE_MAX];

    client_size_format((uint64_t)client_number_of(one, "size"), size);
    printf("%s %8s  ", client_text_of(one, "mode"), strcmp(type, "directory") == 0 ? "-" : size);
    client_text_print(client_text_of(one, "path"));
    if (strcmp(type, "directory") == 0)
        putchar('/');
    if (*target != '\0') {
        fputs(" -> ", stdout);
        client_text_print(target);
    }
    putchar('\n');
}

int session_ls(struct client *c, const struct session_options *o)
{
    const char *pairs[] = {"path",      o->nwords > 1 ? o->words[1] : NULL,
                           "recursive", o->recursive ? "true" : NULL,
                           NULL,        NULL};
    struct session_request r = {.method = "GET", .id = o->words[0]};
    _cleanup_answer_ struct client_answer a = {0};
    char *query = session_query(pairs), *rest = NULL;
    const json_t *entries;
    int status = 1;

    if (query == NULL || asprintf(&rest, "/ls%s", query) < 0)
        rest = NULL;
    r.rest = rest;
    if (rest != NULL)
        status = session_answer(c, o, &r, WORDS("cannot list the files", "获取文件列表失败"), &a);
    free(query);
    free(rest);
    if (status != 0)
        return status;
    if (o->common.json) {
        client_json_print(a.json);
        return 0;
    }
    entries = json_object_get(a.json, "entries");
    for (size_t i = 0; i < json_array_size(entries); i++)
        print_file(json_array_get(entries, i));
    if (json_is_true(json_object_get(a.json, "truncated")))
        puts(WORDS("... and more", "... 还有更多"));
    return 0;
}

/* -- cp ---------------------------------------------------------------------------------------- */

/* The "PATH" of "ID:PATH", whose id goes to `id`; NULL for a file of this machine. */
static const char *split(const char *word, char id[static 256])
{
    const char *colon = strchr(word, ':');

    if (colon == NULL || memchr(word, '/', (size_t)(colon - word)) != NULL ||
        (size_t)(colon - word) >= 256)
        return NULL;
    memcpy(id, word, (size_t)(colon - word));
    id[colon - word] = '\0';
    return colon + 1;
}

/* "/v1/sessions/ID/files/PATH" and a query. */
static char *file_path(const char *id, const char *path, const char *query)
{
    char *escaped = client_escape(path, true), *rest = NULL, *whole = NULL;

    if (escaped != NULL && asprintf(&rest, "/files/%s%s", escaped, query) >= 0)
        whole = client_path("v1/sessions", id, rest);
    free(escaped);
    free(rest);
    return whole;
}

static int upload(struct client *c, const struct session_options *o, const char *id,
                  const char *path, int file)
{
    struct client_call call = {.method = "PUT", .upload = true, .file = file};
    _cleanup_answer_ struct client_answer a = {0};
    char query[24] = "", *where;
    struct err e = {0};
    struct stat st;
    int status;

    if (fstat(file, &st) == 0 && S_ISREG(st.st_mode))
        snprintf(query, sizeof query, "?mode=%04o", st.st_mode & 0777);
    call.path = where = file_path(id, path, query);
    if (where == NULL)
        return client_fail(&o->common, NULL, "out of memory");
    status = client_call(c, &call, &a, &e) < 0
                 ? client_fail_call(&o->common, &e)
                 : client_check(&o->common, WORDS("cannot write", "无法写入"), NULL, &a);
    free(where);
    if (status == 0 && o->common.json)
        client_json_print(a.json);
    return status;
}

static int on_bytes(void *data, const char *bytes, size_t len)
{
    return fd_write_all(*(int *)data, bytes, len, NULL);
}

/* Into a descriptor. */
static int download(struct client *c, const struct session_options *o, const char *id,
                    const char *path, int file)
{
    struct client_call call = {.method = "GET", .piece = on_bytes, .data = &file};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};
    char *where;
    int status = 0;

    call.path = where = file_path(id, path, "");
    if (where == NULL)
        return client_fail(&o->common, NULL, "out of memory");
    client_catch_interrupts();
    if (client_call(c, &call, &a, &e) < 0)
        status = client_fail_call(&o->common, &e);
    else if (a.status / 100 != 2)
        status = client_refused(&o->common, WORDS("cannot read", "无法读取"), NULL, &a);
    free(where);
    return status;
}

/* Where a copy goes: into a directory by the last part of the source's name. */
static char *target_name(const char *from, const char *to)
{
    const char *slash = strrchr(from, '/'), *base = slash != NULL ? slash + 1 : from;
    size_t len = strlen(to);
    struct stat st;
    char *name = NULL;

    if ((stat(to, &st) == 0 && S_ISDIR(st.st_mode)) || (len > 0 && to[len - 1] == '/')) {
        if (*base == '\0' || strcmp(base, "..") == 0 || strcmp(base, ".") == 0 ||
            asprintf(&name, "%s/%s", to, base) < 0)
            return NULL;
        return name;
    }
    return strdup(to);
}

/* A device, a pipe or a link is written to where it is: renaming would replace it. */
static bool is_written_in_place(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 && !S_ISREG(st.st_mode);
}

/* A new file beside `name`, with the mode of a new file; its own name in *ret_part. */
static int open_part(const char *name, char **ret_part)
{
    mode_t mask = umask(0);
    int fd;

    umask(mask);
    if (asprintf(ret_part, "%s.XXXXXX", name) < 0) {
        *ret_part = NULL;
        return -1;
    }
    fd = mkostemp(*ret_part, O_CLOEXEC);
    if (fd >= 0)
        (void)fchmod(fd, 0666 & ~mask);
    return fd;
}

static int download_to_file(struct client *c, const struct session_options *o, const char *id,
                            const char *path, const char *to)
{
    char *name = target_name(path, to), *part = NULL;
    _cleanup_fd_ int fd = -1;
    int status = 1;

    if (name != NULL && is_written_in_place(name))
        fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);
    else if (name != NULL)
        fd = open_part(name, &part);
    if (fd < 0)
        client_fail(&o->common, name != NULL ? name : to, strerror(errno));
    else
        status = download(c, o, id, path, fd);
    if (status == 0 && part != NULL && rename(part, name) < 0)
        status = client_fail(&o->common, name, strerror(errno));
    if (status != 0 && fd >= 0 && part != NULL)
        unlink(part);
    free(name);
    free(part);
    return status;
}

/* A name in a session that ends in "/" or is empty gets the file's own. */
static int upload_from_file(struct client *c, const struct session_options *o, const char *from,
                            const char *id, const char *path)
{
    bool is_stdin = strcmp(from, "-") == 0;
    _cleanup_fd_ int fd = is_stdin ? dup(STDIN_FILENO) : open(from, O_RDONLY | O_CLOEXEC);
    const char *slash = strrchr(from, '/'), *base = slash != NULL ? slash + 1 : from;
    size_t len = strlen(path);
    char *whole = NULL;
    struct stat st;
    int status;

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)))
        return client_fail(&o->common, from, strerror(fd < 0 ? errno : EISDIR));
    if (asprintf(&whole, "%s%s", path, len == 0 || path[len - 1] == '/' ? base : "") < 0)
        return 1;
    status = upload(c, o, id, whole, fd);
    free(whole);
    return status;
}

int session_cp(struct client *c, const struct session_options *o)
{
    char from_id[256], to_id[256];
    const char *from = split(o->words[0], from_id), *to = split(o->words[1], to_id);

    if ((from == NULL) == (to == NULL))
        return client_fail(&o->common, NULL,
                           WORDS("one of FROM and TO is ID:PATH, the other a file of this machine",
                                 "FROM 和 TO 中一个为 ID:PATH，另一个为本机文件"));
    if (to != NULL)
        return upload_from_file(c, o, o->words[0], to_id, to);
    if (strcmp(o->words[1], "-") == 0)
        return download(c, o, from_id, from, STDOUT_FILENO);
    return download_to_file(c, o, from_id, from, o->words[1]);
}
