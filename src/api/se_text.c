/* se_text: decodes pieces of files.  Runs in the server's loop thread on bytes from a workspace,
 * which are hostile; a piece is bounded by its caller.  The C library's table of GBK is loaded at
 * start, since the locked server opens no files. */
#include "api/se_text.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdlib.h>

#include "api/text.h"
#include "base/str.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define PIECE       4096 /* bytes of UTF-8 made at once */

struct se_text {
    iconv_t gbk;
};

struct se_text *se_text_create(void)
{
    struct se_text *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->gbk = iconv_open("UTF-8", "GBK"); /* iconv_open(3) of glibc loads the module at once */
    if (t->gbk != (iconv_t)-1)
        return t;
    free(t);
    return NULL;
}

void se_text_destroy(struct se_text *t)
{
    if (t)
        iconv_close(t->gbk);
    free(t);
}

/* Bytes of the piece's end that begin a character of UTF-8 which goes on in what follows; `valid`
 * bytes before it are good.  0: none does. */
static size_t cut_character(const char *bytes, size_t valid, size_t len)
{
    int32_t code;
    if (valid == len)
        return 0;
    size_t n = utf8_decode(bytes + valid, len - valid, &code);
    return code < 0 ? 0 : n;
}

/* Appends text of `len` bytes in GBK, with one replacement for each byte that is none.  With
 * `cut_at_end` a lead byte at the very end is left alone.  *ret_used bytes were taken. */
static int append_gbk(iconv_t gbk, struct buf *out, char *bytes, size_t len, bool cut_at_end,
                      size_t *ret_used)
{
    char *in = bytes;
    size_t left = len;
    iconv(gbk, NULL, NULL, NULL, NULL);
    while (left > 0) {
        char piece[PIECE], *to = piece;
        size_t room = sizeof piece;
        size_t result = iconv(gbk, &in, &left, &to, &room);
        int error = result == (size_t)-1 ? errno : 0;
        if (buf_append(out, piece, (size_t)(to - piece)) < 0)
            return -1;
        if (error == 0 || error == E2BIG)
            continue;
        if (error == EINVAL && cut_at_end && left == 1 && in > bytes)
            break;
        if (buf_append_str(out, REPLACEMENT) < 0)
            return -1;
        in++;
        left--;
    }
    *ret_used = len - left;
    return 0;
}

/* What is not UTF-8. */
static int append_other(struct se_text *t, struct buf *out, const char *bytes, size_t want,
                        size_t len, size_t *ret_used)
{
    _cleanup_buf_ struct buf copy = {0}, text = {0};
    *ret_used = want;
    if (!t)
        return text_append_json(out, bytes, want);
    /* iconv(3) takes a pointer to what it could change; a lead byte alone takes the next one. */
    if (want == 1 && len > 1 && (unsigned char)bytes[0] > 0x80)
        want = 2;
    if (buf_append(&copy, bytes, want) < 0 ||
        append_gbk(t->gbk, &text, copy.data, want, len > want, ret_used) < 0)
        return -1;
    return text_append_json(out, text.data ? text.data : "", text.len);
}

int se_text_append(struct se_text *t, struct buf *out, const char *bytes, size_t want, size_t len,
                   size_t *ret_used)
{
    if (want > len)
        want = len;
    size_t valid = utf8_valid_prefix(bytes, want, NULL);
    size_t cut = cut_character(bytes, valid, len);
    if (valid < want && !(cut > 0 && valid + cut > want))
        return append_other(t, out, bytes, want, len, ret_used);
    *ret_used = valid > 0 ? valid : cut;
    return text_append_json(out, bytes, *ret_used);
}
