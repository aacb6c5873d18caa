/* sources: src/service/resolve.c src/base/err.c */
/* Fuzzes the words that name a base: a client's texts never become more than a bounded list of
 * candidates with names that are safe as words of a command line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_image(void *data, const char *name)
{
    return strlen(name) % 2 == *(const size_t *)data % 2;
}

/* Two lines: base_image and python_version. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *version = text, *image;
    struct resolve_question q = {.host_python = "3.11", .has_image = has_image, .data = &size};
    struct resolve_answer a;

    CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    image = strsep(&version, "\n");
    q.base_image = image;
    q.python_version = version != NULL ? version : "";
    if (resolve_base(&q, &a, NULL) == 0) {
        CHECK(a.n > 0 && a.n <= RESOLVE_CANDIDATES);
        CHECK(strlen(a.looked) < sizeof a.looked);
        for (size_t i = 0; i < a.n; i++)
            CHECK(a.candidates[i].kind == BASE_HOST || resolve_is_image_name(a.candidates[i].name));
    }
    resolve_is_listed(image, q.python_version, q.python_version);
    free(text);
    return 0;
}
