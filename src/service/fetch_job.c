/* fetch_job: see the header.  Runs in the server's loop.  Trusts the settings; URLs, headers and
 * ids are the client's and become strings of JSON, nothing else. */
#include "service/fetch_job.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "engine/nest.h"
#include "engine/run.h"

#define MEMORY_MB 96
#define PROCESSES 16
#define GRACE_S   2 /* the program tells itself that its time is over */
#define WORDS_MAX 3

/* Appends the words of a list that are separated by commas. */
static json_t *split(const char *list)
{
    json_t *words = json_array();

    while (*list != '\0') {
        size_t len;

        list += strspn(list, ", \t");
        len = strcspn(list, ", \t");
        if (len > 0 && json_array_append_new(words, json_stringn(list, len)) < 0) {
            json_decref(words);
            return NULL;
        }
        list += len;
    }
    return words;
}

/* "http://host:8000/path" -> {"http://host:8000", "host"}; false: there is none. */
struct origin {
    const char *text, *host;
    size_t len, host_len;
};

static bool find_origin(const char *url, struct origin *ret)
{
    const char *host = strstr(url, "://");
    size_t colon;

    if (host == NULL)
        return false;
    host += 3;
    *ret = (struct origin){.text = url, .host = host};
    ret->len = (size_t)(host - url) + strcspn(host, "/?#\\@");
    ret->host_len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#\\@");
    colon = (size_t)(host - url) + ret->host_len;
    return colon <= ret->len;
}

static bool is_operators(const struct settings *s, const char *url)
{
    struct origin theirs, ours;

    return find_origin(url, &theirs) && find_origin(s->efast_url, &ours) &&
           theirs.len == ours.len && strncasecmp(theirs.text, ours.text, ours.len) == 0 &&
           theirs.text[theirs.len] != '@' && theirs.text[theirs.len] != '\\';
}

/* The operator's store is one of the hosts, since the operator has named it. */
static int add_store_host(json_t *hosts, const struct settings *s)
{
    struct origin o;

    if (!find_origin(s->efast_url, &o))
        return 0;
    if (o.host[0] == '[')
        return json_array_append_new(hosts, json_stringn(o.host + 1, o.host_len - 2));
    return json_array_append_new(hosts, json_stringn(o.host, o.host_len));
}

static json_t *document(const struct settings *s, const struct fetch_wanted *w,
                        const struct fetch_item *item)
{
    const char *url = w->store_url != NULL && w->store_url[0] != '\0' ? w->store_url : s->efast_url;
    const char *token = w->token != NULL ? w->token : "";

    if (token[0] == '\0' && is_operators(s, url))
        token = s->efast_token;
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "url", url, "token", token, "docid", item->docid,
                     "savename", item->savename, "rev", item->rev);
}

static json_t *headers(const struct fetch_item *item)
{
    json_t *all = json_object();

    for (size_t i = 0; i < item->nheaders; i++) {
        if (json_object_set_new(all, item->headers[i].name, json_string(item->headers[i].value)) <
            0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

char *fetch_job_text(const struct settings *s, const struct fetch_wanted *w,
                     const struct fetch_item *item)
{
    json_t *hosts = split(s->fetch_hosts), *job;
    char *text;

    if (hosts != NULL && item->docid != NULL)
        add_store_host(hosts, s);
    /* json_pack takes references over, and fails when one is NULL. */
    job = json_pack("{s:o, s:o, s:I, s:I, s:o}", "hosts", hosts, "networks",
                    split(s->network_allow), "max_bytes", (json_int_t)s->fetch_max_size, "seconds",
                    (json_int_t)w->seconds, item->docid != NULL ? "efast" : "headers",
                    item->docid != NULL ? document(s, w, item) : headers(item));
    if (job != NULL && item->docid == NULL &&
        json_object_set_new(job, "url", json_string(item->url)) < 0) {
        json_decref(job);
        return NULL;
    }
    text = job != NULL ? json_dumps(job, JSON_COMPACT) : NULL;
    json_decref(job);
    return text;
}

struct run_spec *fetch_job_spec(char *text, uint32_t seconds)
{
    static const char *const words[] = {"python3", "-I", "/opt/dunlin/fetch/fetch.py"};
    struct run_spec *spec = run_spec_create();

    if (spec == NULL) {
        free(text);
        return NULL;
    }
    spec->stdin_data = text;
    spec->stdin_len = strlen(text);
    spec->program = calloc(WORDS_MAX, sizeof *spec->program);
    for (size_t i = 0; spec->program != NULL && i < WORDS_MAX; i++) {
        spec->program[i] = strdup(words[i]);
        if (spec->program[i] == NULL)
            break;
        spec->nprogram++;
    }
    if (spec->nprogram < WORDS_MAX) {
        run_spec_destroy(spec);
        return NULL;
    }
    spec->is_stream = true;
    spec->network = SPAWN_NETWORK_BRIDGE;
    spec->timeout_ms = (seconds + GRACE_S) * 1000;
    spec->limits.memory_mb = MEMORY_MB;
    spec->limits.processes = PROCESSES;
    spec->files_mode = RUN_FILES_CHANGED;
    return spec;
}
