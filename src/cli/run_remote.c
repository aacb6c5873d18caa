/* run_remote: `dunlin run --url`, one run on a server, in a sandbox of its own.
 *
 * Runs in dunlin-client, as whoever calls it.  The run's output goes to our stdout and stderr as it
 * is. */
#include "cli/run_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client_json.h"
#include "cli/session_internal.h"
#include "cli/words.h"

static int run(struct client *c, const struct session_options *o)
{
    _cleanup_answer_ struct client_answer a = {0};
    struct client_call call = {.method = "POST", .path = "/execute"};
    struct err e = {0};
    json_t *body = session_code(o, o->words[0], 1, &e);
    int status;

    if (body == NULL)
        return client_fail(&o->common, NULL, e.text);
    if (o->environment != NULL)
        json_object_set_new(body, "environment", json_string(o->environment));
    if (o->network != NULL)
        json_object_set_new(body, "network", json_string(o->network));
    call.body = body;
    if (!o->common.json) {
        status = session_follow(c, o, "POST", "/execute", body);
    } else if (client_call(c, &call, &a, &e) < 0) {
        status = client_fail_call(&o->common, &e);
    } else {
        status = client_check(&o->common, WORDS("it cannot be run", "无法运行"), NULL, &a);
        if (status == 0) {
            client_json_print(a.json);
            status = session_status_of(a.json);
        }
    }
    json_decref(body);
    return status;
}

static const struct session_command commands[] = {
    {"run", "--url URL [OPTIONS] FILE|- [ARGUMENTS]", 1, -1, true,
     " language env timeout environment network ", run},
    {0},
};

static const char help_english[] =
    "usage: dunlin run --url URL [OPTIONS] FILE|- [ARGUMENTS]\n"
    "\n"
    "Run a file on a server, in a sandbox of its own.\n"
    "\n"
    "  --language L     python, shell or javascript (default: by the file's ending)\n"
    "  --environment E  what is installed for it\n"
    "  --network MODE   none or bridge\n"
    "  --timeout S      seconds until it is ended\n"
    "  --env N=VALUE    a variable of its environment; may be repeated\n"
    "  --key KEY        the server's key (better: DUNLIN_API_KEY)\n"
    "  --json           the server's JSON instead of its output\n"
    "\n"
    "Standard input goes to it when it is a pipe or a file. Without --url it runs on this "
    "machine:\n"
    "see dunlin run --help. The exit status is the run's own; 128 + S when signal S ended it, 124 "
    "at\n"
    "its deadline, 1 when the server refused it.\n";

static const char help_chinese[] =
    "用法: dunlin run --url URL [选项] FILE|- [参数]\n"
    "\n"
    "在服务器的独立沙盒中运行文件。\n"
    "\n"
    "  --language L     python、shell 或 javascript（默认按扩展名）\n"
    "  --environment E  使用的环境\n"
    "  --network MODE   none 或 bridge\n"
    "  --timeout S      超时秒数\n"
    "  --env N=VALUE    环境变量，可重复\n"
    "  --key KEY        服务器密钥（最好用 DUNLIN_API_KEY）\n"
    "  --json           输出服务器的 JSON\n"
    "\n"
    "标准输入为管道或文件时会传给程序。不带 --url 时在本机运行，见 dunlin run --help。\n"
    "退出码为程序自身的退出码；被信号 S 结束为 128 + S，超时为 124，被服务器拒绝为 1。\n";

int run_remote_main(int argc, char **argv)
{
    char **words = calloc((size_t)argc + 2, sizeof *words);
    struct session_options o;
    struct err e = {0};
    struct client *c;
    int status = 2;

    if (words == NULL)
        return 1;
    words[0] = words[1] = argv[0];
    memcpy(words + 2, argv + 1, (size_t)(argc - 1) * sizeof *words);
    if (session_options_parse(&o, commands, argc + 1, words, &e) < 0) {
        fprintf(stderr, "dunlin run: %s\n", e.text);
    } else if (o.help) {
        fputs(WORDS(help_english, help_chinese), stdout);
        status = 0;
    } else if ((c = client_create(o.common.url, o.common.key, &e)) == NULL) {
        fprintf(stderr, "dunlin run: %s\n", e.text);
    } else {
        status = o.command->run(c, &o);
        client_destroy(c);
    }
    free(words);
    return status;
}
