/* se_command: command lines and file names of the predecessor's execute and execute_code (contract
 * B6.1).  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends `command` as it is, then each of `args` (NULL-terminated; may be NULL) behind a blank,
 * quoted so that a shell takes it for one word as it stands; and a NUL.  0, or -1 when out of
 * memory. */
int se_command_line(struct buf *out, const char *command, const char *const *args);

/* Whether the first word of the command is one of `allowed`, names with commas between them; an
 * empty list allows all. */
bool se_command_is_allowed(const char *command, const char *allowed);

struct se_language {
    const char *name, *extension;
    const char *program; /* argv[0] */
};
/* NULL: there is no such script type. */
const struct se_language *se_language_find(const char *name, size_t len);

/* Appends the file name of a script and a NUL: `given`, with the extension if it has another one,
 * or where it is empty "script_<number>.<extension>", of the number `unique`.  0 or -1. */
int se_script_name(struct buf *out, const struct se_language *l, const char *given, size_t len,
                   uint64_t unique);
