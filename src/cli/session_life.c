/* session_life: `dunlin session create`, `list`, `info`, `delete` and `sleep`.
 *
 * Runs in dunlin-client, as whoever calls it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/client_json.h"
#include "cli/client_text.h"
#include "cli/session_internal.h"
#include "cli/words.h"

/* -- create ------------------------------------------------------------------------------------ */

static json_t *creation(const struct session_options *o)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"id", o->id},
                 {"environment", o->environment},
                 {"size", o->size},
                 {"network", o->network},
                 {"snapshot", o->snapshot}};
    json_t *body = json_pack("{s:b}", "ephemeral", o->ephemeral);
    int r = body != NULL ? 0 : -1;

    for (size_t i = 0; r == 0 && i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL)
            r = json_object_set_new(body, texts[i].name, json_string(texts[i].value));
    }
    if (r == 0 && o->idle > 0)
        r = json_object_set_new(body, "idle_timeout", json_integer(o->idle));
    if (r == 0 && o->ttl > 0)
        r = json_object_set_new(body, "idle_ttl", json_integer(o->ttl));
    if (r == 0 && o->nenv > 0)
        r = json_object_set_new(body, "env", session_pairs(o->env, o->nenv));
    if (r == 0 && o->nlabels > 0)
        r = json_object_set_new(body, "labels", session_pairs(o->labels, o->nlabels));
    if (r < 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

int session_create(struct client *c, const struct session_options *o)
{
    struct session_request r = {.method = "POST", .rest = ""};
    _cleanup_answer_ struct client_answer a = {0};
    json_t *body = creation(o);
    int status;

    r.body = body;
    if (body == NULL)
        return client_fail(
            &o->common, NULL,
            WORDS("the words on the command line are not UTF-8", "命令行不是 UTF-8 文本"));
    status = session_answer(c, o, &r, WORDS("cannot create the session", "会话创建失败"), &a);
    json_decref(body);
    if (status != 0)
        return status;
    if (o->common.json)
        client_json_print(a.json);
    else
        printf("%s\n",
               client_text_of(a.json, "id")); /* alone, for scripts; R38 says what it may be */
    return 0;
}

/* -- list and info ----------------------------------------------------------------------------- */

static const char *icon(const char *state)
{
    if (strcmp(state, "awake") == 0)
        return "🟢";
    return strcmp(state, "asleep") == 0 ? "💤" : "🔄";
}

/* As people call what the server calls `state`. */
static const char *state_words(const char *state)
{
    if (strcmp(state, "asleep") == 0)
        return WORDS("asleep", "休眠");
    if (strcmp(state, "awake") == 0)
        return WORDS("awake", "运行中");
    if (strcmp(state, "waking") == 0)
        return WORDS("waking", "唤醒中");
    return strcmp(state, "falling asleep") == 0 ? WORDS("falling asleep", "正在休眠") : "?";
}

/* A quota in the units in which it is asked for, when it is a whole number of them. */
static void format_quota(uint64_t bytes, char out[static CLIENT_SIZE_MAX])
{
    if (bytes > 0 && bytes % (1u << 20) == 0)
        snprintf(out, CLIENT_SIZE_MAX, "%" PRIu64 "M", bytes >> 20);
    else
        client_size_format(bytes, out);
}

static void print_map(const char *label, const json_t *map)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)map, name, value)
    {
        printf("%s: ", label);
        client_text_print(name);
        putchar('=');
        client_text_print(json_string_value(value));
        putchar('\n');
    }
}

static void print_item(const json_t *one)
{
    const char *state = client_text_of(one, "state");
    char size[CLIENT_SIZE_MAX];

    format_quota((uint64_t)client_number_of(one, "size"), size);
    printf("   %s ", icon(state));
    client_text_print(client_text_of(one, "id"));
    printf("  %s  %s  ", state_words(state), size);
    client_text_print(client_text_of(one, "environment"));
    putchar(' ');
    client_time_print(client_text_of(one, "last_used"));
    putchar('\n');
}

static char *list_query(const struct session_options *o, const char *after)
{
    const char *pairs[2 * (SESSION_WORDS_MAX + 5)] = {
        "limit", "1000", "after", after, "environment", o->environment, "state", o->state};
    size_t n = 8;

    for (size_t i = 0; i < o->nlabels; i++) {
        pairs[n++] = "label";
        pairs[n++] = o->labels[i];
    }
    return session_query(pairs);
}

/* Appends a page to `all`; *ret_next is where the next one begins, "" without one. */
static int fetch_page(struct client *c, const struct session_options *o, json_t *all,
                      char ret_next[static 256])
{
    struct session_request r = {.method = "GET"};
    _cleanup_answer_ struct client_answer a = {0};
    char *query = list_query(o, *ret_next != '\0' ? ret_next : NULL);
    int status;

    r.rest = query != NULL ? query : "";
    status = session_answer(c, o, &r, WORDS("cannot list the sessions", "获取会话列表失败"), &a);
    free(query);
    if (status != 0)
        return status;
    json_array_extend(all, json_object_get(a.json, "sessions"));
    snprintf(ret_next, 256, "%s", client_text_of(a.json, "next"));
    return 0;
}

int session_list(struct client *c, const struct session_options *o)
{
    json_t *all = json_array();
    char next[256] = "";
    int status = all != NULL ? 0 : 1;

    do
        status = status != 0 ? status : fetch_page(c, o, all, next);
    while (status == 0 && *next != '\0');
    if (status == 0 && o->common.json) {
        client_json_print(all);
    } else if (status == 0) {
        printf(WORDS("📋 Sessions: %zu\n", "📋 会话列表: 共 %zu 个\n"), json_array_size(all));
        for (size_t i = 0; i < json_array_size(all); i++)
            print_item(json_array_get(all, i));
    }
    json_decref(all);
    return status;
}

static void print_session(const json_t *one)
{
    const char *state = client_text_of(one, "state");
    char size[CLIENT_SIZE_MAX];

    printf("🔍 %s: ", WORDS("Session", "会话详情"));
    client_text_print(client_text_of(one, "id"));
    putchar('\n');
    printf("   %s: %s %s\n", WORDS("State", "状态"), icon(state), state_words(state));
    client_fact_print(WORDS("   Environment", "   环境"), client_text_of(one, "environment"));
    puts(json_is_true(json_object_get(one, "ephemeral"))
             ? WORDS("   In memory: gone when the server stops", "   仅在内存中")
             : WORDS("   Durable", "   持久保存"));
    format_quota((uint64_t)client_number_of(one, "size"), size);
    client_fact_print(WORDS("   Size", "   大小"), size);
    client_size_format((uint64_t)client_number_of(one, "disk_bytes"), size);
    client_fact_print(WORDS("   On the disk", "   占用磁盘"), size);
    client_fact_print(WORDS("   Network", "   网络"), client_text_of(one, "network"));
    print_map(WORDS("   Label", "   标签"), json_object_get(one, "labels"));
    print_map(WORDS("   Variable", "   变量"), json_object_get(one, "env"));
    client_fact_print_time(WORDS("   Created", "   创建时间"), client_text_of(one, "created_at"));
    client_fact_print_time(WORDS("   Last used", "   最后使用"), client_text_of(one, "last_used"));
    client_fact_print_time(WORDS("   Expires", "   过期时间"), client_text_of(one, "expires_at"));
    if (json_is_true(json_object_get(one, "expires_soon")))
        puts(WORDS("   ⚠️  expires soon, unless it is used", "   ⚠️  即将过期"));
    printf("   %s: %" JSON_INTEGER_FORMAT "\n", WORDS("Processes", "进程"),
           client_number_of(one, "processes"));
}

int session_info(struct client *c, const struct session_options *o)
{
    struct session_request r = {.method = "GET", .id = o->words[0], .rest = ""};
    _cleanup_answer_ struct client_answer a = {0};
    int status = session_answer(c, o, &r, WORDS("cannot read the session", "获取会话失败"), &a);

    if (status == 0 && o->common.json)
        client_json_print(a.json);
    else if (status == 0)
        print_session(a.json);
    return status;
}

/* -- sleep and delete -------------------------------------------------------------------------- */

int session_sleep(struct client *c, const struct session_options *o)
{
    struct session_request r = {.method = "POST", .id = o->words[0], .rest = "/sleep"};
    _cleanup_answer_ struct client_answer a = {0};
    int status = session_answer(c, o, &r, WORDS("it cannot sleep", "无法休眠"), &a);

    if (status == 0 && o->common.json)
        client_json_print(a.json);
    else if (status == 0)
        puts(WORDS("💤 asleep; its files stay", "💤 已休眠，文件保留"));
    return status;
}

static bool is_confirmed(const char *id)
{
    char line[64] = "", word[8] = "", more;

    printf("%s '", WORDS("Really delete the session", "确定要删除会话"));
    client_text_print(id);
    fputs(WORDS("' and all its files? (y/N): ", "' 及其所有文件吗? (y/N): "), stdout);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    return sscanf(line, "%7s %c", word, &more) == 1 &&
           (strcasecmp(word, "y") == 0 || strcasecmp(word, "yes") == 0);
}

int session_delete(struct client *c, const struct session_options *o)
{
    int worst = 0;

    for (int i = 0; i < o->nwords; i++) {
        struct session_request r = {.method = "DELETE", .id = o->words[i], .rest = ""};
        struct session_options one = *o;
        _cleanup_answer_ struct client_answer a = {0};
        int status;

        one.common.argument[0] = o->words[i];
        if (!o->common.yes && (o->common.json || !is_confirmed(o->words[i])))
            status = client_fail(&o->common, NULL,
                                 WORDS("not deleted (--yes deletes without asking)", "取消删除"));
        else
            status = session_answer(c, &one, &r, WORDS("cannot delete it", "删除失败"), &a);
        if (status == 0 && !o->common.json)
            puts(WORDS("✅ deleted", "✅ 已删除"));
        worst = status > worst ? status : worst;
    }
    return worst;
}
