/* settings_check: the rules between settings, and what is said about settings that do nothing.
 * Runs once, at start.  What the spawner is later told as root (paths, modules) is checked here. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings_internal.h"

#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

void settings_warn(const struct settings_warner *w, const char *format, ...)
{
    if (!w->warn)
        return;
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    w->warn(text);
}

static int64_t value_of(const struct settings *s, const struct setting *row)
{
    return *(const int64_t *)((const char *)s + row->offset);
}

/* `low` must not be above `high`; a ceiling of 0 is none where zero_is_open says so. */
struct order {
    const char *low, *high;
    bool zero_is_open;
};

static int check_orders(const struct settings *s, struct err *e)
{
    static const struct order orders[] = {
        {"MEMORY_LIMIT", "MAX_MEMORY", false},
        {"MEMORY_LIMIT", "MEMORY_BUDGET", true},
        {"CPU_LIMIT", "MAX_CPU", true},
        {"PROCESS_LIMIT", "MAX_PROCESSES", false},
        {"WORKSPACE_LIMIT", "MAX_WORKSPACE", false},
        {"OUTPUT_LIMIT", "MAX_OUTPUT", false},
        {"POOL_MIN", "POOL_MAX", false},
        {"MAX_BODY_SIZE", "BODY_BUDGET", false},
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        const struct setting *low = setting_find(orders[i].low);
        const struct setting *high = setting_find(orders[i].high);
        int64_t a = value_of(s, low), b = value_of(s, high);
        if (a <= b || (b == 0 && orders[i].zero_is_open))
            continue;
        char a_text[SETTINGS_VALUE_BYTES], b_text[SETTINGS_VALUE_BYTES];
        setting_format(low, a, a_text);
        setting_format(high, b, b_text);
        return err_set(e, ERR_INVALID, 0, "%s (%s) is above %s (%s): lower %s or raise %s",
                       low->name, a_text, high->name, b_text, low->name, high->name);
    }
    return 0;
}

static void apply_timeouts(struct settings *s, const struct settings_warner *w)
{
    if (s->max_execution_time > 0 && s->max_execution_time < s->max_timeout)
        s->max_timeout = s->max_execution_time;
    if (s->sandbox_timeout > s->max_timeout) {
        settings_warn(w,
                      "SANDBOX_TIMEOUT (%lld) is above the longest permitted time (%lld): using "
                      "%lld",
                      (long long)s->sandbox_timeout, (long long)s->max_timeout,
                      (long long)s->max_timeout);
        s->sandbox_timeout = s->max_timeout;
    }
}

/* Directories of the sandbox's own root, which the workspace would hide. */
static bool is_system_name(const char *name, size_t len)
{
    static const char *const names[] = {"bin",   "boot",   "dev", "etc",  "lib",  "lib32",
                                        "lib64", "libx32", "opt", "proc", "root", "run",
                                        "sbin",  "sys",    "tmp", "usr",  "var"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return true;
    return false;
}

static int refuse_work_dir(const char *path, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID, 0, "WORK_DIR: \"%s\" %s", path, why);
}

static int check_work_dir(const char *path, struct err *e)
{
    if (path[0] != '/')
        return refuse_work_dir(path, "is not an absolute path", e);
    if (path[strspn(path, LETTERS_DIGITS "/._-")])
        return refuse_work_dir(path, "may have only letters, digits and . _ - /", e);
    int components = 0;
    for (const char *p = path; *p; components++) {
        const char *name = p + 1;
        size_t len = strcspn(name, "/");
        if (len == 0 || strspn(name, ".") >= len)
            return refuse_work_dir(path, "has an empty component, . or ..", e);
        if (components == 0 && is_system_name(name, len))
            return refuse_work_dir(path, "is a system directory; take /sandbox or the like", e);
        p = name + len;
    }
    if (components > 2)
        return refuse_work_dir(path, "has more than two components", e);
    return 0;
}

/* The list ends up in a message to the root process and in an import statement. */
static int check_modules(const char *list, struct err *e)
{
    size_t good = strspn(list, LETTERS_DIGITS "_.,");
    if (list[good])
        return err_set(e, ERR_INVALID, 0,
                       "WARM_MODULES: names of modules separated by commas, without blanks; "
                       "character %zu is something else",
                       good + 1);
    return 0;
}

/* The spawner takes absolute paths only. */
static int make_data_absolute(struct settings *s, struct err *e)
{
    if (s->data[0] == '/')
        return 0;
    char *cwd = getcwd(NULL, 0);
    if (!cwd)
        return err_set(e, ERR_INVALID, errno, "DATA: current directory");
    char *path = NULL;
    int n = asprintf(&path, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, s->data);
    free(cwd);
    if (n < 0)
        return err_set(e, ERR_UNAVAILABLE, ENOMEM, "DATA");
    free(s->data);
    s->data = path;
    if (n > setting_find("DATA")->max)
        return err_set(e, ERR_INVALID, 0, "DATA: the absolute path is longer than %lld bytes",
                       (long long)setting_find("DATA")->max);
    return 0;
}

int settings_check(struct settings *s, const struct settings_warner *w, struct err *e)
{
    apply_timeouts(s, w);
    if (check_orders(s, e) < 0 || check_work_dir(s->work_dir, e) < 0 ||
        check_modules(s->warm_modules, e) < 0 || settings_check_networks(s, e) < 0)
        return -1;
    return make_data_absolute(s, e);
}

/* Settings of the predecessors that mean nothing here. */
static const struct {
    const char *name;
    bool dotenv_only; /* too common a name to mean us when it is in the environment */
    const char *why;
} legacy[] = {
    {"EXECUTION_MODE", false, "every run has a sandbox of its own, there is no other mode"},
    {"DOCKER_IMAGE", false, "no Docker is used; sandboxes have a private copy of this system"},
    {"CONDA_BASE_PATH", false, "conda is not used"},
    {"CONDA_ENVS_PATH", false, "conda is not used; what is kept is under DATA"},
    {"TEMP_DIR", false, "every sandbox has a private /tmp, in memory"},
    {"ENVIRONMENT", true, "there are no development and production modes"},
};
#define LEGACY_COUNT (sizeof legacy / sizeof legacy[0])

void settings_warn_legacy(const struct dotenv *d, const struct settings_warner *w)
{
    for (size_t i = 0; i < LEGACY_COUNT; i++) {
        const char *in_env = legacy[i].dotenv_only ? NULL : getenv(legacy[i].name);
        if (in_env || dotenv_get(d, legacy[i].name))
            settings_warn(w, "%s has no effect: %s", legacy[i].name, legacy[i].why);
    }
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < LEGACY_COUNT; i++)
        if (strcmp(legacy[i].name, key) == 0)
            return true;
    return setting_find(key) != NULL;
}

void settings_warn_unknown(const struct dotenv *d, const struct settings_warner *w)
{
    const char *names[SETTINGS_MAX];
    for (size_t i = 0; i < settings_count; i++)
        names[i] = settings_table[i].name;
    for (size_t i = 0; i < d->n; i++) {
        const char *key = d->entries[i].key;
        if (is_known(key))
            continue;
        const char *nearest = settings_nearest(key, names, settings_count);
        if (nearest)
            settings_warn(w, "unknown setting %.64s in .env is ignored; did you mean %s?", key,
                          nearest);
        else
            settings_warn(w, "unknown setting %.64s in .env is ignored", key);
    }
}
