/* client_options: parses the words behind `dunlin env` and `dunlin image`.
 *
 * Runs in dunlin-client, as whoever calls it, whose words are trusted as far as they go to the
 * server, which checks them again. */
#include "cli/client_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/words.h"

#define URL_DEFAULT "http://localhost:8000"
#define MINUTES_MAX (7 * 24 * 60)
#define TAIL_MAX    10000000
#define LETTERS     "fhn:y"

/* The values are those of enum client_option where one command has an option and another has not.
 */
enum { LONG_URL = 1 << 20, LONG_KEY, LONG_LANG, LONG_HELP };

static const struct option longs[] = {
    {"description", required_argument, NULL, OPTION_DESCRIPTION},
    {"base-image", required_argument, NULL, OPTION_BASE_IMAGE},
    {"python-version", required_argument, NULL, OPTION_PYTHON_VERSION},
    {"warm", required_argument, NULL, OPTION_WARM},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"build-network", required_argument, NULL, OPTION_BUILD_NETWORK},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"wait-timeout", required_argument, NULL, OPTION_WAIT_TIMEOUT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"tail", required_argument, NULL, OPTION_TAIL},
    {"yes", no_argument, NULL, OPTION_YES},
    {"data", required_argument, NULL, OPTION_DATA},
    {"json", no_argument, NULL, OPTION_JSON},
    {"url", required_argument, NULL, LONG_URL},
    {"key", required_argument, NULL, LONG_KEY},
    {"lang", required_argument, NULL, LONG_LANG},
    {"help", no_argument, NULL, LONG_HELP},
    {0},
};

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : otherwise;
}

static int take_number(const char *text, int min, int max, int *ret, struct err *e)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < min || number > max)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("a whole number from %d to %d is wanted, not '%.60s'",
                             "应为 %d 到 %d 之间的整数，而不是 '%.60s'"),
                       min, max, text);
    *ret = (int)number;
    return 0;
}

static int take_network(const char *text, const char **ret, struct err *e)
{
    if (strcmp(text, "none") != 0 && strcmp(text, "bridge") != 0)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("a network is none or bridge, not '%.60s'",
                             "网络只能是 none 或 bridge，而不是 '%.60s'"),
                       text);
    *ret = text;
    return 0;
}

static int take_common(struct client_options *o, int option, const char *value, struct err *e)
{
    switch (option) {
    case LONG_URL:
        o->url = value;
        return 0;
    case LONG_KEY:
        o->key = value;
        return 0;
    case LONG_LANG:
        return words_choose(value) == 0 ? 0
                                        : err_set(e, ERR_INVALID, 0,
                                                  WORDS("--lang is zh or en, not '%.60s'",
                                                        "--lang 只能是 zh 或 en，而不是 '%.60s'"),
                                                  value);
    default:
        o->help = true;
        return 0;
    }
}

static int take_option(struct client_options *o, int option, const char *value, struct err *e)
{
    switch (option) {
    case OPTION_DESCRIPTION:
        o->description = value;
        return 0;
    case OPTION_BASE_IMAGE:
        o->base_image = value;
        return 0;
    case OPTION_PYTHON_VERSION:
        o->python_version = value;
        return 0;
    case OPTION_WARM:
        o->warm = value;
        return 0;
    case OPTION_NETWORK:
        return take_network(value, &o->network, e);
    case OPTION_BUILD_NETWORK:
        return take_network(value, &o->build_network, e);
    case OPTION_WAIT:
        o->wait = true;
        return 0;
    case OPTION_WAIT_TIMEOUT:
    case OPTION_TIMEOUT:
        return take_number(value, 1, MINUTES_MAX, &o->wait_minutes, e);
    case OPTION_FOLLOW:
        o->follow = true;
        return 0;
    case OPTION_TAIL:
        return take_number(value, 0, TAIL_MAX, &o->tail, e);
    case OPTION_YES:
        o->yes = true;
        return 0;
    case OPTION_DATA:
        o->data = value;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    default:
        return take_common(o, option, value, e);
    }
}

static int long_of(int letter)
{
    switch (letter) {
    case 'f':
        return OPTION_FOLLOW;
    case 'h':
        return LONG_HELP;
    case 'n':
        return OPTION_TAIL;
    case 'y':
        return OPTION_YES;
    default:
        return letter;
    }
}

/* All options, wherever they stand; *ret_seen is the set of those that not every command has. */
static int take_options(struct client_options *o, int argc, char **argv, uint32_t *ret_seen,
                        struct err *e)
{
    int letter;

    *ret_seen = 0;
    opterr = 0;
    optind = 0; /* glibc: start anew, also after a parse that was not finished */
    while ((letter = getopt_long(argc, argv, ":" LETTERS, longs, NULL)) >= 0) {
        int option = long_of(letter);

        if (letter == '?')
            return err_set(e, ERR_INVALID, 0, WORDS("no option '%.80s'", "没有选项 '%.80s'"),
                           argv[optind - 1]);
        if (letter == ':')
            return err_set(e, ERR_INVALID, 0, WORDS("'%.80s' wants a value", "'%.80s' 需要一个值"),
                           argv[optind - 1]);
        if (take_option(o, option, optarg, e) < 0)
            return -1;
        if (option < LONG_URL)
            *ret_seen |= (uint32_t)option;
    }
    return 0;
}

static const struct client_command *find(const struct client_command *commands, const char *name)
{
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0)
            return commands;
    }
    return NULL;
}

static const char *name_of(uint32_t option)
{
    for (const struct option *l = longs; l->name != NULL; l++) {
        if ((uint32_t)l->val == option)
            return l->name;
    }
    return "";
}

static int check(const struct client_options *o, uint32_t seen, int given, struct err *e)
{
    const struct client_command *command = o->command;
    uint32_t surplus = seen & ~command->options;

    if (surplus != 0)
        return err_set(e, ERR_INVALID, 0, WORDS("%s has no option --%s", "%s 没有选项 --%s"),
                       command->name, name_of(surplus & -surplus));
    if (given != command->arguments)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("%s wants %d arguments, not %d", "%s 需要 %d 个参数，而不是 %d 个"),
                       command->name, command->arguments, given);
    for (int i = 0; i < given; i++) {
        if (o->argument[i][0] == '\0')
            return err_set(e, ERR_INVALID, 0,
                           WORDS("%s wants an argument that is not empty", "%s 的参数不能为空"),
                           command->name);
    }
    return 0;
}

int client_options_parse(struct client_options *o, const struct client_command *commands, int argc,
                         char **argv, struct err *e)
{
    uint32_t seen;
    int given;

    *o = (struct client_options){.url = from_environment("DUNLIN_URL", URL_DEFAULT),
                                 .key = from_environment("DUNLIN_API_KEY", NULL),
                                 .wait_minutes = CLIENT_WAIT_MINUTES,
                                 .tail = -1};
    words_by_locale();
    if (take_options(o, argc, argv, &seen, e) < 0)
        return -1;
    if (o->help || optind == argc)
        return 0;
    o->command = find(commands, argv[optind]);
    if (o->command == NULL)
        return err_set(e, ERR_INVALID, 0, WORDS("no command '%.80s'", "没有命令 '%.80s'"),
                       argv[optind]);
    given = argc - optind - 1;
    for (int i = 0; i < given && i < 2; i++)
        o->argument[i] = argv[optind + 1 + i];
    return check(o, seen, given, e);
}
