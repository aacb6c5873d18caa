/* launch: the steps between the operator's command and a running spawner.
 *
 * Runs as root, in the operator's process, before any client exists.  Trusts the settings and the
 * files of the installation; parses one line of JSON that our own program printed. */
#include "engine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/language.h"
#include "engine/launch_config.h"

#define SPAWNER_FD    3
#define LOCK_FD       4   /* the spawner holds the instance's lock too, until it has cleaned up */
#define LOCK_POLLS    100 /* of 50 ms: how long a killed server's spawner may take for that */
#define LOCK_PAUSE_US 50000
#define ANSWER_MAX    4096 /* bytes of the system copy's one line */
#define BESIDE_MAX    64   /* local runs at once beside a server */
#define STOP_POLLS    100  /* of 50 ms: how long the spawner may take to clean up */
#define STOP_PAUSE_US 50000

int launch_find_paths(struct launch_paths *ret, struct err *e)
{
    char exe[PATH_MAX], *prefix;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n < 0)
        return err_set(e, ERR_INTERNAL, errno, "find our own executable");
    exe[n] = '\0';
    prefix = dirname(dirname(exe)); /* PREFIX/bin/dunlin */
    if (snprintf(ret->libexec, sizeof ret->libexec, "%s/libexec/dunlin", prefix) >=
            (int)sizeof ret->libexec ||
        snprintf(ret->share, sizeof ret->share, "%s/share/dunlin", prefix) >=
            (int)sizeof ret->share)
        return err_set(e, ERR_INVALID, 0, "the path of the installation is too long: %.150s",
                       prefix);
    return 0;
}

/* mkdir -p.  0755: the server reads nothing here, and nothing here is secret. */
static int make_dirs(const char *path, struct err *e)
{
    char part[PATH_MAX];

    for (size_t i = 1; i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_set(e, ERR_INTERNAL, errno, "mkdir %s", part);
        if (path[i] == '\0')
            return 0;
    }
    return err_set(e, ERR_INVALID, 0, "the data directory's path is too long");
}

/* Whoever could put something there would choose what root mounts. */
static int check_owner(const char *data, struct err *e)
{
    _cleanup_fd_ int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", data);
    if (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return 0;
    return err_set(e, ERR_INVALID, 0,
                   "%.150s must belong to root, and nobody else may write there (chown root, chmod "
                   "go-w; but look first at what is in it)",
                   data);
}

/* What the spawner and the operator put below the data directory, closed to everybody else.  (The
 * database is the server's own: server/serve.c.) */
static int make_stores(const char *data, struct err *e)
{
    static const char *const names[] = {"layers", "imports"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        _cleanup_fd_ int fd = -1;

        snprintf(path, sizeof path, "%s/%s", data, names[i]);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_set(e, ERR_INTERNAL, errno, "mkdir %s", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fchmod(fd, 0700) < 0)
            return err_set(e, ERR_INTERNAL, errno, "close %s to others", path);
    }
    return 0;
}

/* The lock's descriptor, or -1.  Tries `polls` times. */
static int lock_dir(const char *dir, int polls, struct err *e)
{
    char path[PATH_MAX];
    _cleanup_fd_ int fd = -1;

    snprintf(path, sizeof path, "%s/lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK && --polls > 0) {
            usleep(LOCK_PAUSE_US);
            continue;
        }
        return err_set(e, ERR_UNAVAILABLE, errno == EWOULDBLOCK ? 0 : errno,
                       "%s is in use by another dunlin; stop it, or give this one another --data",
                       dir);
    }
    return fd_steal(&fd);
}

/* A place beside a running server; the lowest free number, so that leftovers of a killed one are
 * swept by the next. */
static int lock_beside(const char *data, char out[static SPAWN_PATH], struct err *e)
{
    for (int i = 0; i < BESIDE_MAX; i++) {
        int fd;

        snprintf(out, SPAWN_PATH, "%.200s/run-%d", data, i);
        if (make_dirs(out, e) < 0)
            return -1;
        fd = lock_dir(out, 1, e);
        if (fd >= 0) {
            *e = (struct err){0};
            return fd;
        }
    }
    return -1;
}

/* Runs system-image and returns its line of JSON. */
static int ask_system_image(const struct settings *s, const struct launch_paths *paths,
                            char out[static ANSWER_MAX], struct err *e)
{
    char program[2 * SPAWN_PATH], store[SPAWN_PATH + 8], runtime[SPAWN_PATH + 16];
    size_t len = 0;
    int pipefd[2], status;
    ssize_t n;
    pid_t pid;

    snprintf(runtime, sizeof runtime, "%s/runtime", paths->share);
    snprintf(program, sizeof program, "%s/system/system-image", runtime);
    snprintf(store, sizeof store, "%s/store", s->data);
    if (make_dirs(store, e) < 0)
        return -1;
    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, ERR_INTERNAL, errno, "pipe");
    pid = fork();
    if (pid == 0) {
        dup2(pipefd[1], STDOUT_FILENO);
        execl(program, program, "--store", store, "--runtime", runtime, "--work-dir", s->work_dir,
              log_is_json() ? "--log-json" : NULL, (char *)NULL);
        _exit(127);
    }
    close(pipefd[1]);
    while (pid > 0 && len < ANSWER_MAX - 1 &&
           (n = read(pipefd[0], out + len, ANSWER_MAX - 1 - len)) > 0)
        len += (size_t)n;
    close(pipefd[0]);
    out[len] = '\0';
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return err_set(e, ERR_INTERNAL, 0, "%s could not make the system copy", program);
    return 0;
}

static int copy_path(char *out, size_t cap, const json_t *value, const char *what, struct err *e)
{
    const char *text = json_string_value(value);

    if (text == NULL || snprintf(out, cap, "%s", text) >= (int)cap)
        return err_set(e, ERR_INTERNAL, 0, "the system copy has no usable '%s'", what);
    return 0;
}

/* What the system copy may leave out: environments then lack a base or tools. */
static void copy_key(char out[static LAUNCH_KEY], const json_t *value)
{
    const char *text = json_string_value(value);

    snprintf(out, LAUNCH_KEY, "%s", text != NULL && strlen(text) < LAUNCH_KEY ? text : "");
}

static int read_answer(const char *answer, struct spawn_config *config, struct launch *ret,
                       struct err *e)
{
    json_error_t where;
    json_t *root = json_loads(answer, 0, &where), *languages = json_object_get(root, "languages");
    const struct language *l;
    int r = root != NULL ? 0 : err_set(e, ERR_INTERNAL, 0, "system copy: %s", where.text);

    if (r == 0)
        r = copy_path(config->system, sizeof config->system, json_object_get(root, "system"),
                      "system", e);
    if (r == 0)
        r = copy_path(config->runtime, sizeof config->runtime, json_object_get(root, "runtime"),
                      "runtime", e);
    if (r == 0)
        r = copy_path(config->python, sizeof config->python, json_object_get(languages, "python"),
                      "python", e);
    for (size_t i = 0; r == 0 && (l = language_at(i)) != NULL; i++)
        language_set_available(l, json_is_string(json_object_get(languages, l->name)));
    copy_key(ret->base_key, json_object_get(root, "base_key"));
    copy_key(ret->tools_key, json_object_get(root, "tools_key"));
    copy_key(ret->python_version, json_object_get(root, "python_version"));
    json_decref(root);
    return r;
}

/* Ends with its socket as descriptor 3 and the lock as descriptor 4, whatever they were. */
static int place_descriptors(int sock, int lock)
{
    int high_sock = fcntl(sock, F_DUPFD, LOCK_FD + 1),
        high_lock = fcntl(lock, F_DUPFD, LOCK_FD + 1);

    if (high_sock < 0 || high_lock < 0 || dup2(high_sock, SPAWNER_FD) < 0 ||
        dup2(high_lock, LOCK_FD) < 0)
        return -1;
    close(high_sock);
    close(high_lock);
    return 0;
}

static _Noreturn void become_spawner(const struct launch_paths *paths, int sock, int lock)
{
    char program[2 * SPAWN_PATH];
    const char *const argv[] = {"dunlin-spawner", log_is_json() ? "json" : "text", NULL};
    const char *const envp[] = {NULL};
    int null = open("/dev/null", O_RDWR);

    snprintf(program, sizeof program, "%s/dunlin-spawner", paths->libexec);
    /* The terminal's input and the operator's output are not the spawner's business. */
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
        place_descriptors(sock, lock) == 0 && chdir("/") == 0 && setsid() >= 0)
        execve(program, (char *const *)argv, (char *const *)envp);
    perror(program);
    _exit(127);
}

static int start_spawner(const struct launch_paths *paths, const struct spawn_config *config,
                         struct launch *ret, struct err *e)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, ERR_INTERNAL, errno, "socketpair");
    ret->spawner_pid = fork();
    if (ret->spawner_pid == 0)
        become_spawner(paths, pair[1], ret->lock);
    close(pair[1]);
    ret->spawner = pair[0];
    if (ret->spawner_pid < 0)
        return err_set(e, ERR_INTERNAL, errno, "fork");
    return fd_send(ret->spawner, config, sizeof *config, NULL, 0, e);
}

int launch_start(const struct settings *s, const struct launch_paths *paths, bool warm, bool beside,
                 struct launch *ret, struct err *e)
{
    static struct spawn_config config; /* large */
    char answer[ANSWER_MAX];

    *ret = (struct launch){.spawner = -1, .lock = -1};
    if (geteuid() != 0)
        return err_set(e, ERR_UNAVAILABLE, 0,
                       "sandboxes are made by root: run it with sudo (the part that talks to "
                       "clients gives its rights up at once)");
    if (s->data[0] != '/' || strlen(s->data) >= SPAWN_PATH - 32)
        return err_set(e, ERR_INVALID, 0, "DATA must be an absolute path of less than %d bytes",
                       SPAWN_PATH - 32);
    if (make_dirs(s->data, e) < 0 || check_owner(s->data, e) < 0)
        return -1;
    snprintf(config.data, sizeof config.data, "%s", s->data);
    ret->lock = beside ? lock_beside(s->data, config.data, e) : lock_dir(s->data, LOCK_POLLS, e);
    if (ret->lock < 0)
        return -1;
    if ((!beside && make_stores(s->data, e) < 0) || ask_system_image(s, paths, answer, e) < 0 ||
        read_answer(answer, &config, ret, e) < 0 || launch_config_fill(s, &config, e) < 0)
        return -1;
    if (!warm)
        config.python[0] = '\0';
    if (snprintf(config.init, sizeof config.init, "%s/dunlin-init", paths->libexec) >=
        (int)sizeof config.init)
        return err_set(e, ERR_INVALID, 0, "the path of dunlin-init is too long");
    if (snprintf(config.programs, sizeof config.programs, "%s/runtime", paths->share) >=
        (int)sizeof config.programs)
        return err_set(e, ERR_INVALID, 0, "the path of the installation is too long");
    return start_spawner(paths, &config, ret, e);
}

void launch_wait(struct launch *l)
{
    for (int i = 0; i < STOP_POLLS && l->spawner_pid > 0; i++) {
        if (waitpid(l->spawner_pid, NULL, WNOHANG) != 0)
            l->spawner_pid = 0;
        else
            usleep(STOP_PAUSE_US);
    }
    fd_close(&l->lock);
}
