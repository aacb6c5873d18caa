/* sources: src/api/se_text.c src/api/se_path.c src/api/text.c src/base/buf.c src/base/str.c */
/* libs: jansson */
/* Fuzzes the decoder of files' pieces and the judge of file names: a piece becomes JSON and takes
 * at least one byte; a path that passes has no part . or .. and is no longer than the name. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/se_path.h"
#include "api/se_text.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *exact_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static void check_piece(struct se_text *t, const char *bytes, size_t want, size_t len)
{
    struct buf out = {0};
    size_t used = 0;
    CHECK(se_text_append(t, &out, bytes, want, len, &used) == 0);
    CHECK(used >= 1 && used <= len);
    json_t *text = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CHECK(json_is_string(text));
    json_decref(text);
    buf_finish(&out);
}

static void check_path(const char *name, size_t len)
{
    char *path = malloc(len + 1);
    CHECK(path);
    if (!se_path_join(name, len, path)) {
        CHECK(strlen(path) <= len && path[0] != '/');
        CHECK(strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0);
        CHECK(!strstr(path, "/../") && !strstr(path, "//"));
        CHECK(se_path_type(path) && se_path_base(path));
        (void)se_path_is_text(path);
        (void)se_path_preview(path);
    }
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct se_text *decoder;
    if (!decoder)
        decoder = se_text_create();
    char *bytes = exact_copy(data, size);
    if (size > 0)
        check_piece(decoder, bytes, size, size);
    if (size > SE_TEXT_AHEAD)
        check_piece(decoder, bytes, size - SE_TEXT_AHEAD, size);
    check_path(bytes, size);
    free(bytes);
    return 0;
}
