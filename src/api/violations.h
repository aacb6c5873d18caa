/* violations: what is wrong with a request body, as the list FastAPI answers with status 422
 * (contract A1.1; pydantic 2.6 types, words and addresses).  No HTTP here: it runs on the thread
 * pool too. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "api/json_lift.h"
#include "base/buf.h"

/* Where in the request: ["body", parts...].  Strings are not copied. */
struct place {
    const char *root;  /* NULL: "body" */
    const char *group; /* NULL: directly in the body */
    const char *name;  /* NULL: the group (or body) itself */
    long index;        /* -1: not an element of an array */
    bool key;          /* the name itself is at fault: "[key]" is added */
};
#define PLACE_BODY          ((struct place){.index = -1})
#define PLACE_QUERY(n)      ((struct place){.root = "query", .name = (n), .index = -1})
#define PLACE(n)            ((struct place){.name = (n), .index = -1})
#define PLACE_IN(g, n)      ((struct place){.group = (g), .name = (n), .index = -1})
#define PLACE_KEY(g, n)     ((struct place){.group = (g), .name = (n), .index = -1, .key = true})
#define PLACE_ELEMENT(n, i) ((struct place){.name = (n), .index = (i)})

struct violations {
    json_t *list;                 /* array; NULL while empty */
    const struct json_lift *lift; /* to show lifted inputs; may be NULL */
    bool without_url;             /* as FastAPI 0.115 writes them (contract B1) */
    bool out_of_memory;
};

/* Adds one.  `type` is pydantic's, `input` what was sent (borrowed; NULL: null; shown shortened),
 * `ctx` may be NULL and is taken over. */
void violation_add(struct violations *v, const char *type, struct place place, const json_t *input,
                   json_t *ctx, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The one for bytes that json_lift_parse refused. */
void violation_add_unparsed(struct violations *v, const struct json_lift *refused);
/* The one for a body of another content type. */
void violation_add_text(struct violations *v, const char *body, size_t len);

bool violations_any(const struct violations *v);
/* Appends {"detail":[...]}.  0, or -1 when out of memory. */
int violations_write(const struct violations *v, struct buf *out);
void violations_finish(struct violations *v);
