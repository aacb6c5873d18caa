/* root: GET / and GET /version.  Runs in the server's loop thread. */
#include "api/internal.h"
#include "http/http.h"

/* Of the interface, as the predecessor's clients know it. */
#define API_VERSION "1.0.0"

static void reply_text(struct http_request *r, const char *text)
{
    struct buf body = {0};
    buf_append_str(&body, text);
    http_reply(r, 200, "application/json", &body);
}

void root_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_text(r, "{\"message\":\"SimplePySandbox API\",\"version\":\"" API_VERSION
                  "\",\"docs\":\"/docs\",\"health\":\"/health\"}");
}

void version_get(struct api *api, struct http_request *r, const struct call *call)
{
    reply_text(r, "{\"name\":\"dunlin\",\"version\":\"" DUNLIN_VERSION "\",\"api\":\"" API_VERSION
                  "\"}");
}
