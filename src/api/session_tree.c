/* session_tree: the entries of a workspace: listing, making, moving, copying, removing, searching.
 *
 * Runs in the server's loop thread; paths are hostile.  Each request is one call, made inside the
 * session's sandbox. */
#include <string.h>

#include "api/errors.h"
#include "api/file_answer.h"
#include "api/internal.h"
#include "api/json_body.h"
#include "api/session_collect.h"
#include "api/session_path.h"
#include "api/session_query.h"
#include "api/session_seen.h"
#include "base/limits.h"
#include "http/http.h"

#define PATH_BYTES_MAX 8000 /* read before it is judged */
#define TEXT_BYTES_MAX 1024 /* to search for */

static const struct collect_plan entry_plan = {.append = file_answer_entry, .frame = FILE_INFO};

/* False, and 400, when the path is none within a workspace. */
static bool path_is_sound(struct http_request *r, const char *path)
{
    const char *fault = session_path_fault(path);
    if (fault)
        error_reply_str(r, 400, fault);
    return !fault;
}

/* -- questions -- */

void session_stat_get(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    const char *path = session_query_text(r, "path");
    if (!session || !path_is_sound(r, path))
        return;
    const struct session_call_spec spec = {.what = {.op = FILE_STAT}, .path = path};
    session_collect(r, session, &spec, &entry_plan, path);
}

void session_list_get(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct collect_plan plan = {
        .append = file_answer_info, .frame = FILE_INFO, .list = "entries", .tells_path = true};
    struct session *session = session_seen(api, r, call);
    const char *path = session_query_text(r, "path");
    uint64_t limit = LIMIT_FILE_ENTRIES;
    bool recursive = false;
    if (!session || session_query_number(r, "limit", 1, LIMIT_FILE_ENTRIES, &limit) < 0 ||
        session_query_bool(r, "recursive", &recursive) < 0 || !path_is_sound(r, path))
        return;
    const struct session_call_spec spec = {.what = {.op = FILE_LIST,
                                                    .flags = recursive ? FILE_RECURSIVE : 0,
                                                    .limit = (uint32_t)limit},
                                           .path = path};
    session_collect(r, session, &spec, &plan, path);
}

void session_search_get(struct api *api, struct http_request *r, const struct call *call)
{
    static const struct collect_plan plan = {
        .append = file_answer_match, .frame = FILE_MATCH, .list = "matches"};
    struct session *session = session_seen(api, r, call);
    const char *path = session_query_text(r, "path");
    const char *text = http_query(r, "text"), *name = http_query(r, "name");
    uint64_t limit = LIMIT_FILE_ENTRIES;
    bool ignore_case = false;
    if (!session || session_query_number(r, "limit", 1, LIMIT_FILE_ENTRIES, &limit) < 0 ||
        session_query_bool(r, "ignore_case", &ignore_case) < 0 || !path_is_sound(r, path))
        return;
    const char *what = text ? text : name;
    if (!text == !name || !*what || strlen(what) > TEXT_BYTES_MAX) {
        error_reply_str(r, 400, "search needs either text or name, of 1 to 1024 bytes");
        return;
    }
    const struct session_call_spec spec = {
        .what = {.op = FILE_SEARCH,
                 .flags = (name ? FILE_NAMES : 0) | (ignore_case ? FILE_ICASE : 0),
                 .limit = (uint32_t)limit},
        .path = path,
        .other = what};
    session_collect(r, session, &spec, &plan, path);
}

/* -- changes -- */

/* A body that names entries. */
struct change {
    struct json_body body;
    const char *path, *other;
    struct session_file what;
};

static void read_path(struct change *c, const char *name, const char **ret)
{
    if (json_body_require(&c->body, name))
        json_body_text(&c->body, name, PATH_BYTES_MAX, ret);
}

static void read_flag(struct change *c, const char *name, uint32_t flag, bool usual)
{
    bool set = usual;
    json_body_bool(&c->body, name, &set);
    if (set)
        c->what.flags |= flag;
}

/* "0755", or the number that it stands for. */
static void read_mode(struct change *c)
{
    json_t *root = json_body_root(&c->body);
    const json_t *value = root ? field_optional(root, "mode") : NULL;
    const char *text = NULL;
    int64_t number = 0;
    if (!value)
        return;
    if (!json_is_string(value)) {
        json_body_int(&c->body, "mode", (struct int_range){0, 07777}, &number);
        c->what.mode = (uint32_t)number;
        return;
    }
    json_body_text(&c->body, "mode", 16, &text);
    if (text && session_mode_parse(text, &c->what.mode) < 0)
        json_body_refuse(&c->body, "mode", "should be a mode in octal digits, as \"0644\"");
}

/* Makes the change that has been read, and finishes it. */
static void make_change(struct http_request *r, struct session *session, struct change *c,
                        const struct collect_plan *plan)
{
    const struct session_call_spec spec = {.what = c->what, .path = c->path, .other = c->other};
    const char *shown = c->other ? c->other : c->path;
    if (json_body_accept(&c->body, r) && path_is_sound(r, c->path) &&
        (!c->other || path_is_sound(r, c->other)))
        session_collect(r, session, &spec, plan, shown);
    json_body_finish(&c->body);
}

void session_mkdir_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct change c = {.what = {.op = FILE_MKDIR}};
    if (!session || !json_body_open(&c.body, r, false))
        return;
    read_path(&c, "path", &c.path);
    read_mode(&c);
    read_flag(&c, "parents", FILE_PARENTS, true);
    make_change(r, session, &c, &entry_plan);
}

/* Move and copy. */
static void transfer(struct api *api, struct http_request *r, const struct call *call,
                     struct session_file what)
{
    struct session *session = session_seen(api, r, call);
    struct change c = {.what = what};
    if (!session || !json_body_open(&c.body, r, false))
        return;
    read_path(&c, "from", &c.path);
    read_path(&c, "to", &c.other);
    read_flag(&c, "replace", FILE_REPLACE, false);
    make_change(r, session, &c, &entry_plan);
}

void session_move_post(struct api *api, struct http_request *r, const struct call *call)
{
    transfer(api, r, call, (struct session_file){.op = FILE_MOVE, .flags = FILE_PARENTS});
}

void session_copy_post(struct api *api, struct http_request *r, const struct call *call)
{
    transfer(api, r, call,
             (struct session_file){.op = FILE_COPY, .flags = FILE_PARENTS | FILE_RECURSIVE});
}

void session_chmod_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct change c = {.what = {.op = FILE_CHMOD}};
    if (!session || !json_body_open(&c.body, r, false))
        return;
    read_path(&c, "path", &c.path);
    if (json_body_require(&c.body, "mode"))
        read_mode(&c);
    read_flag(&c, "recursive", FILE_RECURSIVE, false);
    make_change(r, session, &c, &entry_plan);
}

void session_remove_post(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    struct change c = {.what = {.op = FILE_REMOVE}};
    if (!session || !json_body_open(&c.body, r, false))
        return;
    read_path(&c, "path", &c.path);
    read_flag(&c, "recursive", FILE_RECURSIVE, false);
    make_change(r, session, &c, NULL);
}

void session_file_delete(struct api *api, struct http_request *r, const struct call *call)
{
    struct session *session = session_seen(api, r, call);
    bool recursive = false;
    if (!session || session_query_bool(r, "recursive", &recursive) < 0 ||
        !path_is_sound(r, call->rest))
        return;
    const struct session_call_spec spec = {
        .what = {.op = FILE_REMOVE, .flags = recursive ? FILE_RECURSIVE : 0}, .path = call->rest};
    session_collect(r, session, &spec, NULL, call->rest);
}
