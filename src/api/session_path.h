/* session_path: names of files as clients write them.  Pure. */
#pragma once

#include <stddef.h>

/* What is wrong with a path that shall be relative to the workspace ("" is the workspace), or NULL:
 * static words.  Whether it leads out over a link is the sandbox's to say. */
const char *session_path_fault(const char *path);
