/* sources: src/wire/session.c src/base/err.c */
/* share: 4 */
/* Fuzzes session: what is taken for a message of init's has its fixed part and lies within the
 * input, and strings are strings of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/session.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_strings(const char *data, size_t len)
{
    const char *strings[32];
    size_t total = 0;
    int n = session_strings(data, len, strings, 32);

    CHECK(n >= -1 && n <= 32);
    for (int i = 0; i < n; i++) {
        CHECK(strings[i] == data + total);
        total += strlen(strings[i]) + 1;
    }
    CHECK(n == -1 || total == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* of its own, so that ASan sees a byte too many */
    struct session_message m;

    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    check_strings(copy, size);
    if (session_parse(copy, size, &m, NULL) == 0) {
        size_t fixed = size - sizeof m.head - m.text_len;

        CHECK(size <= SESSION_MESSAGE_MAX && m.head.op >= SESSION_UP);
        CHECK(m.text + m.text_len == copy + size && fixed <= sizeof m.ended);
        CHECK(memcmp(&m.head, copy, sizeof m.head) == 0);
        CHECK(memcmp(&m.ended, copy + sizeof m.head, fixed) == 0);
        CHECK(m.text_len == 0 || m.head.op == SESSION_ENDED || m.head.op == SESSION_FAILED);
    }
    free(copy);
    return 0;
}
