/* serve: wires the server together and runs its loop.
 *
 * Starts as the operator's root process: reads settings, starts the spawner, opens sockets, files
 * and pages.  Then it locks itself down (lockdown.c), and only then serves.  It never goes on when
 * a part is missing: if the spawner dies, it ends, and whoever supervises starts both again. */
#include "server/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "engine/launch.h"
#include "http/http.h"
#include "server/hosts.h"
#include "server/lockdown.h"
#include "service/environment.h"
#include "service/session.h"
#include "store/store.h"

#define DRAIN_MS     8000       /* runs in progress may end after SIGTERM */
#define AUTH_MAX     (64 << 10) /* bytes of the credentials for registries */
#define SIGNALS      2
#define PRIORITY     (-10) /* nice value */
#define POOL_THREADS "2"   /* decoding of large bodies, off the loop */
#define ARENAS       1     /* of malloc: each costs address space and keeps what it freed */
#define MMAP_THRESHOLD                                                                             \
    (128 << 10) /* larger blocks go back to the kernel as soon as they are free */

struct server {
    struct settings settings;
    struct launch_paths paths;
    struct launch launch;
    uv_loop_t loop;
    struct engine *engine;
    struct environment_service *environments;
    struct session_service *sessions;
    struct store *store;
    int state, logs;     /* directories: DATA/db, DATA/db/logs */
    char *registry_auth; /* text of REGISTRY_AUTH_FILE */
    struct api *api;
    struct http_server *http;
    uv_signal_t signals[SIGNALS];
    uv_timer_t deadline; /* of an orderly stop */
    int landlock_abi;    /* of the kernel; a locked server cannot ask any more */
    bool stopping;
    int status;
};

static void stop(struct server *s, int status)
{
    s->status = status;
    uv_stop(&s->loop);
}

static void on_spawner_gone(void *data)
{
    struct server *s = data;

    if (s->stopping)
        return;
    log_event(LOG_ERROR, "spawner.gone");
    stop(s, 1);
}

static void on_drained(void *data)
{
    stop(data, 0);
}

static void on_deadline(uv_timer_t *timer)
{
    stop(timer->data, 0);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct server *s = handle->data;

    if (s->stopping) { /* asked twice: at once */
        stop(s, 0);
        return;
    }
    s->stopping = true;
    log_event(LOG_INFO, "server.stopping", LOG_STR("signal", strsignal(signum)));
    uv_timer_start(&s->deadline, on_deadline, DRAIN_MS, 0);
    http_server_drain(s->http, on_drained, s);
}

static void warn(const char *text)
{
    log_event(LOG_WARNING, "settings", LOG_STR("text", text));
}

/* Settings, or the help text.  1: go on; otherwise *ret_status is the exit status. */
static int read_settings(struct server *s, int argc, char **argv, int *ret_status)
{
    enum log_level level = LOG_INFO;
    struct err e = {0};
    int rest = argc;

    *ret_status = 2;
    if (settings_load(&s->settings, ".env", argc, argv, &rest, warn, &e) < 0) {
        fprintf(stderr, "dunlin serve: %s\n", e.text);
        return 0;
    }
    if (rest < argc && (strcmp(argv[rest], "--help") == 0 || strcmp(argv[rest], "-h") == 0)) {
        puts("usage: dunlin serve [FLAGS]\n\nServe the HTTP API.\n");
        settings_help(stdout);
        *ret_status = 0;
        return 0;
    }
    if (rest < argc) {
        fprintf(stderr, "dunlin serve: unexpected '%s' (see dunlin serve --help)\n", argv[rest]);
        return 0;
    }
    log_level_parse(s->settings.log_level, &level);
    log_init("server", level,
             strcmp(s->settings.log_format, "json") == 0   ? LOG_JSON
             : strcmp(s->settings.log_format, "text") == 0 ? LOG_TEXT
                                                           : LOG_AUTO);
    return 1;
}

static void raise_descriptors(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return;
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
}

/* The spawner inherits the limit. */
static void bound_sessions(struct settings *s)
{
    struct rlimit lim;
    uint32_t fit;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return;
    fit = launch_live_sessions(s, lim.rlim_cur);
    if (fit >= s->session_live_limit)
        return;
    log_event(LOG_WARNING, "sessions.limited", LOG_INT("SESSION_LIVE_LIMIT", s->session_live_limit),
              LOG_INT("lowered_to", fit), LOG_INT("open_files", (int64_t)lim.rlim_cur),
              LOG_STR("advice", "raise the limit of open files: LimitNOFILE=65536 in the unit, or "
                                "ulimit -Hn 65536"));
    s->session_live_limit = fit;
}

static int start_engine(struct server *s, struct err *e)
{
    const struct settings *t = &s->settings;
    struct engine_config config = {
        .spawner = fd_steal(&s->launch.spawner),
        .pool_min = (uint32_t)t->pool_min,
        .pool_max = (uint32_t)t->pool_max,
        .limits = {.memory_mb = (uint32_t)(t->memory_limit >> 20),
                   .cpu_milli = (uint32_t)t->cpu_milli,
                   .processes = (uint32_t)t->process_limit,
                   .workspace_mb = (uint32_t)(t->workspace_limit >> 20),
                   .output_kb = (uint32_t)(t->output_limit >> 10)},
        .work_dir = t->work_dir,
        .network = launch_network(t),
        .landlock_abi = s->landlock_abi,
        .warm = true,
        .on_spawner_gone = on_spawner_gone,
        .data = s,
    };

    s->engine = engine_create(&s->loop, &config, e);
    return s->engine != NULL ? 0 : -1;
}

/* "" without one.  It is the operator's and read while we still are. */
static int read_registry_auth(struct server *s, struct err *e)
{
    const char *path = s->settings.registry_auth_file;
    _cleanup_fd_ int fd = -1;
    ssize_t n;

    s->registry_auth = calloc(1, AUTH_MAX + 1);
    if (s->registry_auth == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    if (path[0] == '\0')
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, s->registry_auth, AUTH_MAX + 1) : -1;
    if (n < 0)
        return err_set(e, ERR_INVALID, errno, "REGISTRY_AUTH_FILE %.150s", path);
    if (n > AUTH_MAX)
        return err_set(e, ERR_INVALID, 0, "REGISTRY_AUTH_FILE %.150s has more than %d bytes", path,
                       AUTH_MAX);
    return 0;
}

static int create_environments(struct server *s, struct err *e)
{
    if (read_registry_auth(s, e) < 0)
        return -1;
    s->environments = environment_service_create(
        &(const struct environment_service_config){.loop = &s->loop,
                                                   .engine = s->engine,
                                                   .settings = &s->settings,
                                                   .host_base = s->launch.base_key,
                                                   .host_tools = s->launch.tools_key,
                                                   .host_python = s->launch.python_version,
                                                   .registry_auth = s->registry_auth},
        e);
    if (s->environments == NULL)
        return -1;
    api_use_environments(s->api, s->environments);
    return 0;
}

static int create_sessions(struct server *s, struct err *e)
{
    s->sessions = session_service_create(
        &(const struct session_service_config){.loop = &s->loop,
                                               .engine = s->engine,
                                               .environments = s->environments,
                                               .settings = &s->settings},
        e);
    if (s->sessions == NULL)
        return -1;
    api_use_sessions(s->api, s->sessions);
    return 0;
}

static int start_http(struct server *s, struct err *e)
{
    char *hosts[HOSTS_MAX];
    size_t n = 0;
    struct http_config config = {.port = (int)s->settings.port,
                                 .second_port = (int)s->settings.se_port,
                                 .body_budget = (size_t)s->settings.body_budget,
                                 .handler = api_handle,
                                 .body_limit = api_body_limit,
                                 .streams_body = api_streams_body,
                                 .error_body = api_error_body,
                                 .data = s->api};

    if (hosts_split(s->settings.host, hosts, &n, e) < 0)
        return -1;
    if (!api_has_keys(s->api) && !s->settings.allow_anonymous && !hosts_are_loopback(hosts, n)) {
        hosts_free(hosts, n);
        return err_set(e, ERR_INVALID, 0,
                       "HOST %.60s can be reached from outside and no key is set: set API_KEYS or "
                       "API_KEY_FILE, or say --allow-anonymous",
                       s->settings.host);
    }
    config.hosts = (const char *const *)hosts;
    config.nhosts = n;
    s->http = http_server_create(&s->loop, &config, e);
    hosts_free(hosts, n);
    return s->http != NULL ? 0 : -1;
}

static int watch_signals(struct server *s, struct err *e)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT};

    for (int i = 0; i < SIGNALS; i++) {
        int r = uv_signal_init(&s->loop, &s->signals[i]);

        s->signals[i].data = s;
        if (r == 0)
            r = uv_signal_start(&s->signals[i], on_signal, numbers[i]);
        if (r < 0)
            return err_set(e, ERR_INTERNAL, -r, "watch for %s", strsignal(numbers[i]));
    }
    uv_timer_init(&s->loop, &s->deadline);
    s->deadline.data = s;
    return 0;
}

/* DATA/db and DATA/db/logs, the server's own; it is the working directory from now on, because the
 * directories above it may be closed to the identity that the server takes next.  Safe because DATA
 * is root's and nothing in it is followed: a server that was taken over owns what is in db/, so
 * that is neither read nor opened here. */
static int enter_state(struct server *s, struct err *e)
{
    char path[SPAWN_PATH + 8];
    const uid_t uid = SPAWN_UID_SERVER;

    snprintf(path, sizeof path, "%s/db", s->settings.data);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, errno, "mkdir %s", path);
    s->state = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->state < 0 || fchown(s->state, uid, uid) < 0 || fchmod(s->state, 0700) < 0)
        return err_set(e, ERR_INTERNAL, errno, "prepare %s", path);
    if ((mkdirat(s->state, "logs", 0700) < 0 && errno != EEXIST) ||
        fchownat(s->state, "logs", uid, uid, AT_SYMLINK_NOFOLLOW) < 0 || fchdir(s->state) < 0)
        return err_set(e, ERR_INTERNAL, errno, "prepare %s/logs", path);
    return 0;
}

/* What the locked server opens: its database, the directory of the build logs, and with them the
 * environments and sessions. */
static int open_state(struct server *s, struct err *e)
{
    s->store = store_open(".", e);
    if (s->store == NULL)
        return -1;
    s->logs = open("logs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->logs < 0)
        return err_set(e, ERR_INTERNAL, errno, "open db/logs");
    if (environment_service_start(s->environments, s->store, s->logs, e) < 0)
        return -1;
    return session_service_start(s->sessions, s->store, e);
}

/* checklist */
static int start(struct server *s, struct err *e)
{
    char web[SPAWN_PATH + 8];

    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 1);
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    raise_descriptors();
    bound_sessions(&s->settings);
    /* Both parts use little of the CPU, and everybody waits for them (R52); the spawner inherits
     * it. Where the priority may not be raised, things only get slower. */
    (void)setpriority(PRIO_PROCESS, 0, PRIORITY);
    s->landlock_abi = lockdown_landlock_abi();
    if (launch_find_paths(&s->paths, e) < 0 ||
        launch_start(&s->settings, &s->paths, true, false, &s->launch, e) < 0)
        return -1;
    snprintf(web, sizeof web, "%s/web", s->paths.share);
    if (start_engine(s, e) < 0)
        return -1;
    s->api = api_create(&s->loop, &s->settings, s->engine, web, e);
    if (s->api == NULL || create_environments(s, e) < 0 || create_sessions(s, e) < 0 ||
        start_http(s, e) < 0)
        return -1;
    if (watch_signals(s, e) < 0 || enter_state(s, e) < 0 ||
        lockdown_enter(SPAWN_UID_SERVER, s->state, e) < 0)
        return -1;
    return open_state(s, e);
}

/* What a person at the terminal wants to see; logs go to stderr. */
static void greet(const struct server *s)
{
    int port = http_server_port(s->http);
    const char *key = api_has_keys(s->api) ? "-H 'X-Api-Key: YOUR-KEY' " : "";

    printf("\n  Dunlin %s serves on http://localhost:%d\n\n", DUNLIN_VERSION, port);
    printf("  Try it:  curl -s localhost:%d/execute %s-H 'Content-Type: application/json' \\\n"
           "             -d '{\"code\": \"print(2 ** 64)\"}'\n",
           port, key);
    printf("  Docs:    http://localhost:%d/docs\n", port);
    if (s->settings.se_port > 0)
        printf("  Also on: http://localhost:%d\n", (int)s->settings.se_port);
    printf("  Stop:    Ctrl-C\n\n");
    fflush(stdout);
}

static void log_start(const struct server *s, uint64_t started_us)
{
    log_event(LOG_INFO, "server.started", LOG_STR("version", DUNLIN_VERSION),
              LOG_STR("host", s->settings.host), LOG_INT("port", http_server_port(s->http)),
              LOG_INT("second_port", s->settings.se_port), LOG_BOOL("keys", api_has_keys(s->api)),
              LOG_INT("start_ms", (int64_t)(clock_now_us() - started_us) / 1000));
    log_event(LOG_INFO, "server.locks", LOG_INT("uid", SPAWN_UID_SERVER),
              LOG_STR("capabilities", "none"), LOG_STR("seccomp", "server"),
              LOG_INT("landlock_abi", s->landlock_abi));
    log_event(LOG_INFO, "sandbox.locks", LOG_STR("namespaces", "user,pid,mount,net,ipc,uts,cgroup"),
              LOG_STR("seccomp", "default"), LOG_STR("network", "none"),
              LOG_INT("memory_mb", s->settings.memory_limit >> 20),
              LOG_INT("cpu_milli", s->settings.cpu_milli),
              LOG_INT("processes", s->settings.process_limit),
              LOG_INT("workspace_mb", s->settings.workspace_limit >> 20));
}

/* In the order that api.h asks for; what is half-made is NULL. */
static void finish(struct server *s)
{
    http_server_destroy(s->http);
    engine_destroy(s->engine);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    session_service_destroy(s->sessions);
    environment_service_destroy(s->environments);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    store_close(s->store);
    fd_close(&s->logs);
    fd_close(&s->state);
    fd_close(&s->launch.spawner);
    launch_wait(&s->launch);
    free(s->registry_auth);
    settings_finish(&s->settings);
}

int serve_main(int argc, char **argv)
{
    static struct server s = {.launch = {.spawner = -1, .lock = -1}, .state = -1, .logs = -1};
    uint64_t started_us = clock_now_us();
    struct err e = {0};

    log_init("server", LOG_INFO, LOG_AUTO);
    if (read_settings(&s, argc, argv, &s.status) != 1)
        return s.status;
    s.status = uv_loop_init(&s.loop);
    if (s.status < 0) {
        fprintf(stderr, "dunlin serve: event loop: %s\n", uv_strerror(s.status));
        settings_finish(&s.settings);
        return 1;
    }
    if (start(&s, &e) == 0) {
        log_start(&s, started_us);
        greet(&s);
        uv_run(&s.loop, UV_RUN_DEFAULT);
        log_event(LOG_INFO, "server.stopped", LOG_INT("status", s.status));
    } else {
        fprintf(stderr, "dunlin serve: %s\n", e.text);
        s.status = 1;
    }
    finish(&s);
    return s.status;
}
