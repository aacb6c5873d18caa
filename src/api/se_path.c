/* se_path: judges and tells names of files.  Runs in the server; names are hostile and are only
 * compared and copied.  What keeps a path within a workspace is the sandbox's init; this gives the
 * predecessor's words where the name itself is enough to tell. */
#include "api/se_path.h"

#include <string.h>
#include <strings.h>

/* Of preview: contract B1. */
static const struct {
    const char *extension, *type;
} shown[] = {
    {"html", "text/html; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"json", "application/json"},
    {"xml", "application/xml"},
    {"csv", "text/csv; charset=utf-8"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"bmp", "image/bmp"},
    {"webp", "image/webp"},
    {"svg", "image/svg+xml"},
    {"ico", "image/vnd.microsoft.icon"},
};

static const char *const text_extensions[] = {
    "txt", "py",    "js",  "html", "css", "json", "xml", "csv", "md",   "sh",  "bash",
    "zsh", "fish",  "c",   "cpp",  "h",   "java", "php", "rb",  "go",   "rs",  "swift",
    "kt",  "scala", "sql", "yaml", "yml", "toml", "ini", "cfg", "conf", "log",
};

static bool is_part(const char *part, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(part, name, len) == 0;
}

const char *se_path_join(const char *child, size_t len, char *ret)
{
    const char *at = child, *end = child + len;
    size_t n = 0, parts = 0;
    if (memchr(child, '\0', len))
        return "embedded null byte";
    bool climbs = false;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t part = (size_t)((slash ? slash : end) - at);
        if (is_part(at, part, "..")) {
            if (parts == 0)
                return "child path cannot start with '.' or '..'";
            climbs = true;
        }
        if (part > 0 && !is_part(at, part, ".")) {
            if (parts++ > 0)
                ret[n++] = '/';
            memmove(ret + n, at, part);
            n += part;
        }
        at += part + (slash != NULL);
    }
    ret[n] = '\0';
    return climbs ? "child path cannot contain '..'" : NULL;
}

const char *se_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *se_path_type(const char *path)
{
    const char *dot = strrchr(se_path_base(path), '.');
    return dot ? dot + 1 : "unknown";
}

/* As Python's os.path.splitext sees it: dots at the start of a name begin no extension. */
static const char *extension(const char *path)
{
    const char *name = se_path_base(path);
    name += strspn(name, ".");
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : "";
}

bool se_path_is_text(const char *path)
{
    for (size_t i = 0; i < sizeof text_extensions / sizeof text_extensions[0]; i++) {
        if (strcasecmp(extension(path), text_extensions[i]) == 0)
            return true;
    }
    return false;
}

const char *se_path_preview(const char *path)
{
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (strcasecmp(extension(path), shown[i].extension) == 0)
            return shown[i].type;
    }
    return NULL;
}
