/* fetch_request: decodes which files are to be fetched.  Runs in the server; the body is hostile.
 * URLs are judged by the program that asks for them; headers must not break out of their lines;
 * where a path leads is the sandbox's to say. */
#include "api/fetch_request.h"

#include <stdlib.h>
#include <string.h>

#include "api/session_path.h"
#include "base/limits.h"
#include "base/str.h"

#define URL_MAX     8000
#define PATH_BYTES  4095
#define VALUE_MAX   8192 /* bytes of a header's value: tokens are long */
#define HEADERS_MAX 64
#define NAME_USUAL  "download"
#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void refuse(struct fetch_request *q, size_t i, const char *words)
{
    violation_add(&q->body.fields.violations, "value_error", PLACE_ELEMENT("files", (long)i), NULL,
                  json_pack("{s:{}}", "error"), "Value error, %s", words);
}

/* -- names -- */

static int hex(char c)
{
    const char *at = c ? strchr("0123456789abcdef", c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - "0123456789abcdef") : -1;
}

static size_t decode_percent(const char *text, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && i + 2 < len ? hex(text[i + 1]) : -1;
        int low = high >= 0 ? hex(text[i + 2]) : -1;
        out[n++] = low >= 0 ? (char)(high << 4 | low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    out[n] = '\0';
    return n;
}

static bool is_good_name(const char *name, size_t len)
{
    if (len == 0 || len > LIMIT_FILE_NAME || strlen(name) != len || strchr(name, '/') ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        utf8_valid_prefix(name, len, NULL) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    }
    return true;
}

char *fetch_default_name(const char *url)
{
    const char *path = strstr(url, "://");
    path = path ? path + 3 : url;
    path += strcspn(path, "/?#");
    size_t len = strcspn(path, "?#"), from = len;
    while (from > 0 && path[from - 1] != '/')
        from--;
    char *name = malloc(len - from + sizeof NAME_USUAL);
    if (!name)
        return NULL;
    len = decode_percent(path + from, len - from, name);
    if (!is_good_name(name, len))
        memcpy(name, NAME_USUAL, sizeof NAME_USUAL);
    return name;
}

/* -- members -- */

static bool is_token(const char *name)
{
    return *name && name[strspn(name, TOKEN_CHARS)] == '\0';
}

static bool is_value(const char *text)
{
    for (; text && *text; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || (unsigned char)*text >= 0x7f)
            return false;
    }
    return text;
}

static void decode_headers(struct fetch_request *q, size_t i, json_t *headers)
{
    struct fetch_header *list;
    const char *name;
    json_t *value;
    if (!headers || json_is_null(headers))
        return;
    if (!json_is_object(headers) || json_object_size(headers) > HEADERS_MAX) {
        refuse(q, i, "headers must be an object of at most 64 strings");
        return;
    }
    q->headers[i] = list = calloc(json_object_size(headers) + 1, sizeof *list);
    q->body.out_of_memory |= !list;
    json_object_foreach(headers, name, value)
    {
        const char *text = json_body_text_of(&q->body, value, VALUE_MAX);
        if (!list || !is_token(name) || !is_value(text)) {
            refuse(q, i, "headers must be names and values as HTTP has them, of ASCII");
            return;
        }
        list[q->items[i].nheaders++] = (struct fetch_header){name, text};
    }
    q->items[i].headers = list;
}

static void decode_path(struct fetch_request *q, size_t i, const json_t *value)
{
    struct fetch_item *item = &q->items[i];
    const char *fault;
    if (!value || json_is_null(value)) {
        item->path = q->names[i] = fetch_default_name(item->url);
        q->body.out_of_memory |= !item->path;
        return;
    }
    item->path = json_body_text_of(&q->body, value, PATH_BYTES);
    fault = item->path ? session_path_fault(item->path) : "path must be a string";
    if (!fault && !*item->path)
        fault = "path must not be empty";
    if (fault)
        refuse(q, i, fault);
}

static void decode_item(struct fetch_request *q, size_t i, const json_t *one)
{
    q->items[i].url = json_body_text_of(&q->body, json_object_get(one, "url"), URL_MAX);
    if (!q->items[i].url || !*q->items[i].url) {
        refuse(q, i, "url must be a string of 1 to 8000 bytes");
        return;
    }
    decode_headers(q, i, json_object_get(one, "headers"));
    decode_path(q, i, json_object_get(one, "path"));
}

/* Two that are written at once would each undo the other. */
static void refuse_twins(struct fetch_request *q)
{
    for (size_t i = 0; i < q->nitems; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(q->items[i].path, q->items[k].path) != 0)
                continue;
            refuse(q, i, "another file of this request has the same path: give each its own");
            return;
        }
    }
}

void fetch_request_decode(struct fetch_request *q, uint32_t seconds_max)
{
    json_t *root = json_body_root(&q->body);
    json_t *files = root ? json_object_get(root, "files") : NULL;
    size_t n = json_array_size(files);
    if (!root || !json_body_require(&q->body, "files"))
        return;
    json_body_seconds(&q->body, "timeout", seconds_max, &q->timeout_ms);
    if (n == 0 || n > LIMIT_FETCH_ITEMS) {
        json_body_refuse(&q->body, "files", "must be a list of 1 to 100 files");
        return;
    }
    q->items = calloc(n, sizeof *q->items);
    q->headers = calloc(n, sizeof(struct fetch_header *));
    q->names = calloc(n, sizeof *q->names);
    if (!q->items || !q->headers || !q->names) {
        q->body.out_of_memory = true;
        return;
    }
    q->nitems = n;
    for (size_t i = 0; i < n; i++)
        decode_item(q, i, json_array_get(files, i));
    if (json_body_is_valid(&q->body))
        refuse_twins(q);
}

void fetch_request_finish(struct fetch_request *q)
{
    for (size_t i = 0; i < q->nitems; i++) {
        free(q->headers[i]);
        free(q->names[i]);
    }
    free(q->headers);
    free(q->names);
    free(q->items);
    json_body_finish(&q->body);
}
