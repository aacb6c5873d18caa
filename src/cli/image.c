/* image: `dunlin image import`, `list`, `remove` and `gc`.
 *
 * Runs in dunlin-client; `import` as root on the server's machine, the others as whoever calls
 * them.  Everything is said on stdout, wrong words on the command line on stderr. */
#include "cli/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "cli/client.h"
#include "cli/client_command.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_progress.h"
#include "cli/client_text.h"
#include "cli/image_import.h"
#include "cli/words.h"

#define ASK_TIMEOUT_S      60
#define STATUS_INTERRUPTED 130

static int do_import(struct client *c, const struct client_options *o);
static int do_list(struct client *c, const struct client_options *o);
static int do_remove(struct client *c, const struct client_options *o);
static int do_gc(struct client *c, const struct client_options *o);

static const struct client_command commands[] = {
    {"import", 2, OPTION_DATA | OPTION_JSON, do_import},
    {"list", 0, OPTION_JSON, do_list},
    {"remove", 1, OPTION_JSON, do_remove},
    {"gc", 0, OPTION_JSON, do_gc},
    {0},
};

static const char help_english[] =
    "usage: dunlin image [OPTIONS] COMMAND ...\n"
    "\n"
    "The images of a Dunlin server: root file systems that environments are built on.\n"
    "\n"
    "  import FILE NAME  unpack an archive; `--base-image NAME` then means it. FILE is an OCI "
    "layout\n"
    "                    (a folder or a tar of one), what `docker save` writes, or a tar of a "
    "root\n"
    "                    file system; - is standard input. Needs root on the server's machine\n"
    "      --data DIR        the server's data directory (default: DATA, or /var/lib/dunlin)\n"
    "  list              all of them, also those that were pulled\n"
    "  remove NAME       unless an environment is built on it\n"
    "  gc                remove every image and layer that nothing uses\n"
    "\n"
    "  --url URL    the server (default: DUNLIN_URL, or http://localhost:8000)\n"
    "  --key KEY    its key (better: DUNLIN_API_KEY, which other users cannot see)\n"
    "  --lang L     zh or en (default: by the locale)\n"
    "  --json       the server's JSON instead of words\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong words on the command line, 130 interrupted.\n";

static const char help_chinese[] =
    "用法: dunlin image [选项] 命令 ...\n"
    "\n"
    "管理 Dunlin 服务器的镜像：环境所基于的根文件系统。\n"
    "\n"
    "  import FILE NAME  导入归档，之后用 --base-image NAME 引用。FILE 可以是 OCI 布局（目录或其 "
    "tar）、\n"
    "                    docker save 的输出，或根文件系统的 tar；- 表示标准输入。需要服务器本机的 "
    "root 权限\n"
    "      --data DIR        服务器的数据目录（默认: DATA，或 /var/lib/dunlin）\n"
    "  list              列出所有镜像，包括拉取的\n"
    "  remove NAME       删除镜像（没有环境使用时）\n"
    "  gc                删除所有未使用的镜像和镜像层\n"
    "\n"
    "  --url URL    服务器地址（默认: DUNLIN_URL，或 http://localhost:8000）\n"
    "  --key KEY    密钥（最好用 DUNLIN_API_KEY，其他用户看不到）\n"
    "  --lang L     zh 或 en（默认按区域设置）\n"
    "  --json       输出服务器的 JSON\n"
    "\n"
    "退出码: 0 成功，1 失败，2 命令行有误，130 被中断。\n";

static const char *kind(void)
{
    return WORDS("image", "镜像");
}

/* One short request; 0 when the answer is a success, otherwise 1, and it was told. */
static int ask(struct client *c, const struct client_options *o, const struct client_call *call,
               const char *what, struct client_answer *ret)
{
    struct err e = {0};

    if (call->path == NULL)
        return client_fail(o, NULL, "out of memory");
    if (client_call(c, call, ret, &e) < 0)
        return client_fail_call(o, &e);
    if (client_check(o, what, kind(), ret) != 0)
        return 1;
    if (o->json)
        client_json_print(ret->json);
    return 0;
}

/* -- import ------------------------------------------------------------------------------------ */

static void ignore_warning(const char *text)
{
}

/* The state directory that a server with our environment and our .env would have. */
static int find_data(const struct client_options *o, char **ret, struct err *e)
{
    char *no_flags[] = {(char *)"image", NULL};
    struct settings s;
    int rest;

    if (o->data != NULL) {
        *ret = strdup(o->data);
    } else {
        if (settings_load(&s, ".env", 1, no_flags, &rest, ignore_warning, e) < 0)
            return -1;
        *ret = strdup(s.data);
        settings_finish(&s);
    }
    return *ret != NULL ? 0 : err_set(e, ERR_INTERNAL, 0, "out of memory");
}

static void print_begin(const struct client_options *o)
{
    if (o->json)
        return;
    fputs(WORDS("📥 Importing '", "📥 导入 '"), stdout);
    client_text_print(o->argument[0]);
    fputs(WORDS("' as '", "' 为镜像 '"), stdout);
    client_text_print(o->argument[1]);
    puts("'...");
    fflush(stdout);
}

static int end_interrupted(const struct client_options *o)
{
    if (!o->json)
        puts(WORDS("⏸️  no longer waiting; the server goes on. See: dunlin image list",
                   "⏸️  已停止等待，服务器仍在导入。查看: dunlin image list"));
    return STATUS_INTERRUPTED;
}

/* Tells the server of the copy and waits, however long it unpacks. */
static int hand_over(struct client *c, const struct client_options *o, struct image_copy *copy)
{
    struct client_progress progress;
    struct client_call call = {.method = "POST",
                               .path = "/images/import",
                               .tick = client_progress_draw,
                               .data = &progress};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};
    json_t *body =
        json_pack("{s:s, s:I}", "name", o->argument[1], "input", (json_int_t)copy->number);
    int asked;

    client_progress_start(&progress);
    progress.shown = progress.shown && !o->json;
    snprintf(progress.what, sizeof progress.what, "%s",
             WORDS("unpacking it in a sandbox", "在沙盒中解包"));
    call.body = body;
    asked = body != NULL ? client_call(c, &call, &a, &e)
                         : err_set(&e, ERR_INVALID, 0, "%s",
                                   WORDS("the name is not UTF-8", "名称不是 UTF-8 文本"));
    json_decref(body);
    client_progress_clear(&progress);
    if (asked < 0 && client_interrupted()) {
        image_copy_finish(copy, 1);
        return end_interrupted(o);
    }
    image_copy_finish(copy, 0);
    if (asked < 0)
        return client_fail_call(o, &e);
    if (client_check(o, WORDS("cannot import the image", "导入镜像失败"), NULL, &a) != 0)
        return 1;
    if (o->json)
        client_json_print(a.json);
    else
        printf(WORDS("✅ imported (%u s)\n", "✅ 导入完成（%u 秒）\n"),
               client_progress_seconds(&progress));
    return 0;
}

static int do_import(struct client *c, const struct client_options *o)
{
    struct image_copy copy;
    struct err e = {0};
    char *data = NULL;
    int r;

    client_catch_interrupts();
    print_begin(o);
    r = find_data(o, &data, &e);
    if (r == 0)
        r = image_copy_make(o->argument[0], data, &copy, &e);
    free(data);
    if (r == 0)
        return hand_over(c, o, &copy);
    client_fail(o, NULL, e.text);
    return client_interrupted() ? STATUS_INTERRUPTED : 1;
}

/* -- list, remove, gc -------------------------------------------------------------------------- */

static void print_image(const json_t *one)
{
    char size[CLIENT_SIZE_MAX];

    client_size_format((uint64_t)client_number_of(one, "size_bytes"), size);
    fputs("   📦 ", stdout);
    client_text_print(client_text_of(one, "name"));
    putchar('\n');
    client_fact_print(WORDS("      Source", "      来源"), client_text_of(one, "source"));
    client_fact_print(WORDS("      Digest", "      摘要"), client_text_of(one, "digest"));
    client_fact_print(WORDS("      Python version", "      Python版本"),
                      client_text_of(one, "python_version"));
    client_fact_print(WORDS("      Size", "      大小"), size);
    printf(WORDS("      Environments: %" JSON_INTEGER_FORMAT "\n",
                 "      使用的环境: %" JSON_INTEGER_FORMAT " 个\n"),
           client_number_of(one, "environments"));
    client_fact_print_time(WORDS("      Created", "      创建时间"),
                           client_text_of(one, "created_at"));
    client_fact_print_time(WORDS("      Last used", "      最后使用"),
                           client_text_of(one, "last_used"));
    putchar('\n');
}

static int do_list(struct client *c, const struct client_options *o)
{
    struct client_call call = {.method = "GET", .path = "/images", .timeout_s = ASK_TIMEOUT_S};
    _cleanup_answer_ struct client_answer a = {0};
    const json_t *list;
    size_t n;

    if (ask(c, o, &call, WORDS("cannot list the images", "获取镜像列表失败"), &a) != 0)
        return 1;
    if (o->json)
        return 0;
    list = json_object_get(a.json, "images");
    n = json_array_size(list);
    puts(WORDS("📋 Images:", "📋 镜像列表:"));
    if (n == 0)
        puts(WORDS("   (none yet)", "   (暂无镜像)"));
    else
        printf(n == 1 ? WORDS("   %zu image:\n\n", "   共 %zu 个镜像:\n\n")
                      : WORDS("   %zu images:\n\n", "   共 %zu 个镜像:\n\n"),
               n);
    for (size_t i = 0; i < n; i++)
        print_image(json_array_get(list, i));
    return 0;
}

static int do_remove(struct client *c, const struct client_options *o)
{
    struct client_call call = {.method = "DELETE",
                               .path = client_path("images", o->argument[0], ""),
                               .timeout_s = ASK_TIMEOUT_S};
    _cleanup_answer_ struct client_answer a = {0};
    int r = ask(c, o, &call, WORDS("cannot remove the image", "删除镜像失败"), &a);

    free((char *)call.path);
    if (r != 0 || o->json)
        return r;
    fputs(WORDS("✅ image '", "✅ 镜像 '"), stdout);
    client_text_print(o->argument[0]);
    fputs(WORDS("' is removed\n", "' 已删除\n"), stdout);
    return 0;
}

static int do_gc(struct client *c, const struct client_options *o)
{
    /* Images are whole file systems; removing many takes a while. */
    struct client_call call = {.method = "POST", .path = "/images/gc"};
    _cleanup_answer_ struct client_answer a = {0};
    char size[CLIENT_SIZE_MAX];

    if (ask(c, o, &call, WORDS("cannot collect what is unused", "清理失败"), &a) != 0)
        return 1;
    if (o->json)
        return 0;
    client_size_format((uint64_t)client_number_of(a.json, "bytes"), size);
    printf(WORDS("✅ removed: %" JSON_INTEGER_FORMAT ", freed: %s\n",
                 "✅ 已删除 %" JSON_INTEGER_FORMAT " 个，释放 %s\n"),
           client_number_of(a.json, "removed"), size);
    return 0;
}

int image_main(int argc, char **argv)
{
    static const struct client_program program = {.name = "image",
                                                  .help_english = help_english,
                                                  .help_chinese = help_chinese,
                                                  .commands = commands};

    return client_command_main(&program, argc, argv);
}
