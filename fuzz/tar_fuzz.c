/* sources: src/init/file_tar.c */
/* longest: 16384 */
/* share: 3 */
/* Fuzzes the headers and records of tar archives: names are terminated, sizes bounded, and what is
 * written of a member that was read is read back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "init/file_tar.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_member(const struct tar_member *m)
{
    CHECK(memchr(m->name, '\0', sizeof m->name) != NULL);
    CHECK(memchr(m->target, '\0', sizeof m->target) != NULL);
    CHECK(m->size <= TAR_SIZE && m->mode <= 07777);
}

static void check_written(const struct tar_member *m)
{
    static struct tar_member again;
    static char out[TAR_HEAD];
    size_t len = tar_format(m, out);

    CHECK(len % TAR_BLOCK == 0 && len <= sizeof out);
    CHECK(tar_parse(out + len - TAR_BLOCK, &again) == 1);
    if (len == TAR_BLOCK && m->type == '0' && again.type == '0')
        CHECK(again.size == m->size && again.mode == m->mode && strcmp(again.name, m->name) == 0);
}

/* The first block is a header, what follows it are records. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tar_member m;
    char *records;

    if (size < TAR_BLOCK || tar_parse((const char *)data, &m) != 1)
        return 0;
    check_member(&m);
    size -= TAR_BLOCK;
    records = malloc(size > 0 ? size : 1); /* of its own, so that ASan sees a byte too many */
    CHECK(records != NULL);
    memcpy(records, data + TAR_BLOCK, size);
    tar_apply(&m, records, size);
    check_member(&m);
    if (m.name[0] != '\0' && strchr("0125", m.type) != NULL)
        check_written(&m);
    free(records);
    return 0;
}
