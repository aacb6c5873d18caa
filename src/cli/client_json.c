/* client_json: what a server's answer says.
 *
 * Runs in dunlin-client, as whoever calls it.  Any member may be absent or of another type than it
 * should be; what is shown is escaped. */
#include "cli/client_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/client_text.h"
#include "cli/words.h"

#define REFUSAL_MAX 4000 /* bytes of a body that are shown */

const char *client_text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

json_int_t client_number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void client_json_print(const json_t *value)
{
    json_dumpf(value, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

/* ["body", "timeout"] as "timeout". */
static void print_place(const json_t *loc)
{
    size_t i;
    json_t *part;
    bool first = true;

    json_array_foreach(loc, i, part)
    {
        if (i == 0 || !json_is_string(part))
            continue;
        fputs(first ? "" : ".", stdout);
        client_text_print(json_string_value(part));
        first = false;
    }
    fputs(first ? "" : ": ", stdout);
}

/* The violations of a 422. */
static void print_violations(const json_t *list)
{
    size_t i;
    json_t *violation;

    json_array_foreach(list, i, violation)
    {
        fputs(i == 0 ? "" : "; ", stdout);
        print_place(json_object_get(violation, "loc"));
        client_text_print(client_text_of(violation, "msg"));
    }
}

static void print_body(const struct client_answer *a)
{
    _cleanup_buf_ struct buf out = {0};
    size_t len = a->body.len;

    while (len > 0 && strchr("\r\n", a->body.data[len - 1]) != NULL)
        len--;
    if (client_text_escape(&out, a->body.data, len < REFUSAL_MAX ? len : REFUSAL_MAX, true) == 0)
        fwrite(out.data, 1, out.len, stdout);
}

/* As part of a line. */
static void print_refusal(const struct client_options *o, const struct client_answer *a)
{
    const json_t *detail = json_object_get(a->json, "detail");

    if (a->body.len == 0)
        printf("HTTP %ld", a->status);
    else if ((words_language == WORDS_CHINESE && !o->plain) || detail == NULL)
        print_body(a);
    else if (json_is_array(detail))
        print_violations(detail);
    else
        client_text_print(json_string_value(detail));
    if (a->status == 401 || a->status == 403)
        fputs(WORDS(" (give the key with --key or DUNLIN_API_KEY)",
                    "（用 --key 或 DUNLIN_API_KEY 提供密钥）"),
              stdout);
    else if (a->status / 100 == 3)
        fputs(WORDS(" (a redirect; give the final address with --url)",
                    "（重定向；请用 --url 给出最终地址）"),
              stdout);
}

int client_fail(const struct client_options *o, const char *what, const char *text)
{
    if (o->json) {
        json_t *body = json_pack("{s:s}", "detail", text);

        client_json_print(body);
        json_decref(body);
        return 1;
    }
    printf("❌ %s%s", what != NULL ? what : "", what != NULL ? ": " : "");
    client_text_print(text);
    putchar('\n');
    return 1;
}

int client_fail_call(const struct client_options *o, const struct err *e)
{
    return client_fail(o, WORDS("request failed", "请求失败"), e->text);
}

static void print_json_refusal(const struct client_answer *a)
{
    json_t *body = a->json != NULL ? json_incref(a->json)
                                   : json_pack("{s:s%}", "detail", a->body.data, a->body.len);

    if (body == NULL) /* not UTF-8 */
        body = json_pack("{s:s}", "detail", "");
    client_json_print(body);
    json_decref(body);
}

int client_refused(const struct client_options *o, const char *what, const char *kind,
                   const struct client_answer *a)
{
    /* A server that has no such path at all says just this. */
    bool is_path = strcmp(client_text_of(a->json, "detail"), "Not Found") == 0;

    if (o->json) {
        print_json_refusal(a);
    } else if (a->status == 404 && kind != NULL && !is_path && o->argument[0] != NULL) {
        printf(WORDS("❌ %s '", "❌ %s '"), kind);
        client_text_print(o->argument[0]);
        fputs(WORDS("' does not exist\n", "' 不存在\n"), stdout);
    } else {
        printf("❌ %s: ", what);
        print_refusal(o, a);
        putchar('\n');
    }
    return 1;
}

int client_check(const struct client_options *o, const char *what, const char *kind,
                 const struct client_answer *a)
{
    if (a->status / 100 != 2)
        return client_refused(o, what, kind, a);
    if (json_is_object(a->json))
        return 0;
    return client_fail(o, what,
                       WORDS("what answers there is no Dunlin server", "该地址不是 Dunlin 服务器"));
}
