/* sources: src/api/file_headers.c src/api/session_size.c src/api/subprotocol.c src/base/base64.c
 * src/base/buf.c src/base/err.c */
/* Fuzzes names of files on their way into a header, sizes, and what the clients of WebSockets
 * offer: no name breaks out of its header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/file_headers.h"
#include "api/session_size.h"
#include "api/subprotocol.h"

#define FILE_SIZE 1000

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_disposition(const char *name)
{
    struct buf out = {0};
    size_t quotes = 0;
    CHECK(disposition_append(&out, name) == 0);
    for (size_t i = 0; i < out.len; i++) {
        CHECK((unsigned char)out.data[i] >= 0x20 && (unsigned char)out.data[i] < 0x7F);
        CHECK(out.data[i] != '\\');
        quotes += out.data[i] == '"';
    }
    CHECK(quotes == 2);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[SUBPROTOCOL_KEY_MAX];
    uint64_t bytes;
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_disposition(text);
    if (session_size_parse(text, size, FILE_SIZE, &bytes) == 0)
        CHECK(bytes > 0);
    if (subprotocol_key(text, key))
        CHECK(*key && strlen(key) < sizeof key);
    (void)subprotocol_agreed(text);
    free(text);
    return 0;
}
