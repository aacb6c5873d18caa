/* sources: src/api/file_name.c */
/* Fuzzes file_name: a name that passes is relative, has only sound components, and resolves to
 * itself; a set that passes can be created file by file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/file_name.h"
#include "base/limits.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { NAMES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_good(const char *name, size_t len)
{
    CHECK(len > 0 && len <= LIMIT_FILE_PATH && name[0] != '/' && name[len - 1] != '/');
    CHECK(!memchr(name, '\0', len));
    char *copy = strndup(name, len);
    CHECK(copy);
    size_t depth = 0;
    char *rest = copy, *part;
    while ((part = strsep(&rest, "/"))) {
        CHECK(*part && strlen(part) <= LIMIT_FILE_NAME);
        CHECK(strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
        depth++;
    }
    CHECK(depth <= LIMIT_FILE_DEPTH);
    free(copy);
}

/* Whether a is b, or a folder of b. */
static int contains(const char *a, const char *b)
{
    size_t n = strlen(a);
    return strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/');
}

static void check_set(char **names, size_t n)
{
    const char *sorted[NAMES_MAX], *other;
    memcpy(sorted, names, n * sizeof *sorted);
    const char *clash = file_names_collide(sorted, n, &other);
    CHECK(!clash || contains(other, clash));
    for (size_t i = 0; !clash && i < n; i++)
        for (size_t j = 0; j < n; j++)
            CHECK(i == j || !contains(names[i], names[j]));
}

/* The input is a list of names, one a line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *names[NAMES_MAX];
    size_t n = 0;
    const char *s = (const char *)data, *end = s + size;
    while (s < end && n < NAMES_MAX) {
        const char *newline = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((newline ? newline : end) - s);
        if (!file_name_fault(s, len)) {
            check_good(s, len);
            names[n] = strndup(s, len);
            CHECK(names[n++]);
        }
        s += len + 1;
    }
    check_set(names, n);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    return 0;
}
