/* router: path and method to handler, keys, CORS.
 *
 * Runs in the server's loop thread; method, path and headers are hostile.  Whatever is answered
 * through here may be read by a page of any origin, but never with that page's cookies: there is no
 * Allow-Credentials. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "api/internal.h"
#include "api/keys.h"
#include "api/route.h"
#include "api/subprotocol.h"
#include "http/http.h"

#define SMALL_BODY     65536 /* where no body is expected: enough to answer 404 or 405, not 413 */
#define SCRIPT_BODY    (256 << 10) /* a setup script, each character as two escapes */
#define NAME_SIZE      1024        /* of a name within a path; none that exists is as long */
#define CODE_OVERHEAD  16384       /* beside the code */
#define CHARACTER_MAX  12          /* bytes of one character in JSON, as two escapes */
#define PREFLIGHT_LIST "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
#define EXPOSED_LIST                                                                               \
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Last-Modified, Preference-Applied, " \
    "Retry-After"

static bool route_has_path(const struct route *route, const char *path, size_t len)
{
    struct route_name ignored[ROUTE_NAMES];
    return route_matches(route->path, route->flags & ROUTE_TREE, path, len, ignored);
}

/* The first route with this path, whatever its method; NULL for none. */
static const struct route *find_path(const char *path, size_t len)
{
    for (const struct route *route = api_routes; route->method; route++) {
        if (route_has_path(route, path, len))
            return route;
    }
    return NULL;
}

static const struct route *find_route(const char *method, const char *path,
                                      struct route_name names[static ROUTE_NAMES])
{
    size_t len = strlen(path);
    for (const struct route *route = api_routes; route->method; route++) {
        if (strcmp(route->method, method) == 0 &&
            route_matches(route->path, route->flags & ROUTE_TREE, path, len, names))
            return route;
    }
    return NULL;
}

size_t router_body_limit(const struct api *api, const char *method, const char *path)
{
    struct route_name ignored[ROUTE_NAMES];
    const struct route *route = find_route(method, path, ignored);
    if (route && route->flags & ROUTE_BODY)
        return api->rules.body_max;
    if (route && route->flags & ROUTE_SCRIPT)
        return SCRIPT_BODY;
    if (route && route->flags & ROUTE_CODE)
        return api->rules.code_chars_max * CHARACTER_MAX + CODE_OVERHEAD;
    if (route && route->flags & ROUTE_STREAM)
        return SIZE_MAX;
    return SMALL_BODY;
}

bool router_streams_body(const char *method, const char *path)
{
    struct route_name ignored[ROUTE_NAMES];
    const struct route *route = find_route(method, path, ignored);
    return route && route->flags & ROUTE_STREAM;
}

/* -- answers that no resource gives -- */

static void reply_preflight(struct http_request *r)
{
    struct buf body = {0};
    const char *asked = http_header(r, "Access-Control-Request-Headers");
    http_add_header(r, "Access-Control-Allow-Methods", PREFLIGHT_LIST);
    http_add_header(r, "Access-Control-Max-Age", "600");
    if (asked)
        http_add_header(r, "Access-Control-Allow-Headers", asked);
    buf_append_str(&body, "OK");
    http_reply(r, 200, "text/plain; charset=utf-8", &body);
}

static bool is_preflight(const struct http_request *r)
{
    return strcmp(http_method(r), "OPTIONS") == 0 && http_header(r, "Origin") &&
           http_header(r, "Access-Control-Request-Method");
}

static void reply_method_not_allowed(struct http_request *r, const char *path, size_t len)
{
    char allow[64] = "";
    size_t used = 0;
    for (const struct route *route = api_routes; route->method; route++) {
        if (route_has_path(route, path, len) && used < sizeof allow)
            used += (size_t)snprintf(allow + used, sizeof allow - used, "%s%s", used ? ", " : "",
                                     route->method);
    }
    http_add_header(r, "Allow", allow);
    error_reply_str(r, 405, "Method Not Allowed");
}

/* Whether a path of the table, with a name in it perhaps, may stand in a header as it is. */
static bool is_plain_path(const char *path, size_t len)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    return strspn(path, plain) >= len;
}

/* A path is only ever redirected to one that the table describes, never to another host. */
static void reply_redirect(struct http_request *r, const char *path, size_t len)
{
    struct buf none = {0};
    char location[NAME_SIZE];
    snprintf(location, sizeof location, "%.*s", (int)len, path);
    http_add_header(r, "Location", location);
    http_reply(r, 307, NULL, &none);
}

static void reply_no_route(struct http_request *r, const char *path)
{
    size_t len = strlen(path);
    if (find_path(path, len)) {
        reply_method_not_allowed(r, path, len);
        return;
    }
    if (len > 1 && len < NAME_SIZE && path[len - 1] == '/' && is_plain_path(path, len)) {
        const struct route *to = find_path(path, len - 1);
        if (to && !(to->flags & ROUTE_TREE)) {
            reply_redirect(r, path, len - 1);
            return;
        }
    }
    error_reply_str(r, 404, "Not Found");
}

/* Whether the caller may use the route, and `client` becomes the id of the key; else it has been
 * answered. */
static bool is_allowed(struct api *api, struct http_request *r, const struct route *route,
                       char client[static KEY_ID_SIZE])
{
    char key[SUBPROTOCOL_KEY_MAX];
    if (!keys_required(api->keys) || route->flags & ROUTE_OPEN)
        return true;
    int known = keys_accept(api->keys, http_header(r, "Authorization"), http_header(r, "X-Api-Key"),
                            client);
    if (known == 0 && route->flags & ROUTE_SOCKET &&
        subprotocol_key(http_header(r, "Sec-WebSocket-Protocol"), key))
        known = keys_accept(api->keys, NULL, key, client);
    if (known < 0)
        error_reply_memory(r);
    else if (known == 0)
        error_reply_unauthorized(r);
    return known > 0;
}

/* The part of a path as a string: it where it ends the path, else a copy in `space`. */
static const char *name_text(struct route_name name, char space[static NAME_SIZE])
{
    if (!name.at || !name.at[name.len])
        return name.at;
    snprintf(space, NAME_SIZE, "%.*s", (int)name.len, name.at);
    return space;
}

void router_handle(struct api *api, struct http_request *r)
{
    http_add_header(r, "Access-Control-Allow-Origin", "*");
    http_add_header(r, "Access-Control-Expose-Headers", EXPOSED_LIST);
    http_add_header(r, "X-Content-Type-Options", "nosniff");
    if (is_preflight(r)) {
        reply_preflight(r);
        return;
    }
    struct route_name found[ROUTE_NAMES];
    const struct route *route = find_route(http_method(r), http_path(r), found);
    if (!route) {
        reply_no_route(r, http_path(r));
        return;
    }
    char client[64], name[NAME_SIZE], rest[NAME_SIZE];
    snprintf(client, sizeof client, "%s", http_peer(r));
    if (!is_allowed(api, r, route, client))
        return;
    const struct call call = {
        .client = client,
        .owner = keys_required(api->keys) ? client : "",
        .name = name_text(found[0], name),
        .rest = name_text(found[1], rest),
    };
    route->handle(api, r, &call);
}
