/* log: one line per event on stderr, key=value on a terminal and JSON otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON }; /* AUTO: text if stderr is a terminal */

/* The program name becomes the field "part".  May be called again. */
void log_init(const char *part, enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
/* Whether lines are JSON objects, as settled by log_init(). */
bool log_is_json(void);
/* "debug", "info", "warning", "error" in any case (also "warn", "critical").  0 or -1. */
int log_level_parse(const char *text, enum log_level *ret_level);

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_REAL, LOG_FIELD_BOOL } type;
    union {
        const char *str; /* escaped when written; NULL is written as null */
        int64_t num;
        double real;
    };
};
#define LOG_STR(k, v)  ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .str = (v)})
#define LOG_INT(k, v)  ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .num = (v)})
#define LOG_REAL(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_REAL, .real = (v)})
#define LOG_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .num = (v)})

/* Writes one line with time, level, part, event and the fields, in one write(2).  Values may be
 * hostile text. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, int n);
#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                  \
            log_write(level, event, log_fields_,                                                   \
                      (int)(sizeof log_fields_ / sizeof log_fields_[0]));                          \
        }                                                                                          \
    } while (0)
