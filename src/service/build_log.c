/* build_log: writes and reads the logs of builds.
 *
 * Runs in the server, on the loop: lines go to the page cache.  The file only ever grows, so that
 * followers can read it by offset.  What is too much for it is left out in the middle: the head is
 * written at once, the tail when the build has ended. */
#include "service/build_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define NAME_SIZE 32
#define NOTE_SIZE 600

static void file_name(int64_t id, char out[static NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%" PRId64 ".log", id);
}

static int open_log(struct build_log_name name, int flags)
{
    char file[NAME_SIZE];

    file_name(name.id, file);
    return openat(name.dir, file, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int build_log_open(struct build_log *l, struct build_log_name name, uint64_t limit, struct err *e)
{
    *l = (struct build_log){.limit = limit, .fd = open_log(name, O_WRONLY | O_CREAT | O_TRUNC)};
    buf_init(&l->head, 0);
    buf_init(&l->tail, 0);
    buf_init(&l->last, 0);
    return l->fd >= 0 ? 0 : err_set(e, ERR_UNAVAILABLE, errno, "open the log of the build");
}

/* Drops lines from the start of a buffer until it has at most `keep` bytes, and of a line that is
 * longer whole characters; how many bytes went. */
static size_t drop_lines(struct buf *b, size_t keep)
{
    size_t drop = b->len > keep ? b->len - keep : 0;
    const char *end = drop > 0 ? memchr(b->data + drop, '\n', b->len - drop) : NULL;

    if (end != NULL && end + 1 < b->data + b->len)
        drop = (size_t)(end + 1 - b->data);
    while (drop > 0 && drop < b->len && ((unsigned char)b->data[drop] & 0xc0) == 0x80)
        drop++;
    buf_consume(b, drop);
    return drop;
}

static void write_bytes(struct build_log *l, const char *bytes, size_t len)
{
    if (l->fd >= 0 && fd_write_all(l->fd, bytes, len, NULL) == 0)
        l->size += len;
}

/* The time, a blank, the line. */
static int append_line(struct buf *b, const struct build_log *l, const char *line, size_t len)
{
    if (buf_reserve(b, strlen(l->time) + len + 2) < 0)
        return -1;
    buf_append_str(b, l->time);
    buf_append(b, " ", 1);
    buf_append(b, line, len);
    return buf_append(b, "\n", 1);
}

static void add_line(struct build_log *l, const char *line, size_t len)
{
    size_t size;

    if (l->time[0] == '\0')
        clock_format_utc(clock_wall_us(), l->time);
    size = strlen(l->time) + len + 2;
    if (l->tail.len == 0 && l->size + l->head.len + size <= l->limit / 2) {
        append_line(&l->head, l, line, len);
        return;
    }
    if (append_line(&l->tail, l, line, len) < 0)
        l->left_out += size;
    /* Only now and then, because it moves the whole buffer. */
    if (l->tail.len > l->limit)
        l->left_out += drop_lines(&l->tail, l->limit / 2);
}

void build_log_flush(struct build_log *l)
{
    write_bytes(l, l->head.data, l->head.len);
    buf_consume(&l->head, l->head.len);
    l->time[0] = '\0';
}

void build_log_output(struct build_log *l, const char *line, size_t len)
{
    add_line(l, line, len);
    if (buf_append(&l->last, line, len) < 0 || buf_append(&l->last, "\n", 1) < 0 ||
        l->last.len > 4 * BUILD_LOG_LAST)
        drop_lines(&l->last, BUILD_LOG_LAST);
}

void build_log_note(struct build_log *l, const char *format, ...)
{
    char text[NOTE_SIZE] = "dunlin: ";
    const size_t prefix = strlen(text);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text + prefix, sizeof text - prefix, format, args);
    va_end(args);
    if (n < 0)
        return;
    add_line(l, text, strlen(text));
    build_log_flush(l);
}

const char *build_log_last(struct build_log *l)
{
    drop_lines(&l->last, BUILD_LOG_LAST);
    while (l->last.len > 0 && l->last.data[l->last.len - 1] == '\n')
        l->last.len--;
    if (buf_append(&l->last, "", 1) < 0)
        return "";
    l->last.len--;
    return l->last.data;
}

void build_log_forget_last(struct build_log *l)
{
    buf_consume(&l->last, l->last.len);
}

void build_log_close(struct build_log *l)
{
    if (l->fd < 0)
        return;
    build_log_flush(l);
    l->left_out += drop_lines(&l->tail, (size_t)(l->limit / 2));
    if (l->left_out > 0) {
        char words[80];

        snprintf(words, sizeof words, "... %" PRIu64 " bytes left out (BUILD_LOG_LIMIT) ...\n",
                 l->left_out);
        write_bytes(l, words, strlen(words));
    }
    write_bytes(l, l->tail.data, l->tail.len);
    buf_finish(&l->head);
    buf_finish(&l->tail);
    buf_finish(&l->last);
    fd_close(&l->fd);
}

/* -- without the build ------------------------------------------------------------------------- */

int build_log_size(struct build_log_name name, uint64_t *ret, struct err *e)
{
    _cleanup_fd_ int fd = open_log(name, O_RDONLY);
    struct stat st;

    *ret = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(e, ERR_UNAVAILABLE, errno, "open the log");
    if (fstat(fd, &st) < 0)
        return err_set(e, ERR_UNAVAILABLE, errno, "read the log");
    *ret = (uint64_t)st.st_size;
    return 0;
}

long build_log_read(struct build_log_name name, uint64_t offset, char *out, size_t cap,
                    struct err *e)
{
    _cleanup_fd_ int fd = open_log(name, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(e, ERR_UNAVAILABLE, errno, "open the log");
    if (offset > INT64_MAX)
        return 0;
    n = pread(fd, out, cap, (off_t)offset);
    return n >= 0 ? n : err_set(e, ERR_UNAVAILABLE, errno, "read the log");
}

void build_log_remove(struct build_log_name name)
{
    char file[NAME_SIZE];

    file_name(name.id, file);
    unlinkat(name.dir, file, 0);
}

void build_log_append(struct build_log_name name, const char *words)
{
    struct build_log l = {.fd = open_log(name, O_WRONLY | O_CREAT | O_APPEND), .limit = UINT64_MAX};

    buf_init(&l.head, 0);
    buf_init(&l.tail, 0);
    buf_init(&l.last, 0);
    build_log_note(&l, "%s", words);
    build_log_close(&l);
}
