/* err: one flat error value that every layer passes upwards.
 *
 * A struct err holds no pointers, so it crosses sockets, clone and out-of-memory unchanged.
 * Functions that can fail return 0 or -1 and take `struct err *e` last; e may be NULL when the
 * caller does not care.  Library code sets an error and returns; only the one who decides what to
 * do about it logs it. */
#pragma once

enum err_code {
    ERR_NONE = 0,
    ERR_INTERNAL,    /* our bug or the kernel's refusal */
    ERR_INVALID,     /* the caller's input is wrong */
    ERR_UNAVAILABLE, /* cannot serve now, may later */
    ERR_LIMIT,       /* a limit would be exceeded */
    ERR_NOT_FOUND,
    ERR_EXISTS, /* the name is taken */
    ERR_CLOSED, /* the peer went away */
};

struct err {
    int code;   /* enum err_code */
    int errnum; /* errno at the first cause, 0 if there was none */
    char text[240];
};

/* Sets *e to {code, errnum, formatted text}; ": strerror(errnum)" is appended if errnum != 0.
 * Always returns -1, so that a function can end with `return err_set(...)`. */
int err_set(struct err *e, enum err_code code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "formatted text: " before the text of *e (cutting the tail if it does not fit).  Always
 * returns -1. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
