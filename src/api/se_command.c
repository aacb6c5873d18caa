/* se_command: puts command lines together.  Runs in the server; the parts are hostile, but what
 * comes of them is only ever read by a shell in the sandbox of whoever sent them. */
#include "api/se_command.h"

#include <inttypes.h>
#include <string.h>

static const struct se_language languages[] = {
    {"python", ".py", "python3"},
    {"shell", ".sh", "bash"},
    {"javascript", ".js", "node"},
};

/* 'a b', with each ' as '\'' */
static int append_quoted(struct buf *out, const char *word)
{
    int failed = buf_append_str(out, "'");
    for (const char *quote; (quote = strchr(word, '\'')); word = quote + 1)
        failed |= buf_append(out, word, (size_t)(quote - word)) | buf_append_str(out, "'\\''");
    return failed | buf_append_str(out, word) | buf_append_str(out, "'");
}

int se_command_line(struct buf *out, const char *command, const char *const *args)
{
    int failed = buf_append_str(out, command);
    for (; args && *args; args++)
        failed |= buf_append_str(out, " ") | append_quoted(out, *args);
    return failed | buf_append(out, "", 1);
}

bool se_command_is_allowed(const char *command, const char *allowed)
{
    static const char blank[] = " \t\r\n", between[] = ", \t";
    command += strspn(command, blank);
    size_t word = strcspn(command, " \t\r\n;&|<>()");
    allowed += strspn(allowed, between);
    if (*allowed == '\0')
        return true;
    while (*allowed) {
        size_t n = strcspn(allowed, between);
        if (n == word && memcmp(allowed, command, n) == 0)
            return true;
        allowed += n + strspn(allowed + n, between);
    }
    return false;
}

const struct se_language *se_language_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        if (len == strlen(languages[i].name) && memcmp(name, languages[i].name, len) == 0)
            return &languages[i];
    }
    return NULL;
}

int se_script_name(struct buf *out, const struct se_language *l, const char *given, size_t len,
                   uint64_t unique)
{
    size_t n = strlen(l->extension);
    if (len == 0)
        return buf_printf(out, "script_%" PRIu64 "%s", unique, l->extension) |
               buf_append(out, "", 1);
    bool has = len >= n && memcmp(given + len - n, l->extension, n) == 0;
    return buf_append(out, given, len) | buf_append_str(out, has ? "" : l->extension) |
           buf_append(out, "", 1);
}
