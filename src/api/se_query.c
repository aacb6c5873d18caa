/* se_query: reads parameters of queries.  Runs in the server's loop thread; they are hostile. */
#include "api/se_query.h"

#include "api/errors.h"
#include "api/fields.h"
#include "http/http.h"

static void refuse(struct http_request *r, struct violations *v)
{
    struct buf answer = {0};
    v->without_url = true;
    if (violations_write(v, &answer) == 0) {
        error_reply_violations(r, &answer);
    } else {
        buf_finish(&answer);
        error_reply_memory(r);
    }
}

/* Reads the parameter as `read` reads a string of JSON.  1: it is absent. */
typedef int field_reader(struct fields *f, struct place place, const json_t *value, void *ret);

static int query(struct http_request *r, const char *name, field_reader *read, void *ret)
{
    const char *text = http_query(r, name);
    struct fields f = {.lift = &(struct json_lift){0}};
    json_t *value = text ? json_string(text) : NULL;
    int result = 0;
    if (text && !value) {
        error_reply_str(r, 400, "the query is not UTF-8");
        return -1;
    }
    if (value)
        result = read(&f, PLACE_QUERY(name), value, ret);
    if (result < 0)
        refuse(r, &f.violations);
    violations_finish(&f.violations);
    json_decref(value);
    return result;
}

static int read_int(struct fields *f, struct place place, const json_t *value, void *ret)
{
    return field_int(f, place, value, ret);
}

static int read_bool(struct fields *f, struct place place, const json_t *value, void *ret)
{
    return field_bool(f, place, value, ret);
}

int se_query_int(struct http_request *r, const char *name, int64_t *ret)
{
    return query(r, name, read_int, ret);
}

int se_query_bool(struct http_request *r, const char *name, bool *ret)
{
    return query(r, name, read_bool, ret);
}

int se_query_required(struct http_request *r, const char *name)
{
    struct violations v = {0};
    if (http_query(r, name))
        return 0;
    violation_add(&v, "missing", PLACE_QUERY(name), NULL, NULL, "Field required");
    refuse(r, &v);
    violations_finish(&v);
    return -1;
}

void se_query_no_file(struct http_request *r)
{
    struct violations v = {0};
    violation_add(&v, "missing", PLACE("file"), NULL, NULL, "Field required");
    refuse(r, &v);
    violations_finish(&v);
}
