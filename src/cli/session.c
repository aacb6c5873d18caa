/* session: which command of `dunlin session` is meant, and what all of them share.
 *
 * Runs in dunlin-client, as whoever calls it.  What our commands have to say goes to stdout, what
 * goes wrong while a program of the session is running to stderr: stdout is the program's then. */
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/client_json.h"
#include "cli/session_internal.h"
#include "cli/words.h"

#define ASK_TIMEOUT_S 120

static const struct session_command commands[] = {
    {"create", "", 0, 0, false,
     " id environment ephemeral size network snapshot idle-timeout ttl env label ", session_create},
    {"list", "", 0, 0, false, " label state environment ", session_list},
    {"info", "ID", 1, 1, false, "", session_info},
    {"delete", "ID...", 1, -1, false, " yes ", session_delete},
    {"sleep", "ID", 1, 1, false, "", session_sleep},
    {"exec", "ID COMMAND...", 1, -1, true, " cwd env timeout background ", session_exec},
    {"run", "ID FILE|- [ARGUMENTS]", 2, -1, true, " language cwd env timeout background ",
     session_run},
    {"shell", "ID [COMMAND...]", 1, -1, true, " cwd ", session_shell},
    {"ps", "ID", 1, 1, false, " all ", session_ps},
    {"kill", "ID PROCESS [SIGNAL]", 2, 3, false, "", session_kill},
    {"logs", "ID PROCESS", 2, 2, false, " follow ", session_logs},
    {"ls", "ID [PATH]", 1, 2, false, " recursive ", session_ls},
    {"cp", "FROM TO", 2, 2, false, "", session_cp},
    {0},
};

static const char help_english[] =
    "usage: dunlin session [OPTIONS] COMMAND ...\n"
    "\n"
    "Sessions of a Dunlin server: sandboxes that stay, each with a workspace.\n"
    "\n"
    "  create               make one, and print its id\n"
    "      --id ID              a name of your own (default: one that cannot be guessed)\n"
    "      --environment NAME   what is installed in it; --size 100M of its workspace\n"
    "      --ephemeral          in memory: gone when the server stops\n"
    "      --network MODE       none or bridge\n"
    "      --env N=V, --label N=V   may be repeated\n"
    "      --idle-timeout S     seconds until it falls asleep; --ttl S until it is deleted\n"
    "      --snapshot ID        begin with this copy of a workspace\n"
    "  list                 all of them; --label N=V, --state S, --environment NAME\n"
    "  info ID              everything about one\n"
    "  delete ID...         asks first, unless --yes\n"
    "  sleep ID             end its processes, keep its files\n"
    "  exec ID COMMAND...   run a command; one word is a line for its shell\n"
    "  run ID FILE|- [ARGUMENTS]   run code in it; --language L (default: by the ending)\n"
    "      --cwd DIR, --env N=V, --timeout S, --background\n"
    "  shell ID [COMMAND]   a terminal in it\n"
    "  ps ID                what was started in it; --all every process\n"
    "  logs ID PROCESS      what a process has written; -f goes on\n"
    "  kill ID PROCESS [SIGNAL]\n"
    "  ls ID [PATH]         files; -r those beneath, too\n"
    "  cp FROM TO           copy a file; ID:PATH is one in a session, - stdin or stdout\n"
    "\n"
    "  --url URL    the server (default: DUNLIN_URL, or http://localhost:8000)\n"
    "  --key KEY    its key (better: DUNLIN_API_KEY, which other users cannot see)\n"
    "  --lang L     zh or en (default: by the locale)\n"
    "  --json       the server's JSON instead of words\n"
    "\n"
    "Exit status: of exec, run and shell the program's own (128 + S when signal S ended it, 124 "
    "at\n"
    "its deadline); else 0 done, 1 failed, 2 wrong words on the command line, 130 interrupted.\n";

static const char help_chinese[] =
    "用法: dunlin session [选项] 命令 ...\n"
    "\n"
    "Dunlin 服务器的会话：长期存在的沙盒，各有自己的工作区。\n"
    "\n"
    "  create               创建会话并输出其 id\n"
    "      --id ID              自定的名称（默认: 无法猜测的 id）\n"
    "      --environment NAME   使用的环境; --size 100M 工作区大小\n"
    "      --ephemeral          只在内存中，服务器停止后消失\n"
    "      --network MODE       none 或 bridge\n"
    "      --env N=V, --label N=V   可重复\n"
    "      --idle-timeout S     闲置多少秒后休眠; --ttl S 多少秒后删除\n"
    "      --snapshot ID        以该快照为初始工作区\n"
    "  list                 列出会话; --label N=V, --state S, --environment NAME\n"
    "  info ID              查看详情\n"
    "  delete ID...         删除，先确认，--yes 则不问\n"
    "  sleep ID             结束其进程，保留文件\n"
    "  exec ID COMMAND...   运行命令；只有一个词时交给 shell\n"
    "  run ID FILE|- [参数] 运行代码; --language L（默认按扩展名）\n"
    "      --cwd DIR, --env N=V, --timeout S, --background\n"
    "  shell ID [COMMAND]   打开终端\n"
    "  ps ID                启动过的进程; --all 所有进程\n"
    "  logs ID PROCESS      进程的输出; -f 持续输出\n"
    "  kill ID PROCESS [SIGNAL]\n"
    "  ls ID [PATH]         列出文件; -r 包括子目录\n"
    "  cp FROM TO           复制文件；ID:PATH 表示会话中的文件，- 表示标准输入或输出\n"
    "\n"
    "  --url URL    服务器地址（默认: DUNLIN_URL，或 http://localhost:8000）\n"
    "  --key KEY    密钥（最好用 DUNLIN_API_KEY，其他用户看不到）\n"
    "  --lang L     zh 或 en（默认按区域设置）\n"
    "  --json       输出服务器的 JSON\n"
    "\n"
    "退出码: exec、run、shell 为程序自身的退出码（被信号 S 结束为 128 + S，超时为 124）；\n"
    "其余 0 成功，1 失败，2 命令行有误，130 被中断。\n";

const char *session_kind(const struct client_answer *a)
{
    const char *detail = client_text_of(a->json, "detail");

    return strncmp(detail, "session '", 9) == 0 ? WORDS("session", "会话") : NULL;
}

int session_answer(struct client *c, const struct session_options *o,
                   const struct session_request *r, const char *what, struct client_answer *ret)
{
    struct client_call call = {.method = r->method, .body = r->body, .timeout_s = ASK_TIMEOUT_S};
    struct err e = {0};
    char *path = NULL;
    int status;

    *ret = (struct client_answer){0};
    if (r->id != NULL)
        path = client_path("v1/sessions", r->id, r->rest);
    else if (asprintf(&path, "/v1/sessions%s", r->rest) < 0)
        path = NULL;
    if (path == NULL)
        return client_fail(&o->common, what, "out of memory");
    call.path = path;
    if (client_call(c, &call, ret, &e) < 0)
        status = client_fail_call(&o->common, &e);
    else if (ret->status == 204)
        status = 0;
    else
        status = client_check(&o->common, what, session_kind(ret), ret);
    free(path);
    return status;
}

json_t *session_pairs(const char *const *list, size_t n)
{
    json_t *object = json_object();

    for (size_t i = 0; object != NULL && i < n; i++) {
        const char *equals = strchr(list[i], '=');

        if (json_object_setn_new(object, list[i], (size_t)(equals - list[i]),
                                 json_string(equals + 1)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

char *session_query(const char *const *pairs)
{
    _cleanup_buf_ struct buf out = {0};
    int r = 0;

    buf_init(&out, 64 << 10);
    for (; pairs[0] != NULL; pairs += 2) {
        char *encoded = pairs[1] != NULL ? client_escape(pairs[1], false) : NULL;

        if (pairs[1] == NULL)
            continue;
        r |= encoded == NULL
                 ? -1
                 : buf_printf(&out, "%c%s=%s", out.len == 0 ? '?' : '&', pairs[0], encoded);
        free(encoded);
    }
    return r == 0 ? buf_steal(&out, NULL) : NULL;
}

int session_main(int argc, char **argv)
{
    struct session_options o;
    struct err e = {0};
    struct client *c;
    int status;

    if (session_options_parse(&o, commands, argc, argv, &e) < 0) {
        fprintf(stderr, "dunlin session: %s (dunlin session --help)\n", e.text);
        return 2;
    }
    if (o.help || o.command == NULL) {
        fputs(WORDS(help_english, help_chinese), stdout);
        return 0;
    }
    c = client_create(o.common.url, o.common.key, &e);
    if (c == NULL) {
        fprintf(stderr, "dunlin session: %s\n", e.text);
        return 2;
    }
    status = o.command->run(c, &o);
    client_destroy(c);
    return fflush(stdout) == 0 || status != 0 ? status : 1;
}
