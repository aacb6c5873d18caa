/* file_headers: tags and names of downloads.  Runs in the server's loop thread.  Names of files are
 * hostile: no byte of one reaches a header but as a plain character or in hexadecimal (R39). */
#include "api/file_headers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void file_etag(const struct file_info *info, char ret[static FILE_ETAG_SIZE])
{
    snprintf(ret, FILE_ETAG_SIZE, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", info->inode,
             (uint64_t)info->modified_ns, info->size);
}

/* Characters that stand for themselves in a quoted string and in RFC 8187's encoding alike. */
static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$&+-.^_`|~", c));
}

/* What may be written between quotes without a second thought, for readers of the older form. */
static bool is_quotable(unsigned char c)
{
    return is_plain(c) || (c && strchr(" ()[]{},;=@'", c));
}

int disposition_append(struct buf *out, const char *name)
{
    bool is_simple = true;
    if (buf_append_str(out, "attachment; filename=\"") < 0)
        return -1;
    for (const char *c = name; *c; c++) {
        bool fits = is_quotable((unsigned char)*c);
        is_simple &= fits;
        if (buf_append(out, fits ? c : "_", 1) < 0)
            return -1;
    }
    if (buf_append_str(out, is_simple ? "\"" : "\"; filename*=UTF-8''") < 0)
        return -1;
    for (const char *c = name; *c && !is_simple; c++) {
        int result = is_plain((unsigned char)*c) ? buf_append(out, c, 1)
                                                 : buf_printf(out, "%%%02X", (unsigned char)*c);
        if (result < 0)
            return -1;
    }
    return 0;
}
