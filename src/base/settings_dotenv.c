/* settings_dotenv: reads a .env file as python-dotenv and docker compose do, without expanding
 * variables.  Runs at start on a file of the operator.  Values may be secrets: no error or warning
 * ever repeats one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/settings_internal.h"

#define BLANKS " \t"

/* One line of the file, being cut into key and value in place. */
struct cursor {
    const char *path;
    unsigned line;
};

static int refuse(const struct cursor *at, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, 0, "%s line %u: %s", at->path, at->line, what);
}

static int read_all(int fd, struct buf *b, const char *path, struct err *e)
{
    for (;;) {
        if (buf_reserve(b, 1) < 0)
            return err_set(e, ERR_INVALID, 0, "%s: is longer than %d bytes", path, DOTENV_BYTES);
        ssize_t n = read(fd, b->data + b->len, b->cap - b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ERR_INVALID, errno, "%s: read", path);
        if (n == 0)
            return 0;
        b->len += (size_t)n;
    }
}

/* The file as one NUL-terminated text; NULL text when there is no file. */
static int read_text(const char *path, char **ret_text, struct err *e)
{
    *ret_text = NULL;
    /* O_NONBLOCK: opening a FIFO by mistake must not hang the start. */
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_set(e, ERR_INVALID, errno, "%s: open", path);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, 0, "%s: is not a regular file", path);

    _cleanup_buf_ struct buf b;
    buf_init(&b, DOTENV_BYTES + 1);
    if (read_all(fd, &b, path, e) < 0)
        return -1;
    if (b.len > 0 && memchr(b.data, '\0', b.len))
        return err_set(e, ERR_INVALID, 0, "%s: has a NUL byte", path);
    *ret_text = buf_steal(&b, NULL);
    if (!*ret_text)
        return err_set(e, ERR_UNAVAILABLE, ENOMEM, "%s", path);
    return 0;
}

static bool is_key_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* Cuts the key off the line; *p is left behind the '='. */
static int cut_key(const struct cursor *at, char **p, const char **ret_key, struct err *e)
{
    char *start = *p;
    if (strncmp(start, "export", 6) == 0 && strchr(BLANKS, start[6]) && start[6])
        start += 6 + strspn(start + 6, BLANKS);
    char *end = start;
    while (is_key_char(*end, end == start))
        end++;
    char *equals = end + strspn(end, BLANKS);
    if (end == start || *equals != '=')
        return refuse(at, "is not KEY=VALUE", e);
    *end = '\0';
    *ret_key = start;
    *p = equals + 1;
    return 0;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* Unquotes in place; p is at the opening quote. */
static int cut_quoted(const struct cursor *at, char *p, const char **ret_value, struct err *e)
{
    char quote = *p++;
    char *out = p;
    *ret_value = out;
    for (; *p && *p != quote; p++) {
        bool escaped = *p == '\\' && p[1] != '\0';
        if (escaped && quote == '"')
            *out++ = unescape(*++p);
        else if (escaped && (p[1] == '\'' || p[1] == '\\'))
            *out++ = *++p;
        else
            *out++ = *p;
    }
    if (*p != quote)
        return refuse(at, "has a quote that does not end", e);
    p++;
    p += strspn(p, BLANKS);
    if (*p && *p != '#')
        return refuse(at, "has text behind the closing quote", e);
    *out = '\0';
    return 0;
}

/* An unquoted value ends at a comment that follows a blank, and loses blanks at its ends. */
static const char *cut_plain(char *p)
{
    size_t end = 0;
    while (p[end] && !(p[end] == '#' && (end == 0 || strchr(BLANKS, p[end - 1]))))
        end++;
    while (end > 0 && strchr(BLANKS, p[end - 1]))
        end--;
    p[end] = '\0';
    return p;
}

static int parse_line(struct dotenv *d, const struct cursor *at, char *line, struct err *e)
{
    char *p = line + strspn(line, BLANKS);
    if (*p == '\0' || *p == '#')
        return 0;
    if (d->n == DOTENV_ENTRIES)
        return refuse(at, "is one line too many", e);
    const char *key = NULL, *value = NULL;
    if (cut_key(at, &p, &key, e) < 0)
        return -1;
    p += strspn(p, BLANKS);
    if (*p == '"' || *p == '\'') {
        if (cut_quoted(at, p, &value, e) < 0)
            return -1;
    } else {
        value = cut_plain(p);
    }
    d->entries[d->n].key = key;
    d->entries[d->n].value = value;
    d->n++;
    return 0;
}

int dotenv_read(struct dotenv *d, const char *path, struct err *e)
{
    d->n = 0;
    if (read_text(path, &d->text, e) < 0)
        return -1;
    if (!d->text)
        return 0;
    struct cursor at = {.path = path, .line = 0};
    char *next = d->text;
    if (strncmp(next, "\xEF\xBB\xBF", 3) == 0)
        next += 3;
    while (next) {
        char *line = strsep(&next, "\n");
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            line[len - 1] = '\0';
        at.line++;
        if (parse_line(d, &at, line, e) < 0)
            return -1;
    }
    return 0;
}

void dotenv_finish(struct dotenv *d)
{
    free(d->text);
    d->text = NULL;
    d->n = 0;
}

const char *dotenv_get(const struct dotenv *d, const char *key)
{
    for (size_t i = d->n; i > 0; i--)
        if (strcmp(d->entries[i - 1].key, key) == 0)
            return d->entries[i - 1].value;
    return NULL;
}
