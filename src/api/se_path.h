/* se_path: file names as the predecessor's clients give them, relative to a workspace or absolute
 * (contract B1).  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SE_PATH_ESCAPES "child path would escape parent directory"

/* The predecessor's safe_join: makes `child` (of any bytes) relative to the workspace: leading
 * slashes, empty parts and parts "." go.  `ret` has room for len + 1 bytes and gets a terminated
 * path, "" for the workspace itself.  NULL, or the predecessor's words for what is wrong. */
const char *se_path_join(const char *child, size_t len, char *ret);

/* What a listing calls the type of a file: the name's text behind its last dot, or "unknown". */
const char *se_path_type(const char *path);
/* Whether readfile gives such a file as text, by the extension. */
bool se_path_is_text(const char *path);
/* The media type with which a file of this name is shown; NULL: it is not. */
const char *se_path_preview(const char *path);
/* What stands behind the last slash. */
const char *se_path_base(const char *path);
