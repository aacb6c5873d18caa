/* client: HTTP on libcurl.
 *
 * Runs in dunlin-client, as whoever calls it.  Trusts the server's words no more than a build's
 * output: bounded, escaped before they are shown.  Must never hand the key to another host, so it
 * follows no redirect, nor through a proxy what is for this machine. */
#include "cli/client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client_internal.h"
#include "cli/client_text.h"
#include "cli/words.h"

#define CONNECT_TIMEOUT_MS 5000L
#define TICK_MS            100
#define BODY_MAX           ((size_t)64 << 20) /* 10,000 environments have some 10 MB */

struct client {
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers, *event_headers;
    char *url; /* without a slash at its end */
    char *key; /* its header's line, NULL: none */
    bool is_loopback;
};

/* -- interrupts -------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    interrupted = 1;
}

void client_catch_interrupts(void)
{
    /* Without SA_RESTART: a prompt or a copy in progress ends too. */
    struct sigaction action = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool client_interrupted(void)
{
    return interrupted != 0;
}

void client_sleep_ms(long ms)
{
    if (!client_interrupted())
        poll(NULL, 0, (int)ms);
}

/* -- making ------------------------------------------------------------------------------------ */

static bool is_loopback_name(const char *host)
{
    size_t n = strlen(host);

    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0 || (n > 10 && strcmp(host + n - 10, ".localhost") == 0);
}

/* One part of a parsed URL, NULL if it has none; curl_free(). */
static char *url_part(CURLU *parts, CURLUPart which)
{
    char *text = NULL;

    return curl_url_get(parts, which, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool is_usable(CURLU *parts, bool *ret_loopback)
{
    char *scheme = url_part(parts, CURLUPART_SCHEME), *host = url_part(parts, CURLUPART_HOST);
    char *user = url_part(parts, CURLUPART_USER), *query = url_part(parts, CURLUPART_QUERY);
    char *fragment = url_part(parts, CURLUPART_FRAGMENT);
    bool usable = scheme != NULL && host != NULL && user == NULL && query == NULL &&
                  fragment == NULL && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    *ret_loopback = host != NULL && is_loopback_name(host);
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    return usable;
}

static int set_url(struct client *c, const char *url, struct err *e)
{
    CURLU *parts = curl_url();
    bool usable;

    if (asprintf(&c->url, "%s%s", strstr(url, "://") != NULL ? "" : "http://", url) < 0)
        c->url = NULL;
    usable = parts != NULL && c->url != NULL &&
             curl_url_set(parts, CURLUPART_URL, c->url, 0) == CURLUE_OK &&
             is_usable(parts, &c->is_loopback);
    curl_url_cleanup(parts);
    if (!usable)
        return err_set(e, ERR_INVALID, 0,
                       WORDS("cannot use the URL '%.120s': http://HOST:PORT is wanted",
                             "无法使用地址 '%.120s'，应为 http://主机:端口"),
                       url);
    for (size_t n = strlen(c->url); n > 0 && c->url[n - 1] == '/'; n--)
        c->url[n - 1] = '\0';
    return 0;
}

static int append_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *grown = curl_slist_append(*list, text);

    if (grown == NULL)
        return -1;
    *list = grown;
    return 0;
}

static int add_header(struct client *c, const char *text)
{
    return append_header(&c->headers, text) | append_header(&c->event_headers, text);
}

static int set_headers(struct client *c, const char *key, struct err *e)
{
    int r;

    if (key != NULL && (*key == '\0' || strpbrk(key, "\r\n") != NULL))
        return err_set(e, ERR_INVALID, 0, "%s",
                       WORDS("the key is empty or has a line break", "密钥为空或含有换行"));
    /* Our bodies are small; waiting for "100 Continue" would only cost a second. */
    r = add_header(c, "Expect:");
    r = r < 0 ? r : add_header(c, "Content-Type: application/json");
    r = r < 0 ? r : append_header(&c->event_headers, "Accept: text/event-stream");
    if (r == 0 && key != NULL)
        r = asprintf(&c->key, "X-Api-Key: %s", key) < 0 ? -1 : add_header(c, c->key);
    return r < 0 ? err_set(e, ERR_INTERNAL, 0, "out of memory") : 0;
}

struct client *client_create(const char *url, const char *key, struct err *e)
{
    struct client *c = calloc(1, sizeof *c);

    if (c != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == 0) {
        c->easy = curl_easy_init();
        c->multi = curl_multi_init();
    }
    if (c == NULL || c->easy == NULL || c->multi == NULL)
        err_set(e, ERR_INTERNAL, 0, "out of memory");
    else if (set_url(c, url, e) == 0 && set_headers(c, key, e) == 0)
        return c;
    client_destroy(c);
    return NULL;
}

void client_destroy(struct client *c)
{
    if (c == NULL)
        return;
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->event_headers);
    curl_global_cleanup();
    free(c->url);
    free(c->key);
    free(c);
}

const char *client_url(const struct client *c)
{
    return c->url;
}

/* -- calls ------------------------------------------------------------------------------------- */

struct transfer {
    struct client *client;
    const struct client_call *call;
    struct client_answer *answer;
    char reason[CURL_ERROR_SIZE];
    bool stopped, too_large;
};

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *t = data;
    long status = 0;

    curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->call->piece != NULL && status / 100 == 2) {
        t->stopped = t->call->piece(t->call->data, bytes, size * n) != 0;
        return t->stopped ? 0 : size * n;
    }
    t->too_large = buf_append(&t->answer->body, bytes, size * n) < 0;
    return t->too_large ? 0 : size * n;
}

static size_t on_upload(char *out, size_t size, size_t n, void *data)
{
    const struct transfer *t = data;
    ssize_t got;

    do
        got = read(t->call->file, out, size * n);
    while (got < 0 && errno == EINTR && !client_interrupted());
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* A file's length is told ahead, so that one that does not fit is refused before it is sent. */
static int set_upload(struct transfer *t)
{
    CURL *h = t->client->easy;
    struct stat st;
    int r = 0;

    r |= curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
    r |= curl_easy_setopt(h, CURLOPT_READFUNCTION, on_upload);
    r |= curl_easy_setopt(h, CURLOPT_READDATA, t);
    if (fstat(t->call->file, &st) == 0 && S_ISREG(st.st_mode))
        r |= curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    return r;
}

static int set_options(struct transfer *t, const char *url, const char *body)
{
    CURL *h = t->client->easy;
    const char *ca = getenv("CURL_CA_BUNDLE");
    int r = 0;

    curl_easy_reset(h);
    r |= curl_easy_setopt(h, CURLOPT_URL, url);
    r |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    r |= curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    r |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    r |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    r |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    r |= curl_easy_setopt(h, CURLOPT_TIMEOUT, t->call->timeout_s);
    r |= curl_easy_setopt(h, CURLOPT_USERAGENT, "dunlin/" DUNLIN_VERSION);
    r |= curl_easy_setopt(h, CURLOPT_HTTPHEADER,
                          t->call->events ? t->client->event_headers : t->client->headers);
    r |= curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, t->call->method);
    r |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->reason);
    r |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    r |= curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    if (t->client->is_loopback)
        r |= curl_easy_setopt(h, CURLOPT_PROXY, "");
    if (ca != NULL && *ca != '\0')
        r |= curl_easy_setopt(h, CURLOPT_CAINFO, ca);
    if (t->call->upload)
        r |= set_upload(t);
    else if (body != NULL)
        r |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
    else if (strcmp(t->call->method, "POST") == 0)
        r |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, "");
    return r == 0 ? 0 : -1;
}

/* Until the transfer is over; CURLE_ABORTED_BY_CALLBACK when a person would not wait for it. */
static CURLcode drive(struct transfer *t)
{
    CURLM *multi = t->client->multi;
    int running = 1, left;
    CURLMsg *message;

    while (running > 0) {
        if (client_interrupted())
            return CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (t->call->tick != NULL)
            t->call->tick(t->call->data);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, TICK_MS, NULL);
    }
    message = curl_multi_info_read(multi, &left);
    return message != NULL ? message->data.result : CURLE_FAILED_INIT;
}

static int explain(const struct transfer *t, CURLcode code, struct err *e)
{
    const char *reason = t->reason[0] != '\0' ? t->reason : curl_easy_strerror(code);
    const char *url = t->client->url;
    long errnum = 0;

    curl_easy_getinfo(t->client->easy, CURLINFO_OS_ERRNO, &errnum);
    if (code == CURLE_COULDNT_CONNECT && errnum != 0)
        reason = strerror((int)errnum); /* shorter, and enough beside the address */
    if (client_interrupted() || t->stopped)
        return err_set(e, ERR_CLOSED, 0, "%s", WORDS("interrupted", "已中断"));
    if (t->too_large)
        return err_set(e, ERR_LIMIT, 0,
                       WORDS("the answer is larger than %zu MB", "响应超过 %zu MB"),
                       BODY_MAX >> 20);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, ERR_UNAVAILABLE, 0,
                       WORDS("no server answers at %.60s. Start one with `dunlin serve`, or name "
                             "another with --url or DUNLIN_URL (%.80s)",
                             "%.60s 没有服务。用 dunlin serve 启动，或用 --url 或 DUNLIN_URL "
                             "指定地址 (%.80s)"),
                       url, reason);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_LIMIT, 0,
                       WORDS("the server at %.60s did not answer in time (%.100s)",
                             "%.60s 未及时响应 (%.100s)"),
                       url, reason);
    default:
        return err_set(e, ERR_INTERNAL, 0, "%.60s: %.150s", url, reason);
    }
}

static int finish_body(struct client_answer *a, struct err *e)
{
    if (buf_append(&a->body, "", 1) < 0)
        return err_set(e, ERR_LIMIT, 0, "out of memory");
    a->body.len--;
    a->json = json_loadb(a->body.data, a->body.len, JSON_ALLOW_NUL, NULL);
    return 0;
}

int client_call(struct client *c, const struct client_call *call, struct client_answer *ret,
                struct err *e)
{
    struct transfer t = {.client = c, .call = call, .answer = ret};
    char *url = NULL, *body = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    *ret = (struct client_answer){0};
    buf_init(&ret->body, BODY_MAX);
    if (call->body != NULL)
        body = json_dumps(call->body, JSON_COMPACT);
    if (asprintf(&url, "%s%s", c->url, call->path) < 0)
        url = NULL;
    if (url != NULL && (call->body == NULL || body != NULL) && set_options(&t, url, body) == 0 &&
        curl_multi_add_handle(c->multi, c->easy) == CURLM_OK) {
        code = drive(&t);
        curl_multi_remove_handle(c->multi, c->easy);
    }
    free(url);
    free(body);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &ret->status);
    return code == CURLE_OK ? finish_body(ret, e) : explain(&t, code, e);
}

void client_answer_finish(struct client_answer *a)
{
    buf_finish(&a->body);
    json_decref(a->json);
    a->json = NULL;
}

char *client_path(const char *collection, const char *name, const char *rest)
{
    char *encoded = curl_easy_escape(NULL, name, 0), *path = NULL;

    if (encoded != NULL && asprintf(&path, "/%s/%s%s", collection, encoded, rest) < 0)
        path = NULL;
    curl_free(encoded);
    return path;
}

char *client_escape(const char *text, bool slashes)
{
    static const char keep[] = "-._~";
    char *out = malloc(3 * strlen(text) + 1), *at = out;

    for (; out != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c < 0x80 && isalnum(c)) || strchr(keep, c) != NULL || (slashes && c == '/');

        if (plain)
            *at++ = *text;
        else
            at += sprintf(at, "%%%02X", c);
    }
    if (out != NULL)
        *at = '\0';
    return out;
}

/* -- bare connections -------------------------------------------------------------------------- */

const char *client_host(const struct client *c)
{
    return strstr(c->url, "://") + 3;
}

const char *client_key_header(const struct client *c)
{
    return c->key;
}

CURL *client_connect(struct client *c, curl_socket_t *ret_fd, struct err *e)
{
    const char *ca = getenv("CURL_CA_BUNDLE");
    CURL *h = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    int r = h == NULL ? -1 : 0;

    if (r == 0) {
        r |= curl_easy_setopt(h, CURLOPT_URL, c->url);
        r |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
        r |= curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
        r |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
        r |= curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
        r |= curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        r |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
        if (c->is_loopback)
            r |= curl_easy_setopt(h, CURLOPT_PROXY, "");
        if (ca != NULL && *ca != '\0')
            r |= curl_easy_setopt(h, CURLOPT_CAINFO, ca);
    }
    if (r == 0 && (code = curl_easy_perform(h)) == CURLE_OK)
        code = curl_easy_getinfo(h, CURLINFO_ACTIVESOCKET, ret_fd);
    if (code == CURLE_OK)
        return h;
    err_set(e, ERR_UNAVAILABLE, 0,
            WORDS("no server answers at %.60s (%.100s)", "%.60s 没有服务 (%.100s)"), c->url,
            curl_easy_strerror(code));
    curl_easy_cleanup(h);
    return NULL;
}
