/* settings_help: the table of settings as a person reads it, on a terminal and in the docs.  Runs
 * in the command line. */
#include <string.h>

#include "base/settings_internal.h"

#define FLAG_COLUMN     22
#define VARIABLE_COLUMN 20
#define DEFAULT_COLUMN  17
#define MEANING_AT      (2 + FLAG_COLUMN + VARIABLE_COLUMN + DEFAULT_COLUMN)
#define PAGE_COLUMNS    100

static bool starts_group(size_t i)
{
    return i == 0 || settings_table[i].group != settings_table[i - 1].group;
}

/* Writes words, breaking lines before the page's edge; continuation lines begin at MEANING_AT. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t room = PAGE_COLUMNS - MEANING_AT;
    size_t used = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (used > 0 && used + 1 + n > room) {
            fprintf(out, "\n%*s", MEANING_AT, "");
            used = 0;
        }
        used += (size_t)fprintf(out, "%s%.*s", used > 0 ? " " : "", (int)n, text);
        text += n;
        text += *text == ' ';
    }
    fputc('\n', out);
}

/* "off, standard, strict": the choices with `between` between them. */
static void format_choices(const char *choices, const char *between, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (const char *p = choices; *p && len < size;) {
        size_t n = strcspn(p, "|");
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", len ? between : "", (int)n, p);
        p += n + (p[n] == '|');
    }
}

static const char *shown_default(const struct setting *row)
{
    return *row->initial ? row->initial : "-";
}

void settings_help(FILE *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (starts_group(i))
            fprintf(out, "%s%s\n", i ? "\n" : "", row->group);
        char name[SETTINGS_FLAG_BYTES], flag[SETTINGS_FLAG_BYTES + 2] = "";
        setting_flag_name(row, name);
        if (!(row->traits & SETTING_NO_FLAG))
            snprintf(flag, sizeof flag, "--%s", name);
        int head = fprintf(out, "  %-*s %-*s %-*s ", FLAG_COLUMN - 1, flag, VARIABLE_COLUMN - 1,
                           row->name, DEFAULT_COLUMN - 1, shown_default(row));
        if (head > MEANING_AT) /* the few long ones */
            fprintf(out, "\n%*s", MEANING_AT, "");
        char meaning[512], choices[128];
        snprintf(meaning, sizeof meaning, "%s", row->help);
        if (row->type == SETTING_CHOICE) {
            format_choices(row->choices, ", ", choices, sizeof choices);
            snprintf(meaning, sizeof meaning, "%s One of %s.", row->help, choices);
        }
        print_wrapped(out, meaning);
    }
}

static void print_markdown_range(FILE *out, const struct setting *row)
{
    char low[SETTINGS_VALUE_BYTES], high[SETTINGS_VALUE_BYTES], choices[128];
    switch (row->type) {
    case SETTING_CHOICE:
        format_choices(row->choices, "`, `", choices, sizeof choices);
        fprintf(out, "`%s`", choices);
        return;
    case SETTING_BOOL:
        fputs("`true`, `false`", out);
        return;
    case SETTING_STRING:
        fprintf(out, "up to %lld bytes", (long long)row->max);
        return;
    case SETTING_INT:
    case SETTING_BYTES:
    case SETTING_MILLI:
        break;
    }
    setting_format(row, row->min, low);
    setting_format(row, row->max, high);
    fprintf(out, "%s to %s", low, high);
}

void settings_markdown(FILE *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (starts_group(i))
            fprintf(out, "%s## %s\n\n| Variable | Flag | Default | Values | Meaning |\n%s",
                    i ? "\n" : "", row->group, "|---|---|---|---|---|\n");
        char name[SETTINGS_FLAG_BYTES];
        setting_flag_name(row, name);
        bool has_flag = !(row->traits & SETTING_NO_FLAG);
        fprintf(out, "| `%s` | %s%s%s | ", row->name, has_flag ? "`--" : "none",
                has_flag ? name : "", has_flag ? "`" : "");
        fprintf(out, "%s%s%s | ", *row->initial ? "`" : "empty", row->initial,
                *row->initial ? "`" : "");
        print_markdown_range(out, row);
        fprintf(out, " | %s |\n", row->help);
    }
}
