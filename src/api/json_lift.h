/* json_lift: JSON text to a jansson tree without copying its long strings.
 *
 * jansson reads a string into a buffer that doubles and then copies it: a 10 MB file in base64
 * would cost 40 MB.  Here each string value of JSON_LIFT_MIN bytes or more is unescaped where it
 * stands, in the text itself, and the tree gets a short stand-in: 128 random bits, drawn after the
 * text had arrived, and a number.  Nobody can write a string that is taken for a stand-in, and
 * json_lift_string() gives the true one of either kind. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/json_scan.h"

#define JSON_LIFT_MIN 4096 /* bytes as written from which a string value is lifted */

struct json_slice {
    char *data; /* in the text; not terminated; the holder of the text may change it */
    size_t len;
};

struct json_lift {
    json_t *root; /* owned */
    struct json_slice *slices;
    size_t nslices;
    char nonce[33];
    const char *fault;  /* what was wrong with the text: static, or fault_text */
    size_t fault_chars; /* characters from its start */
    char fault_text[160];
    bool out_of_memory; /* nothing is wrong with the text */
    bool nul_in_name;   /* see json_scan.h */
    char fault_member[JSON_MEMBER_MAX];
};

/* Parses `text`, which it may overwrite and which must outlive *ret.  Any JSON value may be at the
 * top; duplicate names in an object are a fault.  Integers beyond 64 bits make all integers reals.
 * 0, or -1 with fault and fault_chars set. json_lift_finish either way. */
int json_lift_parse(char *text, size_t len, size_t min_literal, struct json_lift *ret);
void json_lift_finish(struct json_lift *lift);

/* The bytes of a JSON string of this tree, lifted or not (then they belong to the tree and must not
 * be changed).  *ret_lifted, when given, tells which. */
struct json_slice json_lift_string(const struct json_lift *lift, const json_t *string,
                                   bool *ret_lifted);
