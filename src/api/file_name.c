/* file_name: judges names of input files.  Runs in the server on hostile bytes that are valid
 * UTF-8; what passes is still created by init with the sandbox's own authority only. */
#include "api/file_name.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

/* "CON", "lpt1.txt": whatever stands before the last dot counts. */
static bool is_windows_device(const char *s, size_t len)
{
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL"};
    const char *dot = memrchr(s, '.', len);
    if (dot && dot != s)
        len = (size_t)(dot - s);
    for (size_t i = 0; len == 3 && i < sizeof devices / sizeof devices[0]; i++) {
        if (strncasecmp(s, devices[i], 3) == 0)
            return true;
    }
    return len == 4 && s[3] >= '1' && s[3] <= '9' &&
           (strncasecmp(s, "COM", 3) == 0 || strncasecmp(s, "LPT", 3) == 0);
}

static const char *component_fault(const char *s, size_t len)
{
    if (len == 0)
        return "has an empty part";
    if (len > LIMIT_FILE_NAME)
        return "is longer than 255 bytes";
    if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
        return "has a part . or ..";
    if (is_windows_device(s, len))
        return "is a reserved device name";
    return NULL;
}

const char *file_name_fault(const char *name, size_t len)
{
    if (len == 0)
        return "is empty";
    if (len > LIMIT_FILE_PATH)
        return "is longer than 1024 bytes";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7F)
            return "has a control character";
        if (strchr("<>:\"|?*", c))
            return "has one of < > : \" | ? *";
    }
    if (name[0] == '/')
        return "is absolute";
    if (memmem(name, len, "..\\", 3))
        return "has ..\\";
    unsigned depth = 0;
    for (const char *s = name, *end = name + len;; s++) {
        const char *slash = memchr(s, '/', (size_t)(end - s));
        const char *fault = component_fault(s, (size_t)((slash ? slash : end) - s));
        if (fault)
            return fault;
        if (++depth > LIMIT_FILE_DEPTH)
            return "is nested deeper than 16 folders";
        if (!slash)
            return NULL;
        s = slash;
    }
}

/* '/' sorts before every other byte of a good name, so a folder's name stands directly before the
 * names below it. */
static int compare(const void *a, const void *b)
{
    const unsigned char *x = *(const unsigned char *const *)a;
    const unsigned char *y = *(const unsigned char *const *)b;
    while (*x && *x == *y) {
        x++;
        y++;
    }
    int left = *x == '/' ? 1 : *x, right = *y == '/' ? 1 : *y;
    return left - right;
}

const char *file_names_collide(const char **names, size_t n, const char **ret_other)
{
    qsort(names, n, sizeof *names, compare);
    for (size_t i = 1; i < n; i++) {
        size_t len = strlen(names[i - 1]);
        if (strncmp(names[i - 1], names[i], len) != 0)
            continue;
        if (names[i][len] == '\0' || names[i][len] == '/') {
            *ret_other = names[i - 1];
            return names[i];
        }
    }
    return NULL;
}
