/* env: which command of `dunlin env` is meant, and what all of them share.
 *
 * Runs in dunlin-client, as whoever calls it.  Everything is said on stdout, errors too, as
 * SimplePySandbox's manage_environments.py did; wrong words on the command line on stderr. */
#include "cli/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/client_command.h"
#include "cli/client_json.h"
#include "cli/client_options.h"
#include "cli/client_text.h"
#include "cli/env_internal.h"
#include "cli/words.h"

#define ASK_TIMEOUT_S 60 /* the server answers a creation after a few seconds at most */

static const struct client_command commands[] = {
    {"create", 2,
     OPTION_DESCRIPTION | OPTION_BASE_IMAGE | OPTION_PYTHON_VERSION | OPTION_WARM | OPTION_NETWORK |
         OPTION_BUILD_NETWORK | OPTION_WAIT | OPTION_WAIT_TIMEOUT | OPTION_JSON,
     env_create},
    {"list", 0, OPTION_JSON, env_list},
    {"info", 1, OPTION_JSON, env_info},
    {"delete", 1, OPTION_YES | OPTION_JSON, env_delete},
    {"wait", 1, OPTION_TIMEOUT | OPTION_JSON, env_wait},
    {"logs", 1, OPTION_FOLLOW | OPTION_TAIL, env_logs},
    {"packages", 1, OPTION_JSON, env_packages},
    {"rebuild", 1, OPTION_WAIT | OPTION_WAIT_TIMEOUT | OPTION_JSON, env_rebuild},
    {0},
};

static const char help_english[] =
    "usage: dunlin env [OPTIONS] COMMAND ...\n"
    "\n"
    "The environments of a Dunlin server: named sets of packages, built from a script.\n"
    "\n"
    "  create NAME SCRIPT   build one by running SCRIPT (a file, - for stdin) in a sandbox\n"
    "      --description T      what it is for\n"
    "      --base-image REF     what the script starts from: an image of the server's, an OCI\n"
    "                           reference, debootstrap:SUITE (default: the host's own system)\n"
    "      --python-version V   or the Python it needs, 3.12\n"
    "      --warm A,B           modules to import ahead (default: learned from its runs)\n"
    "      --network MODE       of its runs: none or bridge\n"
    "      --build-network MODE of the script: none or bridge\n"
    "      --wait               until it is built; --wait-timeout MINUTES (default 10)\n"
    "  list                 all of them\n"
    "  info NAME            everything about one\n"
    "  delete NAME          asks first, unless --yes\n"
    "  wait NAME            until it is built; --timeout MINUTES (default 10)\n"
    "  logs NAME            what its build has said; -f goes on, --tail N the last lines\n"
    "  packages NAME        what is installed in it\n"
    "  rebuild NAME         run its script again; --wait, --wait-timeout MINUTES\n"
    "\n"
    "  --url URL    the server (default: DUNLIN_URL, or http://localhost:8000)\n"
    "  --key KEY    its key (better: DUNLIN_API_KEY, which other users cannot see)\n"
    "  --lang L     zh or en (default: by the locale)\n"
    "  --json       the server's JSON instead of words\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong words on the command line, 130 interrupted.\n";

static const char help_chinese[] =
    "用法: dunlin env [选项] 命令 ...\n"
    "\n"
    "管理 Dunlin 服务器的环境：由脚本构建的、有名称的软件包集合。\n"
    "\n"
    "  create NAME SCRIPT   在沙盒中运行 SCRIPT（文件，- 表示标准输入）创建环境\n"
    "      --description T      环境描述\n"
    "      --base-image REF     基础镜像：服务器已有的镜像、OCI 引用、debootstrap:SUITE\n"
    "                           （默认: 主机系统）\n"
    "      --python-version V   需要的 Python 版本，如 3.12\n"
    "      --warm A,B           预先导入的模块（默认: 从运行中学习）\n"
    "      --network MODE       运行时的网络: none 或 bridge\n"
    "      --build-network MODE 脚本的网络: none 或 bridge\n"
    "      --wait               等待构建完成; --wait-timeout 分钟（默认 10）\n"
    "  list                 列出所有环境\n"
    "  info NAME            查看环境详情\n"
    "  delete NAME          删除环境，先确认，--yes 则不问\n"
    "  wait NAME            等待构建完成; --timeout 分钟（默认 10）\n"
    "  logs NAME            构建日志; -f 持续输出，--tail N 最后 N 行\n"
    "  packages NAME        已安装的软件包\n"
    "  rebuild NAME         重新运行脚本; --wait, --wait-timeout 分钟\n"
    "\n"
    "  --url URL    服务器地址（默认: DUNLIN_URL，或 http://localhost:8000）\n"
    "  --key KEY    密钥（最好用 DUNLIN_API_KEY，其他用户看不到）\n"
    "  --lang L     zh 或 en（默认按区域设置）\n"
    "  --json       输出服务器的 JSON\n"
    "\n"
    "退出码: 0 成功，1 失败，2 命令行有误，130 被中断。\n";

/* -- asking ------------------------------------------------------------------------------------ */

const char *env_kind(void)
{
    return WORDS("environment", "环境");
}

int env_ask(struct client *c, const struct env_request *r, struct client_answer *ret, struct err *e)
{
    struct client_call call = {.method = r->method,
                               .body = r->body,
                               .timeout_s = ASK_TIMEOUT_S,
                               .tick = r->tick,
                               .data = r->data};
    char *path = NULL;
    int result;

    *ret = (struct client_answer){0};
    if (r->name != NULL)
        path = client_path("environments", r->name, r->rest);
    else if (asprintf(&path, "/environments%s", r->rest) < 0)
        path = NULL;
    if (path == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    call.path = path;
    result = client_call(c, &call, ret, e);
    free(path);
    return result;
}

int env_answer(struct client *c, const struct client_options *o, const struct env_request *r,
               const char *what, struct client_answer *ret)
{
    struct err e = {0};

    if (env_ask(c, r, ret, &e) < 0)
        return client_fail_call(o, &e);
    return client_check(o, what, env_kind(), ret) != 0 ? 1 : 0;
}

void env_print_fact(const char *label, const char *text)
{
    if (text == NULL)
        return;
    printf("%s: ", label);
    client_text_print(text);
    putchar('\n');
}

const char *env_icon(const char *status)
{
    if (strcmp(status, "ready") == 0)
        return "✅";
    if (strcmp(status, "building") == 0)
        return "🔧";
    return strcmp(status, "failed") == 0 ? "❌" : "❓";
}

const char *env_python(const json_t *environment)
{
    const char *actual = client_text_of(environment, "actual_python");
    const char *wanted = client_text_of(environment, "python_version");

    if (*actual != '\0')
        return actual;
    if (json_is_null(json_object_get(environment, "actual_python")) &&
        strcmp(client_text_of(environment, "status"), "ready") == 0)
        return WORDS("none", "无");
    return *wanted != '\0' ? wanted : WORDS("unknown", "未知");
}

bool env_has_failed(const json_t *environment)
{
    const char *status = client_text_of(environment, "status");

    return strcmp(status, "failed") == 0 ||
           (strcmp(status, "ready") == 0 && *client_text_of(environment, "phase") == '\0' &&
            *client_text_of(environment, "error") != '\0');
}

void env_print_failure(const json_t *environment)
{
    const char *error = client_text_of(environment, "error");

    fputs(WORDS("❌ the build failed", "❌ 环境构建失败"), stdout);
    if (*error == '\0') {
        putchar('\n');
        return;
    }
    fputs(": ", stdout);
    client_text_print_block(error, 3);
}

int env_main(int argc, char **argv)
{
    static const struct client_program program = {.name = "env",
                                                  .help_english = help_english,
                                                  .help_chinese = help_chinese,
                                                  .commands = commands};

    return client_command_main(&program, argc, argv);
}
