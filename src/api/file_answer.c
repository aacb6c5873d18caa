/* file_answer: encoder of what calls on files found.  Runs in the server's loop thread.  Names are
 * the sandbox's: any bytes; what is not UTF-8 is replaced. */
#include "api/file_answer.h"

#include <stdio.h>
#include <string.h>

#include "api/events.h"
#include "api/put.h"

/* Two texts with a NUL between; the second may be missing. */
struct pair {
    const char *first, *second; /* second: NULL if it is not there */
    size_t first_len, second_len;
};

static struct pair split(const struct file_message *m)
{
    const char *nul = memchr(m->text, '\0', m->text_len);
    if (!nul)
        return (struct pair){m->text, NULL, m->text_len, 0};
    size_t first = (size_t)(nul - m->text);
    return (struct pair){m->text, nul + 1, first, m->text_len - first - 1};
}

static const char *type_name(uint32_t type)
{
    switch (type) {
    case TYPE_FILE:
        return "file";
    case TYPE_DIRECTORY:
        return "directory";
    case TYPE_LINK:
        return "link";
    default:
        return "other";
    }
}

/* base + "/" + name, as a member. */
static void put_path(struct writer *w, const char *member, const char *base, const char *name,
                     size_t len)
{
    _cleanup_buf_ struct buf path = {0};
    int result = 0;
    if (*base)
        result = buf_append_str(&path, base) | (len > 0 ? buf_append_str(&path, "/") : 0);
    if (result < 0 || buf_append(&path, name, len) < 0)
        w->failed = true;
    else
        put_bytes(w, member, path.data ? path.data : "", path.len);
}

static void put_name_of(struct writer *w, const char *path, size_t len)
{
    const char *slash = memrchr(path, '/', len);
    size_t start = slash ? (size_t)(slash + 1 - path) : 0;
    put_bytes(w, "name", path + start, len - start);
}

static void put_info(struct writer *w, const struct file_info *info, const struct pair *p)
{
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)(info->mode & 07777));
    put_text(w, "type", type_name(info->type));
    put_number(w, "size", info->size);
    put_text(w, "mode", mode);
    put_date(w, "modified_at", info->modified_ns / 1000000);
    if (info->type == TYPE_LINK && p->second)
        put_bytes(w, "target", p->second, p->second_len);
    put(w, "}");
}

int file_answer_info(struct buf *out, const struct file_message *m, const char *base)
{
    struct writer w = {.out = out};
    struct pair p = split(m);
    put(&w, "{");
    put_name_of(&w, p.first, p.first_len);
    put_path(&w, "path", base, p.first, p.first_len);
    put_info(&w, &m->info, &p);
    return w.failed ? -1 : 0;
}

int file_answer_entry(struct buf *out, const struct file_message *m, const char *path)
{
    struct writer w = {.out = out};
    struct pair p = split(m);
    put(&w, "{");
    put_name_of(&w, path, strlen(path));
    put_text(&w, "path", path);
    put_info(&w, &m->info, &p);
    return w.failed ? -1 : 0;
}

int file_answer_match(struct buf *out, const struct file_message *m, const char *base)
{
    struct writer w = {.out = out};
    struct pair p = split(m);
    put(&w, "{");
    put_path(&w, "path", base, p.first, p.first_len);
    put_if_set(&w, "line", m->match.line);
    if (m->match.line && p.second)
        put_bytes(&w, "text", p.second, p.second_len);
    else
        put_text(&w, "text", NULL);
    put(&w, "}");
    return w.failed ? -1 : 0;
}

int file_answer_process(struct buf *out, const struct file_message *m)
{
    const struct file_process *p = &m->process;
    const char state[2] = {(char)(p->state < 0x80 ? p->state : '?'), '\0'};
    struct writer w = {.out = out};
    put(&w, "{");
    put_number(&w, "pid", p->pid);
    put_number(&w, "parent", p->parent);
    put_if_set(&w, "process", p->id);
    put_text(&w, "state", state);
    put_thousandths(&w, "cpu_ms", p->cpu_us);
    put_thousandths(&w, "memory_mb", p->memory * 1000 >> 20);
    put_bytes(&w, "command", m->text, m->text_len);
    put(&w, "}");
    return w.failed ? -1 : 0;
}

static const char *change_name(uint32_t change)
{
    switch (change) {
    case CHANGE_CREATED:
        return "created";
    case CHANGE_MODIFIED:
        return "modified";
    case CHANGE_REMOVED:
        return "removed";
    case CHANGE_MOVED:
        return "moved";
    default:
        return "lost";
    }
}

int file_answer_event(struct buf *out, const struct file_message *m, const char *base)
{
    struct writer w = {.out = out};
    struct pair p = split(m);
    w.failed |= event_append_head(out, change_name(m->event.change)) < 0;
    put(&w, "{");
    put_path(&w, "path", base, p.first, p.first_len);
    put_bool(&w, "directory", m->event.is_directory);
    if (m->event.change == CHANGE_MOVED && p.second)
        put_path(&w, "to", base, p.second, p.second_len);
    put(&w, "}" EVENT_END);
    return w.failed ? -1 : 0;
}
