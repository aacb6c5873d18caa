/* sources: src/init/line.c src/init/lookup.c */
/* Fuzzes line_split: the words of a plain line, put together again each in quotes, are as many and
 * the same; none of them holds what ends a string; the program's name is written as it is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/line.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[LINE_BYTES], again_text[LINE_BYTES], again[3 * LINE_BYTES];
    static char *words[LINE_WORDS + 1], *again_words[LINE_WORDS + 1];
    char *line = strndup((const char *)data, size);
    size_t len = 0, n;

    CHECK(line != NULL);
    n = line_split(line, text, words);
    CHECK(n <= LINE_WORDS);
    if (n > 0) {
        CHECK(words[n] == NULL && words[0] == text && strstr(line, words[0]) != NULL);
        len = (size_t)snprintf(again, sizeof again, "%s", words[0]);
        for (size_t i = 1; i < n; i++) {
            CHECK(strchr(words[i], '\'') == NULL &&
                  words[i] + strlen(words[i]) < text + LINE_BYTES);
            len += (size_t)snprintf(again + len, sizeof again - len, " '%s'", words[i]);
        }
    }
    if (n > 0 && len < LINE_BYTES) {
        CHECK(line_split(again, again_text, again_words) == n);
        for (size_t i = 0; i < n; i++)
            CHECK(strcmp(words[i], again_words[i]) == 0);
    }
    free(line);
    return 0;
}
