/* se_entry: writes what listings say of files.  Runs in the server; names come from a workspace and
 * may hold any bytes. */
#include "api/se_entry.h"

#include <string.h>

#include "api/se_path.h"
#include "api/text.h"

static bool is_hidden(const char *part, size_t len)
{
    return (len == 10 &&
            (memcmp(part, "stdout.log", 10) == 0 || memcmp(part, "stderr.log", 10) == 0)) ||
           (len > strlen(SE_HIDDEN_PREFIX) &&
            memcmp(part, SE_HIDDEN_PREFIX, strlen(SE_HIDDEN_PREFIX)) == 0);
}

bool se_entry_is_shown(const struct file_message *file)
{
    const char *at = file->text, *end = at + file->text_len;
    if (file->type != FILE_INFO || file->info.type != TYPE_FILE)
        return false;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t part = (size_t)((slash ? slash : end) - at);
        if (is_hidden(at, part))
            return false;
        at += part + 1;
    }
    return true;
}

int se_append_entry(struct buf *out, const char *directory, const struct file_message *file)
{
    _cleanup_buf_ struct buf path = {0}, name = {0};
    if (buf_append_str(&path, directory) < 0 || buf_append_str(&path, *directory ? "/" : "") < 0 ||
        buf_append(&path, file->text, file->text_len) < 0 || buf_append(&path, "", 1) < 0 ||
        text_append_json(&name, path.data, path.len - 1) < 0)
        return -1;
    return buf_printf(out,
                      "{\"filename\":%.*s,\"name\":%.*s,\"size\":%llu,\"type\":", (int)name.len,
                      name.data, (int)name.len, name.data, (unsigned long long)file->info.size) |
           text_append_json_str(out, se_path_type(path.data));
}

int se_append_file(struct buf *out, const char *name, size_t len, uint64_t size)
{
    _cleanup_buf_ struct buf text = {0};
    if (text_append_json(&text, name, len) < 0)
        return -1;
    return buf_printf(out, "{\"filename\":%.*s,\"name\":%.*s,\"size\":%llu}", (int)text.len,
                      text.data, (int)text.len, text.data, (unsigned long long)size);
}

int se_append_seconds(struct buf *out, int64_t ms)
{
    return buf_printf(out, "%.3f", (double)ms / 1000);
}

int se_append_mount_point(struct buf *out, const char *id)
{
    return buf_append_str(out, "\"mount_point\":\"/tmp/sandbox_") | buf_append_str(out, id) |
           buf_append_str(out, "\"");
}
