/* sources: src/service/build_facts.c */
/* libs: jansson */
/* Fuzzes what a build says about itself: whatever it is, the facts are short texts of the promised
 * form, and the packages are a list in order with the three members. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/build_facts.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_packages(const struct build_facts *f)
{
    json_t *list = json_loads(f->packages, 0, NULL);
    const char *before = "";

    CHECK(json_is_array(list) && json_array_size(list) == f->npackages);
    for (size_t i = 0; i < f->npackages; i++) {
        const json_t *package = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(package, "name"));

        CHECK(name != NULL && strcmp(before, name) <= 0 && json_object_size(package) == 3);
        before = name;
    }
    json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct build_facts f = {0};
    char *text = malloc(size + 1);

    CHECK(text != NULL);
    memcpy(text, data, size);
    build_facts_decode(&f, text, size);
    build_packages_decode(&f, text, size);
    CHECK(strnlen(f.python, sizeof f.python) < sizeof f.python);
    CHECK(f.digest[0] == '\0' || strlen(f.digest) == 71);
    if (f.packages != NULL)
        check_packages(&f);
    build_facts_finish(&f);
    free(text);
    return 0;
}
