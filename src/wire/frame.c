/* frame: parsing and headers of the control protocol.
 *
 * Runs in the server (input: whatever a sandbox's init sends, hostile) and in init (input: the
 * server).  Reads bytes, keeps no state, allocates nothing, and must never read beyond `len`. */
#include "wire/frame.h"

#include <string.h>

struct shape {
    uint32_t fixed; /* bytes of the struct the payload starts with */
    bool rest;      /* text or names may follow it */
    bool known;
};

static const struct shape shapes[] = {
    [FRAME_JOB] = {sizeof(struct frame_job), true, true},
    [FRAME_FILE] = {sizeof(struct frame_blob), true, true},
    [FRAME_STDIN] = {sizeof(struct frame_blob), false, true},
    [FRAME_GO] = {0, false, true},
    [FRAME_SESSION] = {sizeof(struct frame_session), false, true},
    [FRAME_READY] = {0, false, true},
    [FRAME_FAILED] = {0, true, true},
    [FRAME_BAD_FILE] = {sizeof(struct frame_errno), true, true},
    [FRAME_REFUSED] = {0, true, true},
    [FRAME_EXIT] = {sizeof(struct frame_exit), false, true},
    [FRAME_OUTPUT] = {sizeof(struct frame_blob), true, true},
    [FRAME_SKIPPED] = {sizeof(struct frame_skipped), true, true},
    [FRAME_DONE] = {0, false, true},
    [FRAME_MODULES] = {0, true, true},
};

static const char *const skip_texts[] = {
    [SKIP_SYMLINK] = "symlink",         [SKIP_DIRECTORY] = "directory",
    [SKIP_SPECIAL] = "special file",    [SKIP_TOO_LARGE] = "too large",
    [SKIP_TOO_MANY] = "too many files", [SKIP_TOTAL] = "answer too large",
    [SKIP_NAME] = "name is not UTF-8",  [SKIP_UNREADABLE] = "unreadable",
    [SKIP_TOO_DEEP] = "too deep",
};

const char *frame_skip_text(uint32_t reason)
{
    return reason < sizeof skip_texts / sizeof skip_texts[0] ? skip_texts[reason] : NULL;
}

void frame_header(char out[static FRAME_HEADER], enum frame_type type, size_t len)
{
    uint32_t words[2] = {(uint32_t)type, (uint32_t)len};

    memcpy(out, words, sizeof words);
}

long frame_parse(const char *data, size_t len, struct frame *ret, struct err *e)
{
    uint32_t words[2];
    const struct shape *shape;

    if (len < FRAME_HEADER)
        return 0;
    memcpy(words, data, sizeof words);
    if (words[0] >= sizeof shapes / sizeof shapes[0] || !shapes[words[0]].known)
        return err_set(e, ERR_INVALID, 0, "frame of unknown type %u", words[0]);
    shape = &shapes[words[0]];
    if (words[1] > FRAME_PAYLOAD_MAX || words[1] < shape->fixed ||
        (!shape->rest && words[1] != shape->fixed))
        return err_set(e, ERR_INVALID, 0, "frame type %u of %u bytes", words[0], words[1]);
    if (len - FRAME_HEADER < words[1])
        return 0;
    *ret = (struct frame){
        .type = (enum frame_type)words[0], .payload = data + FRAME_HEADER, .len = words[1]};
    memcpy(&ret->job, ret->payload, shape->fixed);
    ret->rest = ret->payload + shape->fixed;
    ret->rest_len = ret->len - shape->fixed;
    return (long)(FRAME_HEADER + words[1]);
}

int frame_job_strings(const struct frame *f, const char **ret_strings, size_t max)
{
    const char *p = f->rest, *end = f->rest + f->rest_len;
    size_t n = 0;
    uint64_t want = (uint64_t)FRAME_JOB_FIXED_STRINGS + f->job.nargv + f->job.nargs + f->job.nenv;

    while (p < end) {
        const char *nul = memchr(p, 0, (size_t)(end - p));

        if (nul == NULL || n == max)
            return -1;
        ret_strings[n++] = p;
        p = nul + 1;
    }
    return n == want ? (int)n : -1;
}
