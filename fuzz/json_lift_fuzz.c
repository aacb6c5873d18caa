/* sources: src/api/json_lift.c src/api/json_scan.c src/base/str.c src/base/buf.c */
/* libs: jansson */
/* Fuzzes json_lift against plain jansson on the same text: what is accepted has the same tree with
 * the same strings, whatever is lifted, and jansson accepts nothing that is refused but what we
 * refuse on purpose. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_lift.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct json_lift *lift, const json_t *ours, const json_t *plain);

static bool same_array(const struct json_lift *lift, const json_t *ours, const json_t *plain)
{
    size_t n = json_array_size(plain);
    if (json_array_size(ours) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!same(lift, json_array_get(ours, i), json_array_get(plain, i)))
            return false;
    return true;
}

static bool same_object(const struct json_lift *lift, const json_t *ours, json_t *plain)
{
    if (json_object_size(ours) != json_object_size(plain))
        return false;
    for (void *i = json_object_iter(plain); i; i = json_object_iter_next(plain, i)) {
        const char *name = json_object_iter_key(i);
        json_t *value = json_object_iter_value(i);
        const json_t *other = json_object_get(ours, name);
        if (!other || !same(lift, other, value))
            return false;
    }
    return true;
}

static bool same(const struct json_lift *lift, const json_t *ours, const json_t *plain)
{
    if (json_typeof(ours) != json_typeof(plain))
        return false;
    if (json_is_string(plain)) {
        struct json_slice s = json_lift_string(lift, ours, NULL);
        return s.len == json_string_length(plain) &&
               memcmp(s.data, json_string_value(plain), s.len) == 0;
    }
    if (json_is_array(plain))
        return same_array(lift, ours, plain);
    if (json_is_object(plain))
        return same_object(lift, ours, (json_t *)plain);
    return json_equal((json_t *)ours, (json_t *)plain);
}

static bool refused_on_purpose(const char *fault)
{
    static const char *const faults[] = {"Nested too deeply", "Too many values", "Name too long",
                                         "Number too long"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strcmp(faults[i], fault) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    if (size == 0)
        return 0;
    size_t min = data[0] % 32; /* lift often */
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    char *copy = malloc(len + 1);
    CHECK(copy);
    memcpy(copy, text, len);

    struct json_lift lift;
    json_t *plain = json_loadb(text, len, flags, NULL);
    int result = json_lift_parse(copy, len, min, &lift);
    if (result < 0) {
        CHECK(lift.fault && lift.fault_chars <= len);
        /* jansson takes a NUL byte for the end of the text. */
        CHECK(!plain || refused_on_purpose(lift.fault) || memchr(text, '\0', len));
    } else if (plain) {
        CHECK(same(&lift, lift.root, plain));
    } else {
        /* The one thing that we accept and plain jansson does not: integers beyond 64 bits. */
        plain = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, NULL);
        CHECK(plain && same(&lift, lift.root, plain));
    }
    json_decref(plain);
    json_lift_finish(&lift);
    free(copy);
    return 0;
}
