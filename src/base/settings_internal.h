/* settings_internal: what the settings_*.c files share.  Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/settings.h"

#define SETTINGS_MAX         128 /* rows of the table; a static assertion holds it */
#define SETTINGS_FLAG_BYTES  32  /* longest flag name with its NUL */
#define SETTINGS_VALUE_BYTES 32  /* a formatted number with its unit and NUL */

enum setting_type {
    SETTING_STRING, /* min and max bound its length */
    SETTING_INT,
    SETTING_BYTES, /* 1024-based units: k, m, g, t, also K, Ki, KB, KiB */
    SETTING_MILLI, /* a decimal number with at most three decimals, stored times 1000 */
    SETTING_BOOL,
    SETTING_CHOICE, /* one of `choices`, in any case; stored as it is written there */
};

#define SETTING_NO_FLAG (1u << 0) /* a secret: a flag would show it in ps */

struct setting {
    const char *name; /* FOO_BAR; the flag is --foo-bar */
    enum setting_type type;
    unsigned traits;
    const char *initial; /* the default, as a user would write it */
    int64_t min, max;
    const char *choices; /* "a|b|c" */
    size_t offset;       /* of the field in struct settings */
    const char *group;   /* heading in the help */
    const char *help;    /* one sentence */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/* The row called `name` (exact), or NULL. */
const struct setting *setting_find(const char *name);

/* Parses text and stores it in the field; a string that was there is freed.  The error begins with
 * `source`, which says where the text came from ("--port", "PORT", "PORT in .env"). */
int setting_assign(const struct setting *row, struct settings *s, const char *text,
                   const char *source, struct err *e);
/* Writes a number of this row's type as a user would write it. */
void setting_format(const struct setting *row, int64_t value,
                    char out[static SETTINGS_VALUE_BYTES]);
/* Writes "--foo-bar" without the dashes. */
void setting_flag_name(const struct setting *row, char out[static SETTINGS_FLAG_BYTES]);

struct settings_flags {
    const char *texts[SETTINGS_MAX]; /* text given for row i, in argv; NULL: not given */
    int rest;                        /* index of the first word that is no flag */
    bool help;                       /* that word is --help or -h */
};

/* Parses the flags up to the first word that is none, or to --help or -h. */
int settings_parse_flags(int argc, char **argv, struct settings_flags *ret, struct err *e);

/* -- .env */

#define DOTENV_BYTES   65536 /* size of the file: it holds settings, not data */
#define DOTENV_ENTRIES 256

struct dotenv {
    char *text; /* owned; keys and values point into it */
    size_t n;
    struct {
        const char *key, *value;
    } entries[DOTENV_ENTRIES];
};

/* Reads a file of KEY=VALUE lines; a file that does not exist gives none.  Lines that are no
 * assignment are an error that names the line and not its text, which may be a secret. */
int dotenv_read(struct dotenv *d, const char *path, struct err *e);
void dotenv_finish(struct dotenv *d);
/* The last value given to key, or NULL. */
const char *dotenv_get(const struct dotenv *d, const char *key);

/* -- rules between settings */

struct settings_warner {
    void (*warn)(const char *text); /* may be NULL */
};
void settings_warn(const struct settings_warner *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Applies the rules that involve more than one setting, and those of paths and lists. */
int settings_check(struct settings *s, const struct settings_warner *w, struct err *e);
/* The rules of networks, and of lists of addresses, networks and registries. */
int settings_check_networks(const struct settings *s, struct err *e);
/* Warns of settings of the predecessors that have no effect here. */
void settings_warn_legacy(const struct dotenv *d, const struct settings_warner *w);
/* Warns of keys in .env that nobody knows. */
void settings_warn_unknown(const struct dotenv *d, const struct settings_warner *w);

/* The entry of names[0..n) that looks most like `text`, or NULL if none comes near. */
const char *settings_nearest(const char *text, const char *const *names, size_t n);
