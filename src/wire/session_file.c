/* session_file: parsing and headers of the frames that answer a call on files.
 *
 * Runs in the server (input: whatever a sandbox says, hostile) and in init's children, which encode
 * only.  Reads bytes, keeps no state, allocates nothing, and must never read beyond `len`. */
#include "wire/session_file.h"

#include <string.h>

struct shape {
    uint32_t fixed; /* bytes of the struct the payload starts with; 0: no such frame */
    uint8_t rest;   /* 1: text may follow it */
};

static const struct shape shapes[] = {
    [FILE_INFO] = {sizeof(struct file_info), 1},
    [FILE_BYTES] = {sizeof(struct file_bytes), 0},
    [FILE_MATCH] = {sizeof(struct file_match), 1},
    [FILE_EVENT] = {sizeof(struct file_event), 1},
    [FILE_PROCESS] = {sizeof(struct file_process), 1},
    [FILE_STORAGE] = {sizeof(struct file_storage), 0},
    [FILE_END] = {sizeof(struct file_end), 1},
};

size_t file_fixed_size(uint32_t type)
{
    return type < sizeof shapes / sizeof shapes[0] ? shapes[type].fixed : 0;
}

void file_header(char out[static FILE_HEADER], enum file_frame type, size_t len)
{
    uint32_t words[2] = {(uint32_t)type, (uint32_t)len};

    memcpy(out, words, sizeof words);
}

/* Numbers that the server would use without looking again. */
static int is_sound(const struct file_message *m)
{
    switch ((enum file_frame)m->type) {
    case FILE_INFO:
        return m->info.type >= TYPE_FILE && m->info.type <= TYPE_OTHER && m->info.mode <= 07777;
    case FILE_EVENT:
        return m->event.change >= CHANGE_CREATED && m->event.change <= CHANGE_LOST &&
               m->event.is_directory <= 1;
    case FILE_PROCESS:
        return m->process.state > ' ' && m->process.state < 0x7f;
    case FILE_END:
        return m->end.error >= 0 && m->end.truncated <= 1;
    case FILE_BYTES:
    case FILE_MATCH:
    case FILE_STORAGE:
        break;
    }
    return 1;
}

long file_parse(const char *data, size_t len, struct file_message *ret, struct err *e)
{
    struct file_message m = {0};
    uint32_t words[2];
    size_t fixed;

    if (len < FILE_HEADER)
        return 0;
    memcpy(words, data, sizeof words);
    fixed = file_fixed_size(words[0]);
    if (fixed == 0)
        return err_set(e, ERR_INVALID, 0, "file frame of unknown type %u", words[0]);
    if (words[1] > FILE_PAYLOAD_MAX || words[1] < fixed ||
        (shapes[words[0]].rest == 0 && words[1] != fixed))
        return err_set(e, ERR_INVALID, 0, "file frame type %u of %u bytes", words[0], words[1]);
    if (len - FILE_HEADER < words[1])
        return 0;
    m.type = words[0];
    memcpy(&m.info, data + FILE_HEADER, fixed);
    m.text = data + FILE_HEADER + fixed;
    m.text_len = words[1] - fixed;
    if (!is_sound(&m))
        return err_set(e, ERR_INVALID, 0, "file frame type %u of impossible numbers", words[0]);
    *ret = m;
    return (long)(FILE_HEADER + words[1]);
}
