/* file_tar: see the header.
 *
 * Runs in a child of a sandbox's init.  Keeps no state, allocates nothing, and must never read
 * beyond the block or the records it was given. */
#include "init/file_tar.h"

#include <stdio.h>
#include <string.h>

/* pax(1), "ustar Interchange Format" */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

/* An octal number, or GNU's binary one (first bit set, big-endian).  0 or -1. */
static int parse_number(const char *field, size_t len, uint64_t *ret)
{
    const unsigned char *p = (const unsigned char *)field;
    uint64_t value = 0;
    size_t i = 0;

    if (p[0] == 0x80) {
        for (i = 1; i < len; i++) {
            if (value >> 55 != 0)
                return -1;
            value = value << 8 | p[i];
        }
        *ret = value;
        return 0;
    }
    while (i < len && p[i] == ' ')
        i++;
    for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(p[i] - '0'); /* 12 digits at most: 36 bits */
    if (i < len && p[i] != ' ' && p[i] != '\0')
        return -1;
    *ret = value;
    return 0;
}

static uint32_t block_sum(const char *block)
{
    uint32_t sum = 8 * ' ';

    for (size_t i = 0; i < TAR_BLOCK; i++) {
        if (i < offsetof(struct ustar, chksum) || i >= offsetof(struct ustar, typeflag))
            sum += (unsigned char)block[i];
    }
    return sum;
}

static void copy_field(char *out, const char *field, size_t len)
{
    size_t n = strnlen(field, len);

    memcpy(out, field, n);
    out[n] = '\0';
}

int tar_parse(const char block[static TAR_BLOCK], struct tar_member *ret)
{
    uint64_t sum, mode, mtime = 0;
    size_t n = 0;
    struct ustar h;

    memcpy(&h, block, sizeof h);
    if (h.name[0] == '\0' && block_sum(block) == 8 * ' ')
        return 0;
    if (parse_number(h.chksum, sizeof h.chksum, &sum) < 0 || sum != block_sum(block) ||
        parse_number(h.mode, sizeof h.mode, &mode) < 0 ||
        parse_number(h.size, sizeof h.size, &ret->size) < 0 || ret->size > TAR_SIZE)
        return -1;
    parse_number(h.mtime, sizeof h.mtime, &mtime); /* one before 1970 does not matter */
    ret->type = h.typeflag == '\0' || h.typeflag == '7' ? '0' : h.typeflag;
    ret->mode = (uint32_t)mode & 07777;
    ret->modified_s = mtime < TAR_SIZE ? (int64_t)mtime : 0;
    /* GNU's own format ("ustar  ") has other things where ustar has the prefix. */
    if (memcmp(h.magic, "ustar", sizeof h.magic) == 0 && h.prefix[0] != '\0') {
        copy_field(ret->name, h.prefix, sizeof h.prefix);
        n = strlen(ret->name);
        ret->name[n++] = '/';
    }
    copy_field(ret->name + n, h.name, sizeof h.name);
    copy_field(ret->target, h.linkname, sizeof h.linkname);
    n = strlen(ret->name);
    if (ret->type == '0' && n > 0 && ret->name[n - 1] == '/')
        ret->type = '5'; /* as before ustar */
    if (ret->type != '0' && (ret->type == '1' || ret->type == '2' || ret->type == '5'))
        ret->size = 0;
    return 1;
}

/* A decimal number in text[0, len), up to a '.' or the end.  0 or -1. */
static int parse_decimal(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i;

    for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
        if (value > TAR_SIZE)
            return -1;
    }
    if (i == 0 || (i < len && text[i] != '.'))
        return -1;
    *ret = value;
    return 0;
}

static int set_name(char out[static TAR_NAME], const char *value, size_t len)
{
    if (len == 0 || len >= TAR_NAME || memchr(value, '\0', len) != NULL)
        return -1;
    memcpy(out, value, len);
    out[len] = '\0';
    return 0;
}

static int apply_record(struct tar_member *m, const char *key, size_t key_len, const char *value,
                        size_t len)
{
    uint64_t number;

    if (key_len == 4 && memcmp(key, "path", 4) == 0)
        return set_name(m->name, value, len);
    if (key_len == 8 && memcmp(key, "linkpath", 8) == 0)
        return set_name(m->target, value, len);
    if (key_len == 4 && memcmp(key, "size", 4) == 0)
        return m->type == '0' ? parse_decimal(value, len, &m->size) : 0;
    if (key_len == 5 && memcmp(key, "mtime", 5) == 0 && parse_decimal(value, len, &number) == 0)
        m->modified_s = (int64_t)number;
    if (key_len > 11 && memcmp(key, "GNU.sparse.", 11) == 0)
        return -1; /* its bytes are not the file's */
    return 0;
}

int tar_apply(struct tar_member *m, const char *records, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *blank = memchr(records + at, ' ', len - at), *equal;
        uint64_t size;
        size_t key;

        if (blank == NULL ||
            parse_decimal(records + at, (size_t)(blank - records) - at, &size) < 0 ||
            size > len - at)
            return -1;
        key = (size_t)(blank - records) + 1;
        if (size == 0 || at + size <= key || records[at + size - 1] != '\n')
            return -1;
        equal = memchr(records + key, '=', at + size - 1 - key);
        if (equal == NULL ||
            apply_record(m, records + key, (size_t)(equal - records) - key, equal + 1,
                         at + size - 1 - (size_t)(equal + 1 - records)) < 0)
            return -1;
        at += size;
    }
    return 0;
}

/* -- writing */

static void fill_header(struct ustar *h, const char *name, const struct tar_member *m, char type,
                        uint64_t size)
{
    char number[16];

    memset(h, 0, sizeof *h);
    memcpy(h->name, name, strnlen(name, sizeof h->name));
    snprintf(h->mode, sizeof h->mode, "%07o", m->mode & 07777);
    memcpy(h->uid, "0001750", 8); /* 1000, as everything in a workspace */
    memcpy(h->gid, "0001750", 8);
    snprintf(number, sizeof number, "%011llo",
             (unsigned long long)(size >> 33 == 0 ? size : 0)); /* else pax tells it */
    memcpy(h->size, number, sizeof h->size);
    snprintf(number, sizeof number, "%011llo",
             (unsigned long long)(m->modified_s > 0 ? m->modified_s : 0) & 077777777777);
    memcpy(h->mtime, number, sizeof h->mtime);
    h->typeflag = type;
    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    if (type == '1' || type == '2')
        memcpy(h->linkname, m->target, strnlen(m->target, sizeof h->linkname));
    snprintf(number, sizeof number, "%06o", block_sum((const char *)h));
    memcpy(h->chksum, number, 7);
    h->chksum[7] = ' ';
}

/* A record counts its own length. */
static size_t add_record(char *out, const char *key, const char *value)
{
    size_t bare = strlen(key) + strlen(value) + 3, len = bare + 1;
    char digits[24];

    while ((size_t)snprintf(digits, sizeof digits, "%zu", len) + bare != len)
        len = bare + strlen(digits);
    return (size_t)sprintf(out, "%zu %s=%s\n", len, key, value);
}

size_t tar_format(const struct tar_member *m, char out[static TAR_HEAD])
{
    char *records = out + TAR_BLOCK;
    size_t n = 0, head = 0;
    char number[24];

    if (strlen(m->name) > sizeof((struct ustar *)0)->name)
        n += add_record(records + n, "path", m->name);
    if ((m->type == '1' || m->type == '2') &&
        strlen(m->target) > sizeof((struct ustar *)0)->linkname)
        n += add_record(records + n, "linkpath", m->target);
    if (m->size >> 33 != 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)m->size);
        n += add_record(records + n, "size", number);
    }
    if (n > 0) {
        struct tar_member about = {.mode = 0644};

        fill_header((struct ustar *)out, "pax", &about, 'x', n);
        head = TAR_BLOCK + (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        memset(records + n, 0, head - TAR_BLOCK - n);
    }
    fill_header((struct ustar *)(out + head), m->name, m, m->type, m->size);
    return head + TAR_BLOCK;
}
