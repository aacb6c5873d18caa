/* docs: /docs, /redoc, /openapi.json and /web/NAME.
 *
 * Runs in the server: the files are mapped before it locks itself down, so a request opens nothing
 * and names are only compared.  The directory is ours and trusted; the path in a request is not. */
#include "api/docs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/errors.h"
#include "api/internal.h"
#include "base/fd.h"
#include "http/http.h"

#define PAGES_MAX 64
/* Swagger UI and Redoc make styles at run time; nothing else is allowed, and nothing from outside.
 */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "                    \
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "              \
    "frame-ancestors 'none'"

struct page {
    char *name;
    const char *type;
    void *data;
    size_t len;
};

struct docs {
    size_t n;
    struct page pages[PAGES_MAX];
};

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".LICENSE", "text/plain; charset=utf-8"},
    };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t n = strlen(types[i].ending);
        if (len > n && strcmp(name + len - n, types[i].ending) == 0)
            return types[i].type;
    }
    return NULL;
}

/* Maps one file; leaves out what is no readable, non-empty regular file. */
static int add_page(struct docs *d, int dir, const char *name, struct err *e)
{
    const char *type = type_of(name);
    struct stat st;
    if (!type || d->n == PAGES_MAX)
        return 0;
    _cleanup_fd_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_set(e, ERR_INTERNAL, errno, "map %s", name);
    char *copy = strdup(name);
    if (!copy) {
        munmap(data, (size_t)st.st_size);
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    }
    d->pages[d->n++] =
        (struct page){.name = copy, .type = type, .data = data, .len = (size_t)st.st_size};
    return 0;
}

static int add_directory(struct docs *d, const char *path, struct err *e)
{
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(dir)))
        result = add_page(d, dirfd(dir), entry->d_name, e);
    closedir(dir);
    return result;
}

struct docs *docs_create(const char *dir, struct err *e)
{
    struct docs *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_INTERNAL, 0, "out of memory");
        return NULL;
    }
    if (add_directory(d, dir, e) < 0) {
        docs_destroy(d);
        return NULL;
    }
    return d;
}

void docs_destroy(struct docs *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        munmap(d->pages[i].data, d->pages[i].len);
        free(d->pages[i].name);
    }
    free(d);
}

/* -- the resources -- */

static void reply_page(struct api *api, struct http_request *r, const char *name)
{
    const struct docs *d = api->docs;
    for (size_t i = 0; i < d->n; i++) {
        const struct page *page = &d->pages[i];
        if (strcmp(page->name, name) != 0)
            continue;
        http_add_header(r, "Content-Security-Policy", PAGE_POLICY);
        http_add_header(r, "Referrer-Policy", "no-referrer");
        http_add_header(r, "Cache-Control", "no-cache");
        http_reply_static(r, 200, page->type, page->data, page->len);
        return;
    }
    error_reply_str(r, 404, "Not Found");
}

void docs_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_page(api, r, "docs.html");
}

void redoc_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_page(api, r, "redoc.html");
}

void openapi_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_page(api, r, "openapi.json");
}

void web_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_page(api, r, http_path(r) + strlen("/web/"));
}
