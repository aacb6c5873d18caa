/* settings: chooses for each row of the table the text with the highest precedence, and stores it.
 * Runs once, at the start of every command; trusts the operator's intentions but not their typing.
 */
#include "base/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/settings_internal.h"

#define SOURCE_BYTES 64

#define _cleanup_dotenv_ __attribute__((cleanup(dotenv_finish)))

/* The texts a value may come from. */
struct sources {
    const struct settings_flags *flags;
    const struct dotenv *dotenv;
};

static int load_row(struct settings *s, size_t i, const struct sources *from, struct err *e)
{
    const struct setting *row = &settings_table[i];
    char source[SOURCE_BYTES];
    snprintf(source, sizeof source, "%s", row->name);

    const char *text = from->flags->texts[i];
    if (text) {
        char name[SETTINGS_FLAG_BYTES];
        setting_flag_name(row, name);
        snprintf(source, sizeof source, "--%s", name);
        return setting_assign(row, s, text, source, e);
    }
    text = getenv(row->name);
    if (text)
        return setting_assign(row, s, text, source, e);
    text = dotenv_get(from->dotenv, row->name);
    if (text) {
        snprintf(source, sizeof source, "%s in .env", row->name);
        return setting_assign(row, s, text, source, e);
    }
    return setting_assign(row, s, row->initial, source, e);
}

static int load_defaults(struct settings *s, struct err *e)
{
    for (size_t i = 0; i < settings_count; i++)
        if (setting_assign(&settings_table[i], s, settings_table[i].initial, settings_table[i].name,
                           e) < 0)
            return -1;
    return 0;
}

static int load_rows(struct settings *s, const struct sources *from,
                     const struct settings_warner *w, struct err *e)
{
    for (size_t i = 0; i < settings_count; i++)
        if (load_row(s, i, from, e) < 0)
            return -1;
    settings_warn_unknown(from->dotenv, w);
    settings_warn_legacy(from->dotenv, w);
    return settings_check(s, w, e);
}

int settings_load(struct settings *s, const char *dotenv, int argc, char **argv, int *ret_rest,
                  void (*warn)(const char *text), struct err *e)
{
    *s = (struct settings){0};
    struct settings_flags flags;
    if (settings_parse_flags(argc, argv, &flags, e) < 0)
        return -1;

    _cleanup_dotenv_ struct dotenv file = {0};
    struct sources from = {.flags = &flags, .dotenv = &file};
    struct settings_warner w = {.warn = warn};
    int result;
    if (flags.help)
        result = load_defaults(s, e);
    else if (dotenv && dotenv_read(&file, dotenv, e) < 0)
        result = -1;
    else
        result = load_rows(s, &from, &w, e);
    if (result < 0) {
        settings_finish(s);
        return -1;
    }
    *ret_rest = flags.rest;
    return 0;
}

void settings_finish(struct settings *s)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (row->type == SETTING_STRING || row->type == SETTING_CHOICE)
            free(*(char **)((char *)s + row->offset));
    }
    *s = (struct settings){0};
}
