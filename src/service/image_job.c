/* image_job: the making of base layers.
 *
 * Runs in the server, on the loop.  Host layers are made by the spawner from the host's packages;
 * images by our tools in a sandbox (runtime/image), from registries, mirrors and archives that are
 * not trusted.  Whoever wants a layer that is being made waits for that. */
#include "service/image_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/settings.h"
#include "service/build_task.h"
#include "service/environment_internal.h"

#define MAKE      "/opt/dunlin/image/make"
#define ENV_MAX   4
#define ENV_BYTES 4608 /* sixteen registries */
#define LAST_LINE 400  /* bytes of the last line that is shown as a reason */

struct image_wait {
    struct image_job *job;
    struct image_wait *next;
    build_line *on_line;
    void (*on_pause)(void *data);
    void (*on_done)(void *data, const char *reason);
    void *data;
};

struct image_job {
    struct environment_service *service;
    struct image_job *next;
    struct image_wait *waits;
    enum image_job_kind kind;
    char name[RESOLVE_NAME];
    uint64_t input;
    uint64_t layer;          /* being made, 0: not yet */
    uint64_t tools;          /* pinned, 0: not */
    struct image_wait *wait; /* for the tools */
    struct build_task *task;
    bool holds_turn; /* counts against BUILD_CONCURRENCY */
    bool queued;
    bool abandoned;
    char last[LAST_LINE];
};

static const char *host_key(const struct image_job *j)
{
    const struct environment_service_config *c = &j->service->config;

    return j->kind == IMAGE_JOB_HOST ? c->host_base : c->host_tools;
}

static bool is_host(const struct image_job *j)
{
    return j->kind == IMAGE_JOB_HOST || j->kind == IMAGE_JOB_TOOLS;
}

/* -- the end of a job -------------------------------------------------------------------------- */

static void unlink_job(struct image_job *j)
{
    struct image_job **at = &j->service->jobs;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
}

static void finish(struct image_job *j, const char *reason)
{
    struct environment_service *s = j->service;
    struct image_wait *next;

    unlink_job(j);
    if (j->holds_turn)
        s->working--;
    if (reason != NULL) {
        log_event(LOG_WARNING, "image.failed", LOG_STR("name", j->name), LOG_STR("reason", reason));
        if (j->layer != 0)
            layer_discard(s, j->layer, NULL, NULL);
    }
    for (struct image_wait *w = j->waits; w != NULL; w = next) {
        next = w->next;
        w->on_done(w->data, reason);
        free(w);
    }
    layer_unpin(s, j->tools);
    free(j);
    environment_soon(s);
}

static void fail(struct image_job *j, const struct err *e)
{
    finish(j, e->text);
}

/* -- layers of the host ------------------------------------------------------------------------ */

static void on_host_made(void *data, uint64_t bytes, const struct err *e)
{
    struct image_job *j = data;
    const struct layer_record made = {
        .id = j->layer, .bytes = bytes, .python = (char *)j->service->config.host_python};
    struct err failure = {0};

    if (e != NULL)
        fail(j, e);
    else if (store_layer_ready(j->service->store, &made, &failure) < 0)
        fail(j, &failure);
    else
        finish(j, NULL);
}

static int start_host(struct image_job *j, struct err *e)
{
    struct environment_service *s = j->service;
    enum spawn_host_layer which = j->kind == IMAGE_JOB_HOST ? SPAWN_HOST_BASE : SPAWN_HOST_TOOLS;

    if (host_key(j)[0] == '\0')
        return err_set(e, ERR_UNAVAILABLE, 0,
                       j->kind == IMAGE_JOB_HOST
                           ? "this host cannot give a base (see dunlin doctor)"
                           : "images need skopeo, umoci, mmdebstrap and libarchive-tools on this "
                             "host (apt install them, then start dunlin again)");
    if (store_layer_add(s->store, LAYER_HOST, host_key(j), 0, &j->layer, e) < 0)
        return -1;
    return layer_make_host(s->config.engine, which, j->layer, on_host_made, j) == 0
               ? 0
               : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
}

/* -- images ------------------------------------------------------------------------------------ */

static void on_line(void *data, int stream, const char *line, size_t len)
{
    struct image_job *j = data;

    if (len > 0)
        snprintf(j->last, sizeof j->last, "%.*s", (int)len, line);
    for (struct image_wait *w = j->waits; w != NULL; w = w->next) {
        if (w->on_line != NULL)
            w->on_line(w->data, stream, line, len);
    }
}

static void on_pause(void *data)
{
    struct image_job *j = data;

    for (struct image_wait *w = j->waits; w != NULL; w = w->next) {
        if (w->on_pause != NULL)
            w->on_pause(w->data);
    }
}

static const char *source_name(enum image_job_kind kind)
{
    return kind == IMAGE_JOB_PULL ? "pull" : kind == IMAGE_JOB_IMPORT ? "import" : "debootstrap";
}

/* The layer is there: takes it, or the equal one that we have already.  The key of an image is its
 * digest; without one no two are known to be equal. */
static int keep_image(struct image_job *j, const struct build_task_result *r, struct err *e)
{
    struct store *store = j->service->store;
    struct layer_record made = {.id = j->layer,
                                .bytes = r->bytes,
                                .python = (char *)r->facts.python,
                                .packages = r->facts.packages},
                        equal = {0};
    struct image_record image = {.name = j->name,
                                 .source = (char *)source_name(j->kind),
                                 .digest = (char *)r->facts.digest,
                                 .python_version = (char *)r->facts.python,
                                 .layer = j->layer,
                                 .bytes = r->bytes};
    char *now = environment_now();
    int result = -1;

    image.created_at = now;
    if (r->facts.digest[0] != '\0') {
        made.key = (char *)r->facts.digest;
        if (store_layer_find(store, made.key, &equal, e) < 0)
            goto end;
    }
    if (equal.id != 0)
        image.layer = equal.id;
    else if (store_layer_ready(store, &made, e) < 0)
        goto end;
    result = now != NULL ? store_image_put(store, &image, e)
                         : err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    if (result == 0 && equal.id != 0)
        layer_discard(j->service, j->layer, NULL, NULL);
end:
    layer_record_finish(&equal);
    free(now);
    return result;
}

static void on_task_done(void *data, struct build_task_result *r)
{
    struct image_job *j = data;
    struct err e = {0};
    char reason[LAST_LINE + BUILD_TASK_REASON + 8];

    j->task = NULL;
    if (!r->ok) {
        /* The tool's last line says what went wrong; how it ended is of interest without one. */
        if (j->last[0] != '\0' && strstr(r->reason, "exit status") != NULL)
            snprintf(reason, sizeof reason, "%s", j->last);
        else
            snprintf(reason, sizeof reason, "%s", r->reason);
        finish(j, reason);
    } else if (keep_image(j, r, &e) < 0) {
        fail(j, &e);
    } else {
        log_event(LOG_INFO, "image.made", LOG_STR("name", j->name),
                  LOG_STR("digest", r->facts.digest), LOG_INT("bytes", (int64_t)r->bytes),
                  LOG_REAL("seconds", r->seconds));
        finish(j, NULL);
    }
}

/* Registries that the operator has named are asked through the host's network, all others from
 * behind the filter, as a client's own code would have to. */
static int choose_network(const struct image_job *j, enum spawn_network *ret, struct err *e)
{
    const struct settings *t = j->service->config.settings;

    *ret = SPAWN_NETWORK_HOST;
    if (j->kind == IMAGE_JOB_IMPORT)
        *ret = SPAWN_NETWORK_NONE;
    if (j->kind != IMAGE_JOB_PULL || resolve_is_listed(j->name, t->registry_mirror, t->registries))
        return 0;
    *ret = SPAWN_NETWORK_BRIDGE;
    if (j->service->rules.max_network >= SPAWN_NETWORK_BRIDGE)
        return 0;
    return err_set(e, ERR_UNAVAILABLE, 0,
                   "its registry is not in REGISTRIES, and MAX_NETWORK none lets nothing else out");
}

/* Where the tools find things; returns how many variables there are. */
static size_t fill_environment(const struct settings *t, char text[ENV_MAX][ENV_BYTES],
                               const char *ret[ENV_MAX])
{
    const char *const given[ENV_MAX][2] = {{"DUNLIN_MIRROR", t->registry_mirror},
                                           {"DUNLIN_INSECURE", t->registry_insecure},
                                           {"DUNLIN_DEBIAN_MIRROR", t->debian_mirror}};
    size_t n = 0;

    for (size_t i = 0; i < ENV_MAX; i++) {
        if (given[i][0] == NULL || given[i][1][0] == '\0')
            continue;
        snprintf(text[n], ENV_BYTES, "%s=%s", given[i][0], given[i][1]);
        ret[n] = text[n];
        n++;
    }
    return n;
}

/* "debootstrap:trixie" -> "trixie" */
static const char *argument_of(const struct image_job *j)
{
    const char *colon = strchr(j->name, ':');

    return j->kind == IMAGE_JOB_DEBOOTSTRAP && colon != NULL ? colon + 1 : j->name;
}

static int start_task(struct image_job *j, struct err *e)
{
    struct environment_service *s = j->service;
    const struct settings *t = s->config.settings;
    char text[ENV_MAX][ENV_BYTES];
    const char *env[ENV_MAX];
    const char *const program[] = {MAKE, source_name(j->kind), argument_of(j)};
    bool has_auth = j->kind == IMAGE_JOB_PULL && s->config.registry_auth[0] != '\0';
    struct build_task_config c = {
        .make = {.kind = SPAWN_NEST_TOOL,
                 .nlayers = 1,
                 .layers = {j->tools},
                 .target = j->layer,
                 .input = j->kind == IMAGE_JOB_IMPORT ? j->input : 0},
        .program = program,
        .nprogram = j->kind == IMAGE_JOB_IMPORT ? 2 : 3, /* the archive is always /input */
        .file_name = has_auth ? "auth.json" : NULL,
        .file_data = s->config.registry_auth,
        .env = env,
        .nenv = fill_environment(t, text, env),
        .what = "the tool",
        .on_line = on_line,
        .on_pause = on_pause,
        .on_done = on_task_done,
        .data = j,
    };
    enum spawn_network network;

    if (choose_network(j, &network, e) < 0)
        return -1;
    c.make.network = network;
    j->task = build_task_start(s, &c, e);
    return j->task != NULL ? 0 : -1;
}

/* The tools are there. */
static int start_with_tools(struct image_job *j, uint64_t tools, struct err *e)
{
    struct environment_service *s = j->service;
    char key[RESOLVE_NAME + 64];

    if (layer_pin(s, tools, e) < 0)
        return -1;
    j->tools = tools;
    /* Until its digest is known the key only has to be one of its own. */
    snprintf(key, sizeof key, "image %s", j->name);
    if (store_layer_add(s->store, LAYER_IMAGE, key, 0, &j->layer, e) < 0)
        return -1;
    return start_task(j, e);
}

static int start_image(struct image_job *j, struct err *e);

static void on_tools(void *data, const char *reason)
{
    struct image_job *j = data;
    struct err e = {0};

    j->wait = NULL;
    if (reason != NULL)
        finish(j, reason);
    else if (start_image(j, &e) < 0)
        fail(j, &e);
}

static int start_image(struct image_job *j, struct err *e)
{
    struct environment_service *s = j->service;
    const struct image_wanted_job tools = {.kind = IMAGE_JOB_TOOLS,
                                           .name = "",
                                           .on_line = on_line,
                                           .on_pause = on_pause,
                                           .on_done = on_tools,
                                           .data = j};
    struct layer_record layer = {0};
    uint64_t id;

    if (s->config.host_tools[0] != '\0' &&
        store_layer_find(s->store, s->config.host_tools, &layer, e) < 0)
        return -1;
    id = layer.id;
    layer_record_finish(&layer);
    if (id != 0)
        return start_with_tools(j, id, e);
    j->wait = image_job_want(s, &tools, e);
    return j->wait != NULL ? 0 : -1;
}

/* -- wanting ----------------------------------------------------------------------------------- */

static struct image_job *find_job(const struct environment_service *s, enum image_job_kind kind,
                                  const char *name)
{
    struct image_job *j = s->jobs;

    while (j != NULL && (j->abandoned || j->kind != kind || strcmp(j->name, name) != 0))
        j = j->next;
    return j;
}

bool image_job_is_running(const struct environment_service *s, enum image_job_kind kind,
                          const char *name)
{
    return find_job(s, kind, name) != NULL;
}

static int start(struct image_job *j, struct err *e)
{
    if (j->kind == IMAGE_JOB_IMPORT) { /* its turn comes from the pump */
        j->queued = true;
        environment_soon(j->service);
        return 0;
    }
    return is_host(j) ? start_host(j, e) : start_image(j, e);
}

static struct image_job *create_job(struct environment_service *s, const struct image_wanted_job *w,
                                    struct err *e)
{
    struct image_job *j = calloc(1, sizeof *j);

    if (j == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    *j = (struct image_job){.service = s, .next = s->jobs, .kind = w->kind, .input = w->input};
    snprintf(j->name, sizeof j->name, "%s", w->name);
    s->jobs = j;
    if (start(j, e) == 0)
        return j;
    unlink_job(j);
    if (j->layer != 0)
        layer_discard(s, j->layer, NULL, NULL);
    layer_unpin(s, j->tools);
    free(j);
    return NULL;
}

struct image_wait *image_job_want(struct environment_service *s, const struct image_wanted_job *w,
                                  struct err *e)
{
    struct image_wait *wait = calloc(1, sizeof *wait);
    struct image_job *j;

    if (wait == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    j = find_job(s, w->kind, w->name);
    if (j == NULL)
        j = create_job(s, w, e);
    if (j == NULL) {
        free(wait);
        return NULL;
    }
    *wait = (struct image_wait){.job = j,
                                .next = j->waits,
                                .on_line = w->on_line,
                                .on_pause = w->on_pause,
                                .on_done = w->on_done,
                                .data = w->data};
    j->waits = wait;
    return wait;
}

/* Nobody wants it: a task is ended and then cleaned up after; a layer of the host is made anyway,
 * because somebody will want it. */
static void abandon(struct image_job *j)
{
    if (j->task != NULL) {
        j->abandoned = true;
        build_task_cancel(j->task, NULL);
    } else if (j->wait != NULL) {
        image_wait_cancel(j->wait);
        j->wait = NULL;
        finish(j, "cancelled");
    }
}

void image_wait_cancel(struct image_wait *w)
{
    struct image_job *j = w->job;
    struct image_wait **at = &j->waits;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    free(w);
    if (j->waits == NULL)
        abandon(j);
}

void image_jobs_pump(struct environment_service *s)
{
    struct image_job *next;

    for (struct image_job *j = s->jobs; j != NULL; j = next) {
        struct err e = {0};

        next = j->next;
        if (!j->queued || s->working >= s->rules.build_concurrency)
            continue;
        j->queued = false;
        j->holds_turn = true;
        s->working++;
        if (start_image(j, &e) < 0)
            fail(j, &e);
    }
}

void image_jobs_destroy(struct environment_service *s)
{
    struct image_job *next;
    struct image_wait *next_wait;

    for (struct image_job *j = s->jobs; j != NULL; j = next) {
        next = j->next;
        for (struct image_wait *w = j->waits; w != NULL; w = next_wait) {
            next_wait = w->next;
            free(w);
        }
        free(j);
    }
    s->jobs = NULL;
}

/* -- what is there ----------------------------------------------------------------------------- */

static int find_host(struct environment_service *s, struct image_base *ret, struct err *e)
{
    struct layer_record layer = {0};

    if (s->config.host_base[0] == '\0' ||
        store_layer_find(s->store, s->config.host_base, &layer, e) < 0)
        return s->config.host_base[0] == '\0' ? 0 : -1;
    ret->layer = layer.id;
    snprintf(ret->key, sizeof ret->key, "%s", s->config.host_base);
    snprintf(ret->python, sizeof ret->python, "%s", s->config.host_python);
    snprintf(ret->text, sizeof ret->text, "host");
    layer_record_finish(&layer);
    return 0;
}

static int find_image(struct environment_service *s, const char *name, struct image_base *ret,
                      struct err *e)
{
    struct image_record image = {0};
    struct layer_record layer = {0};

    if (store_image_get(s->store, name, &image, e) < 0)
        return -1;
    if (image.name == NULL)
        return 0;
    if (store_layer_get(s->store, image.layer, &layer, e) < 0 || layer.id == 0) {
        image_record_finish(&image);
        return layer.id == 0 ? 0 : -1;
    }
    ret->layer = layer.id;
    /* A digest is a key for ever; any other is only good for this very layer. */
    if (image.digest[0] != '\0')
        snprintf(ret->key, sizeof ret->key, "%s", image.digest);
    else
        snprintf(ret->key, sizeof ret->key, "layer %llu", (unsigned long long)layer.id);
    snprintf(ret->digest, sizeof ret->digest, "%s", image.digest);
    snprintf(ret->python, sizeof ret->python, "%s", image.python_version);
    snprintf(ret->text, sizeof ret->text, "image %s%s%.90s%s", name,
             image.digest[0] != '\0' ? " (" : "", image.digest, image.digest[0] != '\0' ? ")" : "");
    free(image.last_used);
    image.last_used = environment_now();
    store_image_put(s->store, &image, NULL);
    layer_record_finish(&layer);
    image_record_finish(&image);
    return 0;
}

int image_base_find(struct environment_service *s, const char *name, struct image_base *ret,
                    struct err *e)
{
    *ret = (struct image_base){0};
    return name[0] == '\0' ? find_host(s, ret, e) : find_image(s, name, ret, e);
}
