/* env_show: `dunlin env list`, `info` and `packages`.
 *
 * Runs in dunlin-client, as whoever calls it.  The order of lines, the icons and the Chinese words
 * are those of SimplePySandbox's tool; what it did not know comes after what it did. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_text.h"
#include "cli/env_internal.h"
#include "cli/words.h"

/* -- list -------------------------------------------------------------------------------------- */

static void print_item(const json_t *one)
{
    const char *status = client_text_of(one, "status");

    printf("   %s ", env_icon(status));
    client_text_print(client_text_of(one, "name"));
    putchar('\n');
    env_print_fact(WORDS("      Status", "      状态"), status);
    env_print_fact(WORDS("      Description", "      描述"), client_text_of(one, "description"));
    env_print_fact(WORDS("      Python version", "      Python版本"), env_python(one));
    client_fact_print_time(WORDS("      Created", "      创建时间"),
                           client_text_of(one, "created_at"));
    client_fact_print_time(WORDS("      Last used", "      最后使用"),
                           client_text_of(one, "last_used"));
    putchar('\n');
}

static void print_list(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "environments");
    size_t n = json_array_size(list);

    if (n == 0)
        puts(WORDS("   (none yet)", "   (暂无环境)"));
    else
        printf(n == 1 ? WORDS("   %zu environment:\n\n", "   共 %zu 个环境:\n\n")
                      : WORDS("   %zu environments:\n\n", "   共 %zu 个环境:\n\n"),
               n);
    for (size_t i = 0; i < n; i++)
        print_item(json_array_get(list, i));
}

int env_list(struct client *c, const struct client_options *o)
{
    struct env_request r = {.method = "GET", .rest = ""};
    const char *what = WORDS("cannot list the environments", "获取环境列表失败");
    _cleanup_answer_ struct client_answer a = {0};
    int status;

    if (!o->json)
        puts(WORDS("📋 Environments:", "📋 环境列表:"));
    status = env_answer(c, o, &r, what, &a);
    if (status != 0)
        return status;
    if (o->json)
        client_json_print(a.json);
    else
        print_list(a.json);
    return 0;
}

/* -- info -------------------------------------------------------------------------------------- */

static void print_size(const json_t *one)
{
    uint64_t own = (uint64_t)client_number_of(one, "size_bytes");
    uint64_t shared = (uint64_t)client_number_of(one, "shared_bytes");
    char own_text[CLIENT_SIZE_MAX], shared_text[CLIENT_SIZE_MAX];

    client_size_format(own, own_text);
    client_size_format(shared, shared_text);
    printf(WORDS("   💾 Size: %s, on top of %s that others share\n",
                 "   💾 大小: %s，另有 %s 与其他环境共享\n"),
           own_text, shared_text);
}

static void print_building(const json_t *one)
{
    const char *phase = client_text_of(one, "phase");

    if (*phase == '\0')
        return;
    env_print_fact(WORDS("   ⏳ Phase", "   ⏳ 阶段"), phase);
    if (json_is_true(json_object_get(one, "queued")))
        printf(WORDS("   ⏳ Place in the queue: %" JSON_INTEGER_FORMAT "\n",
                     "   ⏳ 排队位置: %" JSON_INTEGER_FORMAT "\n"),
               client_number_of(one, "queue_place"));
}

/* The modules that are imported ahead: told by whoever made it, or learned. */
static void print_warm(const json_t *one)
{
    const json_t *told = json_object_get(one, "warm");
    const json_t *list = json_is_array(told) ? told : json_object_get(one, "learned");
    size_t n = json_array_size(list);

    if (n == 0)
        return;
    fputs(json_is_array(told) ? WORDS("   🔥 Warm: ", "   🔥 预热: ")
                              : WORDS("   🔥 Warm (learned): ", "   🔥 预热（学习所得）: "),
          stdout);
    for (size_t i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        client_text_print(json_string_value(json_array_get(list, i)));
    }
    putchar('\n');
}

/* What SimplePySandbox did not have. */
static void print_more(const json_t *one)
{
    const char *error = client_text_of(one, "error");
    const char *base = client_text_of(one, "base"), *network = client_text_of(one, "network");

    print_building(one);
    if (*error != '\0') {
        fputs(WORDS("   ❌ Error: ", "   ❌ 错误: "), stdout);
        client_text_print_block(error, 6);
    }
    if (*base == '\0')
        base = client_text_of(one, "base_image");
    if (*base != '\0')
        env_print_fact(WORDS("   📦 Base", "   📦 基础镜像"), base);
    if (strcmp(client_text_of(one, "status"), "ready") == 0)
        print_size(one);
    if (*network != '\0')
        env_print_fact(WORDS("   🌐 Network", "   🌐 网络"), network);
    print_warm(one);
    if (client_number_of(one, "active_runs") > 0)
        printf(WORDS("   🏃 Runs: %" JSON_INTEGER_FORMAT "\n",
                     "   🏃 正在运行: %" JSON_INTEGER_FORMAT "\n"),
               client_number_of(one, "active_runs"));
}

static void print_info(const json_t *one)
{
    const char *status = client_text_of(one, "status");

    printf("   %s ", env_icon(status));
    env_print_fact(WORDS("Name", "名称"), client_text_of(one, "name"));
    env_print_fact(WORDS("   📝 Description", "   📝 描述"), client_text_of(one, "description"));
    env_print_fact(WORDS("   🐍 Python version", "   🐍 Python版本"), env_python(one));
    env_print_fact(WORDS("   📊 Status", "   📊 状态"), status);
    client_fact_print_time(WORDS("   📅 Created", "   📅 创建时间"),
                           client_text_of(one, "created_at"));
    client_fact_print_time(WORDS("   🕐 Last used", "   🕐 最后使用"),
                           client_text_of(one, "last_used"));
    print_more(one);
}

int env_info(struct client *c, const struct client_options *o)
{
    struct env_request r = {.method = "GET", .name = o->argument[0], .rest = ""};
    const char *what = WORDS("cannot read the environment", "获取环境详情失败");
    _cleanup_answer_ struct client_answer a = {0};
    int status;

    if (!o->json)
        env_print_fact(WORDS("🔍 Environment", "🔍 环境详情"), o->argument[0]);
    status = env_answer(c, o, &r, what, &a);
    if (status != 0)
        return status;
    if (o->json)
        client_json_print(a.json);
    else
        print_info(a.json);
    return 0;
}

/* -- packages ---------------------------------------------------------------------------------- */

static void print_padded(const char *text, size_t columns)
{
    size_t used;

    client_text_print(text);
    client_text_fit(text, columns, &used);
    printf("%*s", (int)(columns - used), "");
}

static size_t widest(const json_t *list, const char *member)
{
    size_t max = 0, i, columns;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        client_text_fit(client_text_of(one, member), 40, &columns);
        max = columns > max ? columns : max;
    }
    return max;
}

static void print_packages(const char *name, const json_t *list)
{
    size_t names = widest(list, "name"), versions = widest(list, "version"), i;
    json_t *one;

    fputs(WORDS("📦 Packages of ", "📦 软件包: "), stdout);
    client_text_print(name);
    printf(WORDS(" (%zu)\n", "（%zu）\n"), json_array_size(list));
    json_array_foreach(list, i, one)
    {
        fputs("   ", stdout);
        print_padded(client_text_of(one, "name"), names);
        fputs("  ", stdout);
        print_padded(client_text_of(one, "version"), versions);
        fputs("  ", stdout);
        client_text_print(client_text_of(one, "manager"));
        putchar('\n');
    }
}

int env_packages(struct client *c, const struct client_options *o)
{
    struct env_request r = {.method = "GET", .name = o->argument[0], .rest = "/packages"};
    const char *what = WORDS("cannot read the packages", "获取软件包列表失败");
    _cleanup_answer_ struct client_answer a = {0};
    int status;

    status = env_answer(c, o, &r, what, &a);
    if (status != 0)
        return status;
    if (o->json)
        client_json_print(a.json);
    else
        print_packages(o->argument[0], json_object_get(a.json, "packages"));
    return 0;
}
