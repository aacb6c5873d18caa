/* json_scan: checks that bytes are one strict JSON text (RFC 8259), and notes its long strings.
 *
 * The checks are ours because the answer names the character at which a text goes wrong, in the
 * words and counts of Python's json module, and because what a text costs in memory must be bounded
 * before a tree is built of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JSON_VALUES_MAX 100000u /* values in one text: a tree takes about 100 bytes for each */
#define JSON_NAME_MAX   16384u  /* bytes of an object's name as written */
#define JSON_MEMBER_MAX 32u     /* bytes of a top-level name that a fault tells, NUL included */
#define JSON_NUMBER_MAX 1024u   /* characters of a number as written */

/* A string value as written, without its quotes. */
struct json_literal {
    size_t start, end; /* offsets into the text */
    bool escaped;      /* contains a backslash */
};

struct json_scan {
    struct json_literal *literals; /* string values of at least min_literal bytes, in order */
    size_t nliterals;
    const char *fault;  /* static: what is wrong, when the scan failed */
    size_t fault_chars; /* where: characters from the start */
    /* jansson cannot hold a name with NUL, so it is a fault here; unlike the others it is one of
     * the content, and this is the top-level member it lies in ("" at the top), cut. */
    bool nul_in_name;
    bool out_of_memory; /* nothing is wrong with the text */
    char fault_member[JSON_MEMBER_MAX];
};

/* Scans `text`.  0; or -1 with fault and fault_chars set.  Out of memory is one as well.
 * json_scan_finish either way. */
int json_scan(const char *text, size_t len, size_t min_literal, struct json_scan *ret);
void json_scan_finish(struct json_scan *scan);

/* Whether `text` is one strict JSON text, of any number of values: for text that is handed on as it
 * is and of which no tree is built. */
bool json_is_valid(const char *text, size_t len);
