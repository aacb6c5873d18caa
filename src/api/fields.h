/* fields: reads typed members of a JSON object the way pydantic 2.6 does in its lenient mode, and
 * adds a violation for each that is not what it should be. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/json_lift.h"
#include "api/violations.h"

struct fields {
    const struct json_lift *lift;
    struct violations violations;
};

/* Each returns 0 and sets *ret, or adds a violation, leaves *ret alone and returns -1.  None
 * accepts null: whether a member may be null or absent is the caller's to ask first. */
int field_string(struct fields *f, struct place place, const json_t *value, struct json_slice *ret);
/* Integers, reals without a fraction, true and false, and strings that Python reads as one. */
int field_int(struct fields *f, struct place place, const json_t *value, int64_t *ret);
/* Numbers, true and false, and strings of a decimal number; never infinite. */
int field_real(struct fields *f, struct place place, const json_t *value, double *ret);
/* true and false, 0 and 1, and their usual words. */
int field_bool(struct fields *f, struct place place, const json_t *value, bool *ret);

/* As field_int, and within [min, max]. */
struct int_range {
    int64_t min, max;
};
int field_int_in(struct fields *f, struct place place, const json_t *value, struct int_range range,
                 int64_t *ret);

/* One of the NULL-terminated `choices`; *ret is its index. */
int field_choice(struct fields *f, struct place place, const json_t *value,
                 const char *const *choices, size_t *ret);

/* The member `name` of the body: NULL when absent, or present as null. */
json_t *field_optional(const json_t *object, const char *name);
