/* session_path: judges paths of clients, so that the usual mistakes get a clear answer.  It is not
 * what keeps a call within the workspace: that is openat2(2) in the sandbox. */
#include "api/session_path.h"

#include <string.h>

#include "base/limits.h"

#define PATH_BYTES_MAX 4095 /* PATH_MAX without its NUL */

const char *session_path_fault(const char *path)
{
    size_t len = strlen(path);
    if (len > PATH_BYTES_MAX)
        return "path has more than 4095 bytes";
    if (*path == '/')
        return "path must be relative to the workspace";
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part > LIMIT_FILE_NAME)
            return "a part of the path has more than 255 bytes";
        if (part == 2 && memcmp(path, "..", 2) == 0)
            return "path must not contain '..'";
        path += part;
        path += *path == '/';
    }
    return NULL;
}
