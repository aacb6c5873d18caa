/* sources: src/service/environment_learn.c */
/* Fuzzes the names of modules that runs say they import: what is learned is a bounded list of
 * names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/environment_learn.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line is what one run says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct environment_learn l = {0};
    char out[LEARN_LIST], *text = malloc(size + 1), *rest, *line;

    CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL)
        environment_learn_note(&l, line);
    environment_learn_best(&l, out);
    CHECK(strlen(out) < LEARN_LIST);
    CHECK(strspn(out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,") ==
          strlen(out));
    CHECK(strstr(out, ",,") == NULL && strstr(out, "..") == NULL);
    environment_learn_seed(&l, out);
    free(text);
    return 0;
}
