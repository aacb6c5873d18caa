/* fetch_job: what the program that fetches is told on its stdin, and where it runs.  Holds secrets:
 * nothing of it is ever logged. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "service/fetch.h"

struct run_spec;

/* The job as JSON, to be freed; NULL: out of memory. */
char *fetch_job_text(const struct settings *s, const struct fetch_wanted *w,
                     const struct fetch_item *item);
/* The run that does it; takes `text` over.  NULL: out of memory. */
struct run_spec *fetch_job_spec(char *text, uint32_t seconds);
