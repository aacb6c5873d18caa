/* file_name: which names an input file may have. */
#pragma once

#include <stddef.h>

/* Why `name` may not be the name of a file in the workspace: static English text, or NULL if it
 * may.  A good name is relative, is made of at most LIMIT_FILE_DEPTH components of 1 to
 * LIMIT_FILE_NAME bytes, none of them "." or "..", and keeps the predecessor's rules: no control
 * character, none of < > : " | ? *, no "..\", and no component that Windows takes for a device. */
const char *file_name_fault(const char *name, size_t len);

/* Checks that no name of the set (good names, NUL-terminated) is another one's folder, and that
 * none occurs twice.  NULL if so; else one that does, and in *ret_other the name it collides with.
 * The array is sorted by this. */
const char *file_names_collide(const char **names, size_t n, const char **ret_other);
