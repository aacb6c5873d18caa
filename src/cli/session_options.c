/* session_options: parses the words behind `dunlin session`.
 *
 * Runs in dunlin-client, as whoever calls it.  Options end where the words of a command begin that
 * the session shall run, so that `dunlin session exec ID ls -l` needs no "--". */
#include "cli/session_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/words.h"

#define URL_DEFAULT "http://localhost:8000"
#define SECONDS_MAX (366 * 86400)

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : otherwise;
}

static int take_seconds(const char *text, int *ret, struct err *e)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 || number > SECONDS_MAX)
        return err_set(
            e, ERR_INVALID, 0,
            WORDS("a number of seconds is wanted, not '%.60s'", "应为秒数，而不是 '%.60s'"), text);
    *ret = (int)number;
    return 0;
}

static int take_pair(const char *text, const char **list, size_t *n, struct err *e)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("NAME=VALUE is wanted, not '%.60s'", "应为 名称=值，而不是 '%.60s'"),
                       text);
    if (*n == SESSION_WORDS_MAX)
        return err_set(e, ERR_INVALID, 0, WORDS("more than %d of these", "超过 %d 个"),
                       SESSION_WORDS_MAX);
    list[(*n)++] = text;
    return 0;
}

static int take_language_of_words(const char *text, struct err *e)
{
    if (words_choose(text) == 0)
        return 0;
    return err_set(
        e, ERR_INVALID, 0,
        WORDS("--lang is zh or en, not '%.60s'", "--lang 只能是 zh 或 en，而不是 '%.60s'"), text);
}

/* An option: where its value goes.  Exactly one of the pointers is set. */
struct option_place {
    const char *name;
    char letter;       /* 0: none */
    bool common;       /* every command has it */
    const char **text; /* takes a value */
    bool *flag;
    int *seconds;
    const char **list; /* NAME=VALUE, with */
    size_t *n;
};

#define PLACES 24

/* checklist */
static void fill_places(struct session_options *o, struct option_place out[static PLACES])
{
    const struct option_place all[PLACES] = {
        {"url", 0, true, .text = &o->common.url},
        {"key", 0, true, .text = &o->common.key},
        {"json", 0, true, .flag = &o->common.json},
        {"help", 'h', true, .flag = &o->help},
        {"yes", 'y', .flag = &o->common.yes},
        {"id", 0, .text = &o->id},
        {"environment", 0, .text = &o->environment},
        {"ephemeral", 0, .flag = &o->ephemeral},
        {"size", 0, .text = &o->size},
        {"network", 0, .text = &o->network},
        {"snapshot", 0, .text = &o->snapshot},
        {"idle-timeout", 0, .seconds = &o->idle},
        {"ttl", 0, .seconds = &o->ttl},
        {"timeout", 0, .seconds = &o->timeout},
        {"env", 'e', .list = o->env, .n = &o->nenv},
        {"label", 'l', .list = o->labels, .n = &o->nlabels},
        {"state", 0, .text = &o->state},
        {"cwd", 0, .text = &o->cwd},
        {"language", 0, .text = &o->language},
        {"recursive", 'r', .flag = &o->recursive},
        {"follow", 'f', .flag = &o->follow},
        {"background", 'b', .flag = &o->background},
        {"all", 'a', .flag = &o->all},
    };

    memcpy(out, all, sizeof all);
}

/* The option that `word` ("--name", "--name=value", "-n") names; *ret_value what stands behind the
 * equals sign, NULL without one. */
static const struct option_place *find_place(const struct option_place *places, const char *word,
                                             const char **ret_value)
{
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) - 2 : strlen(word) - 2;

    *ret_value = word[1] == '-' && equals != NULL ? equals + 1 : NULL;
    for (const struct option_place *p = places; p->name != NULL; p++) {
        if (word[1] == '-' ? strncmp(p->name, word + 2, len) == 0 && p->name[len] == '\0'
                           : p->letter == word[1] && word[2] == '\0')
            return p;
    }
    return NULL;
}

static bool belongs(const struct option_place *p, const struct session_command *command)
{
    char name[32];

    snprintf(name, sizeof name, " %s ", p->name);
    return p->common || (command != NULL && strstr(command->options, name) != NULL);
}

static int store(const struct option_place *p, const char *value, struct err *e)
{
    if (p->text != NULL)
        *p->text = value;
    else if (p->seconds != NULL)
        return take_seconds(value, p->seconds, e);
    else if (p->list != NULL)
        return take_pair(value, p->list, p->n, e);
    return 0;
}

/* One word that is an option, with the next one if that is its value; how many words it took, or
 * -1. */
static int take_option(struct session_options *o, char **argv, int left, struct err *e)
{
    struct option_place places[PLACES];
    const struct option_place *p;
    const char *value;
    int taken = 1;

    if (strcmp(argv[0], "--lang") == 0 && left > 1)
        return take_language_of_words(argv[1], e) < 0 ? -1 : 2;
    fill_places(o, places);
    p = find_place(places, argv[0], &value);
    if (p == NULL || !belongs(p, o->command))
        return err_set(e, ERR_INVALID, 0, WORDS("no option '%.80s' here", "没有选项 '%.80s'"),
                       argv[0]);
    if (p->flag != NULL && value == NULL) {
        *p->flag = true;
        return 1;
    }
    if (value == NULL && left > 1) {
        value = argv[1];
        taken = 2;
    }
    if (value == NULL || p->flag != NULL)
        return err_set(e, ERR_INVALID, 0,
                       p->flag != NULL ? WORDS("'%.80s' takes no value", "'%.80s' 不需要值")
                                       : WORDS("'%.80s' wants a value", "'%.80s' 需要一个值"),
                       argv[0]);
    return store(p, value, e) < 0 ? -1 : taken;
}

static int choose(struct session_options *o, const struct session_command *commands,
                  const char *name, struct err *e)
{
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0) {
            o->command = commands;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, 0, WORDS("no command '%.80s'", "没有命令 '%.80s'"), name);
}

static int check(const struct session_options *o, struct err *e)
{
    const struct session_command *c = o->command;

    if (o->help || c == NULL || (o->nwords >= c->least && (c->most < 0 || o->nwords <= c->most)))
        return 0;
    return err_set(e, ERR_INVALID, 0,
                   WORDS("usage: dunlin session %s %s", "用法: dunlin session %s %s"), c->name,
                   c->words);
}

/* Words are collected at the front of argv, behind the name of the program. */
int session_options_parse(struct session_options *o, const struct session_command *commands,
                          int argc, char **argv, struct err *e)
{
    int i = 1;

    *o = (struct session_options){.common.url = from_environment("DUNLIN_URL", URL_DEFAULT),
                                  .common.key = from_environment("DUNLIN_API_KEY", NULL),
                                  .common.plain = true,
                                  .words = argv + 1};
    words_by_locale();
    while (i < argc) {
        bool passing =
            o->command != NULL && o->command->passes_on && o->nwords >= o->command->least;
        int taken = 1;

        if (!passing && strcmp(argv[i], "--") == 0) {
            for (i++; i < argc; i++)
                o->words[o->nwords++] = argv[i];
            break;
        }
        if (!passing && argv[i][0] == '-' && argv[i][1] != '\0')
            taken = take_option(o, argv + i, argc - i, e);
        else if (o->command == NULL)
            taken = choose(o, commands, argv[i], e) < 0 ? -1 : 1;
        else
            o->words[o->nwords++] = argv[i];
        if (taken < 0)
            return -1;
        i += taken;
    }
    if (o->nwords > 0)
        o->common.argument[0] = o->words[0]; /* what a 404 is told of */
    return check(o, e);
}
