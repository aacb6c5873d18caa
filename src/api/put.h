/* put: objects of JSON, written member by member. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What is being written.  Once something did not fit, `failed` stays set. */
struct writer {
    struct buf *out;
    bool failed;
};

/* Text of ours, as it is. */
void put(struct writer *w, const char *text);
/* A member's name, and the comma before it but at the beginning of an object. */
void put_name(struct writer *w, const char *name);
/* Text of anybody's; NULL is null. */
void put_text(struct writer *w, const char *name, const char *text);
void put_bytes(struct writer *w, const char *name, const char *text, size_t len);
/* "" is null. */
void put_some(struct writer *w, const char *name, const char *text);
void put_bool(struct writer *w, const char *name, bool value);
void put_number(struct writer *w, const char *name, uint64_t value);
void put_signed(struct writer *w, const char *name, int64_t value);
void put_thousandths(struct writer *w, const char *name, uint64_t value);
/* 0 is null. */
void put_if_set(struct writer *w, const char *name, uint64_t value);
/* Milliseconds since 1970, as RFC 3339 has it; 0 is null. */
void put_date(struct writer *w, const char *name, int64_t ms);
/* JSON that is one already; NULL or "" is {}. */
void put_object(struct writer *w, const char *name, const char *json);
