/* file_search: SEARCH: a text in files, or names by a pattern.
 *
 * Runs in a child of a sandbox's init and changes nothing.  What it reads is hostile: lines without
 * an end, files that grow, names of any bytes; memory is one buffer, whatever they are. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/file_internal.h"

#define NEEDLE_MAX 4096 /* bytes of the text; much less than the buffer */
#define LINE_SHOWN 512  /* bytes of a line that are told */
#define LINE_AHEAD 64   /* of them before the match, when it lies far in */

struct search {
    const char *needle; /* lowered with FILE_ICASE */
    size_t len;
    bool any_case;
    uint32_t left; /* matches that may still be told */
};

/* The file that is being read. */
struct scan {
    const char *path;
    uint64_t line; /* of the first byte of the block */
    bool told;     /* of this line already */
};

static char lowered_needle[NEEDLE_MAX + 1];
static char lowered[FILE_BUFFER];

static void lower(char *out, const char *in, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] >= 'A' && in[i] <= 'Z' ? (char)(in[i] - 'A' + 'a') : in[i];
}

/* -ECANCELED when that was the last one allowed. */
static int tell_match(struct call *c, struct search *s, uint64_t line, const char *path,
                      const char *text, size_t len)
{
    static char joined[WALK_PATH + 1 + LINE_SHOWN];
    struct file_match m = {.line = line};
    size_t n = strlen(path) + 1;

    if (s->left == 0) {
        c->truncated = 1;
        return -ECANCELED;
    }
    s->left--;
    memcpy(joined, path, n);
    memcpy(joined + n, text, len);
    call_frame(c, FILE_MATCH, &m, joined, n + len);
    return 0;
}

/* Tells the line of `block` that holds the match at `at`; *ret_end is where the line ends. */
static int tell_line(struct call *c, struct search *s, const struct scan *f, const char *block,
                     size_t len, const size_t span[2], size_t *ret_end)
{
    size_t start = span[0], at = span[1];
    const char *newline = memchr(block + at, '\n', len - at);
    size_t end = newline != NULL ? (size_t)(newline - block) : len, shown;

    if (at + s->len - start > LINE_SHOWN)
        start = at - (at - start < LINE_AHEAD ? at - start : LINE_AHEAD);
    shown = end - start < LINE_SHOWN ? end - start : LINE_SHOWN;
    *ret_end = end;
    return f->told ? 0 : tell_match(c, s, f->line, f->path, block + start, shown);
}

/* Moves `*at` to `to` and counts the lines between; *start is the first byte of the line. */
static void count_lines(struct scan *f, const char *block, size_t *at, size_t to, size_t *start)
{
    const char *newline;

    while (*at < to && (newline = memchr(block + *at, '\n', to - *at)) != NULL) {
        *at = (size_t)(newline - block) + 1;
        *start = *at;
        f->line++;
        f->told = false;
    }
    *at = to;
}

static int search_block(struct call *c, struct search *s, struct scan *f, const char *block,
                        size_t len)
{
    const char *in = block;
    size_t at = 0, start = 0;

    if (s->any_case) {
        lower(lowered, block, len);
        in = lowered;
    }
    while (at < len) {
        const char *found = memmem(in + at, len - at, s->needle, s->len);
        size_t end;
        int r;

        if (found == NULL)
            break;
        count_lines(f, block, &at, (size_t)(found - in), &start);
        if ((r = tell_line(c, s, f, block, len, (size_t[]){start, at}, &end)) < 0)
            return r;
        f->told = true;
        at = end;
    }
    count_lines(f, block, &at, len, &start);
    return 0;
}

/* How much of the buffer can be searched now: whole lines, or all of a line that fills it. */
static size_t searchable(const char *buffer, size_t have, size_t cap, bool is_end)
{
    const char *newline = memrchr(buffer, '\n', have);

    if (is_end || (newline == NULL && have == cap))
        return have;
    return newline != NULL ? (size_t)(newline - buffer) + 1 : 0;
}

/* Reads to the end, or to the first NUL: then it is no text.  Takes fd over. */
static int scan_file(struct call *c, struct search *s, int fd, const char *path)
{
    struct scan f = {.path = path, .line = 1};
    size_t have = 0;
    int r = 0;

    for (bool is_end = false; r == 0 && !is_end;) {
        ssize_t n = read(fd, c->buffer + have, sizeof c->buffer - have);
        size_t len, keep;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = call_fail(c, errno, path);
            break;
        }
        if (n > 0 && memchr(c->buffer + have, '\0', (size_t)n) != NULL)
            break;
        call_check(c);
        is_end = n == 0;
        have += (size_t)n;
        len = searchable(c->buffer, have, sizeof c->buffer, is_end);
        r = search_block(c, s, &f, c->buffer, len);
        /* Of a line that goes on, a match may have begun. */
        keep = have - len;
        if (!is_end && len == sizeof c->buffer && c->buffer[len - 1] != '\n')
            keep = s->len - 1;
        memmove(c->buffer, c->buffer + have - keep, keep);
        have = keep;
    }
    close(fd);
    return r;
}

static int search_text(struct call *c, void *data, const struct walk_entry *entry)
{
    struct stat st;
    int fd, r;

    if (!S_ISREG(entry->st.st_mode))
        return 0;
    fd = openat(entry->dir, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return file_has_vanished(errno) || errno == ENXIO ? 0 : call_fail(c, errno, entry->path);
    r = fstat(fd, &st) < 0 ? call_fail(c, errno, entry->path) : 0;
    if (r < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return r;
    }
    return scan_file(c, data, fd, entry->path);
}

/* A pattern with a slash is one of paths, otherwise of names alone. */
static int search_name(struct call *c, void *data, const struct walk_entry *entry)
{
    struct search *s = data;
    bool is_path = strchr(s->needle, '/') != NULL;
    int flags = (is_path ? FNM_PATHNAME : 0) | (s->any_case ? FNM_CASEFOLD : 0);

    if (fnmatch(s->needle, is_path ? entry->path : entry->name, flags) != 0)
        return 0;
    return tell_match(c, s, 0, entry->path, "", 0);
}

static int search_from(struct call *c, struct search *s)
{
    struct walk walk = {.data = s, .cut = true};
    _cleanup_fd_ int fd = path_open(c, c->w->path, O_PATH);
    struct stat st;

    walk.entry = call_has(c, FILE_NAMES) ? search_name : search_text;
    if (fd < 0)
        return fd_steal(&fd);
    if (fstat(fd, &st) < 0)
        return -errno;
    fd_close(&fd);
    if (S_ISDIR(st.st_mode)) {
        fd = path_open(c, c->w->path, O_RDONLY | O_DIRECTORY);
        return fd < 0 ? fd : walk_tree(c, fd_steal(&fd), &walk);
    }
    if (call_has(c, FILE_NAMES))
        return -ENOTDIR;
    fd = file_open_regular(c, c->w->path, O_RDONLY, &st);
    return fd < 0 ? fd : scan_file(c, s, fd_steal(&fd), "");
}

int file_search(struct call *c)
{
    struct search s = {.needle = c->w->other,
                       .len = strlen(c->w->other),
                       .any_case = call_has(c, FILE_ICASE),
                       .left = call_limit(c)};
    int r;

    if (s.len == 0 || s.len > NEEDLE_MAX || strchr(s.needle, '\n') != NULL)
        return call_explain(c, EINVAL, "what is searched for is 1 to %d bytes of one line",
                            NEEDLE_MAX);
    if (s.any_case && !call_has(c, FILE_NAMES)) {
        lower(lowered_needle, s.needle, s.len + 1);
        s.needle = lowered_needle;
    }
    r = search_from(c, &s);
    return r == -ECANCELED ? 0 : r;
}
