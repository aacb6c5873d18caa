/* env_change: `dunlin env create`, `rebuild` and `delete`.
 *
 * Runs in dunlin-client, as whoever calls it.  Scripts are read with the caller's rights. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_text.h"
#include "cli/env_internal.h"
#include "cli/words.h"

#define SCRIPT_MAX ((size_t)4 << 20) /* the server's own limit is far below and says so better */

/* -- create ------------------------------------------------------------------------------------ */

static int read_script(const char *path, struct buf *script, struct err *e)
{
    _cleanup_fd_ int fd =
        strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    char chunk[65536];
    ssize_t n = -1;

    buf_init(script, SCRIPT_MAX);
    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, 0,
                       WORDS("no such script: %.180s", "脚本文件不存在: %.180s"), path);
    while (fd >= 0 && (n = read(fd, chunk, sizeof chunk)) > 0) {
        if (buf_append(script, chunk, (size_t)n) < 0)
            return err_set(e, ERR_LIMIT, 0,
                           WORDS("the script is larger than %zu MB", "脚本大于 %zu MB"),
                           SCRIPT_MAX >> 20);
    }
    if (n < 0)
        return err_set(e, ERR_INVALID, errno,
                       WORDS("cannot read the script %.120s", "无法读取脚本 %.120s"), path);
    if (utf8_valid_prefix(script->data, script->len, NULL) != script->len)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("the script %.120s is not UTF-8 text", "脚本 %.120s 不是 UTF-8 文本"),
                       path);
    return 0;
}

static json_t *creation(const struct client_options *o, const struct buf *script)
{
    const struct {
        const char *name, *value;
    } optional[] = {{"base_image", o->base_image},
                    {"python_version", o->python_version},
                    {"warm", o->warm},
                    {"network", o->network},
                    {"build_network", o->build_network}};
    json_t *body = json_pack("{s:s, s:s, s:s%}", "name", o->argument[0], "description",
                             o->description != NULL ? o->description : "", "setup_script",
                             script->data != NULL ? script->data : "", script->len);

    for (size_t i = 0; body != NULL && i < sizeof optional / sizeof optional[0]; i++) {
        if (optional[i].value != NULL)
            json_object_set_new(body, optional[i].name, json_string(optional[i].value));
    }
    return body;
}

static void print_begin(const struct client_options *o)
{
    fputs(WORDS("🔧 Creating the environment '", "🔧 创建环境 '"), stdout);
    client_text_print(o->argument[0]);
    puts("'...");
    env_print_fact(WORDS("📄 Script", "📄 脚本文件"), o->argument[1]);
    env_print_fact(WORDS("📦 Base image", "📦 基础镜像"), o->base_image);
    env_print_fact(WORDS("🐍 Python version", "🐍 Python版本"), o->python_version);
    fflush(stdout);
}

/* Ready, or on its way. */
static void print_created(const json_t *environment)
{
    bool ready = strcmp(client_text_of(environment, "status"), "ready") == 0;

    puts(ready ? WORDS("✅ the environment is built!", "✅ 环境创建成功!")
               : WORDS("✅ created; the build is in progress", "✅ 环境创建成功!"));
    env_print_fact(WORDS("   Name", "   名称"), client_text_of(environment, "name"));
    env_print_fact(WORDS("   Status", "   状态"), client_text_of(environment, "status"));
    env_print_fact(WORDS("   Python version", "   Python版本"), env_python(environment));
}

/* A build was begun by `a`: waits for it if that is wished for. */
static int go_on(struct client *c, const struct client_options *o, const struct client_answer *a)
{
    if (o->wait)
        return env_wait(c, o);
    if (o->json)
        client_json_print(a->json);
    if (!env_has_failed(a->json))
        return 0;
    if (!o->json)
        env_print_failure(a->json);
    return 1;
}

int env_create(struct client *c, const struct client_options *o)
{
    /* Whoever waits wants to see something meanwhile. */
    struct env_request r = {.method = "POST", .rest = o->wait ? "?wait=false" : ""};
    const char *what = WORDS("cannot create the environment", "环境创建失败");
    _cleanup_answer_ struct client_answer a = {0};
    _cleanup_buf_ struct buf script = {0};
    json_t *body = NULL;
    struct err e = {0};
    int status;

    if (read_script(o->argument[1], &script, &e) < 0)
        return client_fail(o, NULL, e.text);
    r.body = body = creation(o, &script);
    if (body == NULL) {
        err_set(&e, ERR_INVALID, 0, "%s",
                WORDS("the words on the command line are not UTF-8", "命令行不是 UTF-8 文本"));
        return client_fail(o, NULL, e.text);
    }
    if (!o->json)
        print_begin(o);
    status = env_answer(c, o, &r, what, &a);
    json_decref(body);
    if (status != 0)
        return status;
    if (!o->json && !env_has_failed(a.json))
        print_created(a.json);
    return go_on(c, o, &a);
}

/* -- rebuild ----------------------------------------------------------------------------------- */

int env_rebuild(struct client *c, const struct client_options *o)
{
    struct env_request r = {.method = "POST",
                            .name = o->argument[0],
                            .rest = o->wait ? "/rebuild?wait=false" : "/rebuild"};
    const char *what = WORDS("cannot rebuild the environment", "重新构建环境失败");
    _cleanup_answer_ struct client_answer a = {0};
    int status;

    if (!o->json) {
        fputs(WORDS("🔧 Rebuilding the environment '", "🔧 重新构建环境 '"), stdout);
        client_text_print(o->argument[0]);
        puts("'...");
        fflush(stdout);
    }
    status = env_answer(c, o, &r, what, &a);
    if (status != 0)
        return status;
    if (!o->json && !env_has_failed(a.json))
        env_print_fact(WORDS("   Status", "   状态"), client_text_of(a.json, "status"));
    return go_on(c, o, &a);
}

/* -- delete ------------------------------------------------------------------------------------ */

/* Only y or yes, whatever the case, with blanks around it. */
static bool is_confirmed(const char *name)
{
    char line[64] = "", word[8] = "", more;

    fputs(WORDS("Really delete the environment '", "确定要删除环境 '"), stdout);
    client_text_print(name);
    fputs(WORDS("'? (y/N): ", "' 吗? (y/N): "), stdout);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) {
        putchar('\n');
        return false;
    }
    return sscanf(line, "%7s %c", word, &more) == 1 &&
           (strcasecmp(word, "y") == 0 || strcasecmp(word, "yes") == 0);
}

static void print_deleted(const char *name)
{
    fputs(WORDS("✅ environment '", "✅ 环境 '"), stdout);
    client_text_print(name);
    fputs(WORDS("' is deleted\n", "' 已删除\n"), stdout);
}

int env_delete(struct client *c, const struct client_options *o)
{
    struct env_request r = {.method = "DELETE", .name = o->argument[0], .rest = ""};
    const char *what = WORDS("cannot delete the environment", "删除环境失败");
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};
    int status;

    if (!o->json) {
        fputs(WORDS("🗑️  Deleting the environment '", "🗑️  删除环境 '"), stdout);
        client_text_print(o->argument[0]);
        puts("'...");
    }
    if (!o->yes && (o->json || !is_confirmed(o->argument[0]))) {
        err_set(&e, ERR_INVALID, 0, "%s",
                WORDS("not deleted (--yes deletes without asking)", "取消删除"));
        return o->json ? client_fail(o, NULL, e.text) : (puts(e.text), 1);
    }
    status = env_answer(c, o, &r, what, &a);
    if (status != 0)
        return status;
    if (o->json)
        client_json_print(a.json);
    else
        print_deleted(o->argument[0]);
    return 0;
}
