/* settings_flags: flags of the command line, built from the table for getopt_long.  Runs once, at
 * start, on the operator's words. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/settings_internal.h"

#define NAME_MAX_BYTES 40
#define OPTION_HELP    1000 /* above every index of the table */

/* What getopt_long reads, and the names it points to. */
struct options {
    struct option list[SETTINGS_MAX + 2];
    char names[SETTINGS_MAX][SETTINGS_FLAG_BYTES];
};

static void build_options(struct options *o)
{
    struct option *next = o->list;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        setting_flag_name(row, o->names[i]);
        int argument = row->type == SETTING_BOOL ? optional_argument : required_argument;
        *next++ = (struct option){o->names[i], argument, NULL, (int)i};
    }
    *next++ = (struct option){"help", no_argument, NULL, OPTION_HELP};
    *next = (struct option){0};
}

/* Levenshtein's distance, in one row; texts beyond NAME_MAX_BYTES are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    if (strlen(a) > NAME_MAX_BYTES || n > NAME_MAX_BYTES)
        return NAME_MAX_BYTES;
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *settings_nearest(const char *text, const char *const *names, size_t n)
{
    size_t len = strlen(text);
    size_t best = (len / 3 + 2) * NAME_MAX_BYTES;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(text, names[i]) * NAME_MAX_BYTES;
        /* A beginning is as near as one wrong letter; of several the shortest name is meant. */
        if (len >= 3 && strncasecmp(names[i], text, len) == 0)
            d = NAME_MAX_BYTES + strlen(names[i]) - len;
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

static int refuse_secret(const char *flag, struct err *e)
{
    return err_set(e, ERR_INVALID, 0,
                   "--%s: every user of the machine could read it in ps; set API_KEYS in the "
                   "environment or in .env, or use --api-key-file",
                   flag);
}

/* `word` looks like a flag and is none. */
static int refuse_unknown(const struct options *o, const char *word, struct err *e)
{
    if (strncmp(word, "--", 2) != 0)
        return err_set(e, ERR_INVALID, 0, "unknown flag %.64s", word);
    char name[NAME_MAX_BYTES + 1];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *names[SETTINGS_MAX + 1] = {"help"};
    size_t n = 1;
    for (size_t i = 0; i < settings_count; i++)
        if (!(settings_table[i].traits & SETTING_NO_FLAG))
            names[n++] = o->names[i];
    const char *nearest = settings_nearest(name, names, n);
    if (nearest)
        return err_set(e, ERR_INVALID, 0, "unknown flag --%s; did you mean --%s?", name, nearest);
    return err_set(e, ERR_INVALID, 0, "unknown flag --%s", name);
}

/* getopt_long takes any unambiguous beginning of a name.  A script that uses one would break as
 * soon as a new flag begins the same way, so only whole names count. */
static bool is_whole_name(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, n) == 0 &&
           (word[2 + n] == '\0' || word[2 + n] == '=');
}

int settings_parse_flags(int argc, char **argv, struct settings_flags *ret, struct err *e)
{
    struct options o = {0};
    build_options(&o);
    struct settings_flags flags = {.rest = argc};
    opterr = 0;
    optind = 0; /* GNU: forget what an earlier call left behind */
    for (;;) {
        int at = optind ? optind : 1;
        int c = getopt_long(argc, argv, "+:h", o.list, NULL);
        if (c == -1)
            break;
        if (c == 'h' || (c == OPTION_HELP && is_whole_name(argv[at], "help"))) {
            flags.help = true;
            flags.rest = at;
            *ret = flags;
            return 0;
        }
        if (c == ':' && is_whole_name(argv[at], o.names[optopt]))
            return err_set(e, ERR_INVALID, 0, "%.64s needs a value", argv[at]);
        if (c < 0 || (size_t)c >= settings_count || !is_whole_name(argv[at], o.names[c]))
            return refuse_unknown(&o, argv[at], e);
        if (settings_table[c].traits & SETTING_NO_FLAG)
            return refuse_secret(o.names[c], e);
        flags.texts[c] = optarg ? optarg : "true";
    }
    flags.rest = optind;
    *ret = flags;
    return 0;
}
