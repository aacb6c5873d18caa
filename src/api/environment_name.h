/* environment_name: names of environments, and what is said about those that are not there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define ENVIRONMENT_DEFAULT  "default" /* the built-in one */
#define ENVIRONMENT_NAME_MAX 50

/* Letters, digits, '-' and '_', 1 to ENVIRONMENT_NAME_MAX of them. */
bool environment_name_is_valid(const char *name, size_t len);
/* Appends "环境 'NAME'", the name shortened (it is hostile).  0, or -1 as buf_reserve. */
int environment_append_quoted(struct buf *out, const char *name, size_t len);
/* Appends the text of the 404. */
int environment_append_unknown(struct buf *out, const char *name, size_t len);
