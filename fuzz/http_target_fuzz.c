/* sources: src/http/target.c src/http/field.c src/base/str.c src/base/buf.c */
/* Fuzzes what stands in a request's first line and fields: whatever is accepted is UTF-8, holds no
 * character that could hide another, and decodes to no more than came in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "http/field.h"
#include "http/target.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check_text(const char *text)
{
    size_t len = strlen(text);
    CHECK(utf8_valid_prefix(text, len, NULL) == len);
    return len;
}

static void check_target(const char *text)
{
    struct target t;
    int status = target_parse(&t, text);
    CHECK(status == 0 || status == 400 || status == 414);
    CHECK((status == 414) == (strlen(text) > LIMIT_HTTP_TARGET));
    if (status != 0) {
        CHECK(!t.storage && !t.params && t.nparams == 0);
        return;
    }
    CHECK(t.path[0] == '/' || strcmp(t.path, "*") == 0);
    size_t total = check_text(t.path);
    for (size_t i = 0; i < t.nparams; i++) {
        total += check_text(t.params[i].name) + check_text(t.params[i].value);
        CHECK(target_param(&t, t.params[i].name));
    }
    CHECK(total <= strlen(text) + 1);
    target_finish(&t);
}

static void check_fields(const char *text)
{
    size_t length;
    if (field_parse_length(text, &length) == 0)
        CHECK(text[0] && !text[strspn(text, "0123456789")]);
    if (field_is_sendable("X", text))
        CHECK(text[0] && !strpbrk(text, "\r\n"));
    if (field_is_sendable(text, "x"))
        CHECK(!strpbrk(text, " :\r\n\t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    CHECK(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_target(text);
    check_fields(text);
    free(text);
    return 0;
}
