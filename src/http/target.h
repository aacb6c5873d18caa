/* target: the request target (what stands between method and version), taken apart and decoded. */
#pragma once

#include <stddef.h>

struct target_param {
    const char *name;
    const char *value; /* "" when there is no '=' */
};

struct target {
    char *storage; /* owned; everything below points into it */
    const char *path;
    struct target_param *params; /* owned */
    size_t nparams;
};

/* Decodes `raw`: origin form ("/a?b=c"), absolute form ("http://host/a") or "*".  In the query '+'
 * is a space.  Returns 0, or the HTTP status to refuse it with: 400 for a broken or NUL-hiding
 * percent sequence, text that is not UTF-8 or another form, 414 when it is longer than
 * LIMIT_HTTP_TARGET, 503 when out of memory; *t is empty then. */
int target_parse(struct target *t, const char *raw);
/* Frees the memory; accepts a zeroed struct. */
void target_finish(struct target *t);

/* The value of the first parameter called `name`, NULL if absent. */
const char *target_param(const struct target *t, const char *name);
