/* doctor_cgroup: tries control groups of both versions.  Runs in the child of a check, as root.
 * Makes groups called dunlin-doctor-<pid> and removes them; changes no other group. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#define PATH_BYTES 512

/* One limit of each controller that sandboxes set. */
static const struct controller {
    const char *name;
    const char *file_v1, *value_v1;
    const char *file_v2, *value_v2;
} controllers[] = {
    {"memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864"},
    {"cpu", "cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"},
    {"pids", "pids.max", "16", "pids.max", "16"},
    {"cpuacct", "cpuacct.usage", "0", NULL, NULL},
};
#define CONTROLLERS_V2 3 /* the first so many exist in version 2 */

/* Finds where a hierarchy is mounted; `option` NULL: any. */
static bool find_mount(const char *type, const char *option, char out[static PATH_BYTES])
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    bool found = false;
    struct mntent *m;
    while (mounts && !found && (m = getmntent(mounts))) {
        found = strcmp(m->mnt_type, type) == 0 && (!option || hasmntopt(m, option)) &&
                strlen(m->mnt_dir) < PATH_BYTES / 2;
        if (found)
            snprintf(out, PATH_BYTES, "%s", m->mnt_dir);
    }
    if (mounts)
        endmntent(mounts);
    return found;
}

static bool has_word(const char *path, const char *word)
{
    char text[256] = " ", wanted[40];
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text + 1, sizeof text - 3);
    if (n < 0)
        return false;
    text[n + 1] = '\0';
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    strcat(text, " ");
    snprintf(wanted, sizeof wanted, " %s ", word);
    return strstr(text, wanted) != NULL;
}

/* The group this process is in, where it can be seen. */
static bool own_group_v2(char out[static PATH_BYTES])
{
    char mount[PATH_BYTES], line[PATH_BYTES / 2], path[PATH_BYTES / 2] = "";
    if (!find_mount("cgroup2", NULL, mount))
        return false;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "0::", 3) == 0)
            snprintf(path, sizeof path, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (f)
        fclose(f);
    snprintf(out, PATH_BYTES, "%.250s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    return path[0] != '\0';
}

/* The group that ours would be in, as the spawner finds it (spawner/cgroup_v2.c): what systemd has
 * not given away it does not divide. */
static bool parent_group_v2(char out[static PATH_BYTES])
{
    char value[8], *leaf;
    if (!own_group_v2(out))
        return false;
    leaf = strstr(out, "/dunlin-service");
    if (leaf && strcmp(leaf, "/dunlin-service") == 0)
        *leaf = '\0';
    if (access("/run/systemd/system", F_OK) == 0 &&
        (getxattr(out, "trusted.delegate", value, sizeof value) != 1 || value[0] != '1'))
        return find_mount("cgroup2", NULL, out);
    return true;
}

/* Whether version 2 offers all that is needed; `group` becomes the group that ours would be in. */
static bool is_v2_usable(char group[static PATH_BYTES])
{
    char path[PATH_BYTES + 32];
    if (!parent_group_v2(group))
        return false;
    snprintf(path, sizeof path, "%s/cgroup.controllers", group);
    for (size_t i = 0; i < CONTROLLERS_V2; i++)
        if (!has_word(path, controllers[i].name))
            return false;
    return true;
}

static const struct controller *find_controller(const char *name)
{
    for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
        if (strcmp(controllers[i].name, name) == 0)
            return &controllers[i];
    abort(); /* a row of the table with a controller that is not in ours */
}

/* Makes a group in `parent`, sets a limit there if `file` is given, and removes it again. */
static int try_group(const char *parent, const char *file, const char *value,
                     struct doctor_finding *f)
{
    char dir[PATH_BYTES + 32], path[PATH_BYTES + 96];
    snprintf(dir, sizeof dir, "%s/dunlin-doctor-%d", parent, getpid());
    if (mkdir(dir, 0755) < 0) {
        doctor_fail(f, errno, "mkdir %.120s", dir);
        return -1;
    }
    int result = 0;
    snprintf(path, sizeof path, "%s/%s", dir, file ? file : "");
    if (file && doctor_write_file(path, value) < 0) {
        doctor_fail(f, errno, "write %s", file);
        result = -1;
    }
    if (rmdir(dir) < 0 && result == 0) {
        doctor_fail(f, errno, "rmdir %.120s", dir);
        result = -1;
    }
    return result;
}

static void probe_v2(const char *group, const struct controller *c, struct doctor_finding *f)
{
    char control[PATH_BYTES + 32];
    snprintf(control, sizeof control, "%s/cgroup.subtree_control", group);
    if (access(control, W_OK) < 0) {
        doctor_fail(f, errno, "%.120s", control);
        return;
    }
    /* A limit can be tried only where the controller is on already: turning it on is the spawner's
     * business, and would change a group that is not ours. */
    bool is_on = has_word(control, c->name);
    if (try_group(group, is_on ? c->file_v2 : NULL, c->value_v2, f) == 0)
        doctor_note(f, "version 2, %.150s", group);
}

static void probe_v1(const struct controller *c, struct doctor_finding *f)
{
    char mount[PATH_BYTES];
    if (!find_mount("cgroup", c->name, mount)) {
        doctor_fail(f, 0, "no %s controller, neither of version 2 nor of version 1", c->name);
        return;
    }
    if (try_group(mount, c->file_v1, c->value_v1, f) == 0)
        doctor_note(f, "version 1, %.150s", mount);
}

void doctor_probe_cgroup(const struct doctor_check *check, struct doctor_finding *f)
{
    char group[PATH_BYTES];
    const struct controller *c = find_controller(check->subject);
    if (is_v2_usable(group)) {
        probe_v2(group, c, f);
        return;
    }
    probe_v1(c, f);
    /* Version 1 counts CPU time with a controller of its own. */
    struct doctor_finding second = {.status = DOCTOR_OK};
    if (f->status == DOCTOR_OK && strcmp(c->name, "cpu") == 0)
        probe_v1(find_controller("cpuacct"), &second);
    if (second.status != DOCTOR_OK)
        *f = second;
}

static bool is_swap_in_use(void)
{
    char line[256];
    int lines = 0;
    FILE *f = fopen("/proc/swaps", "re");
    while (f && fgets(line, sizeof line, f))
        lines++;
    if (f)
        fclose(f);
    return lines > 1; /* the first is a heading */
}

void doctor_probe_swap(const struct doctor_check *check, struct doctor_finding *f)
{
    char dir[PATH_BYTES], path[PATH_BYTES + 40];
    bool in_use = is_swap_in_use();
    if (is_v2_usable(dir)) {
        doctor_note(f, "version 2%s", in_use ? "" : ", no swap in use");
        return;
    }
    if (!find_mount("cgroup", "memory", dir)) {
        doctor_fail(f, 0, "no memory controller");
        return;
    }
    snprintf(path, sizeof path, "%s/memory.memsw.limit_in_bytes", dir);
    if (access(path, F_OK) == 0)
        doctor_note(f, "version 1%s", in_use ? "" : ", no swap in use");
    else if (in_use)
        doctor_fail(f, 0, "swap is in use and not counted");
    else
        doctor_note(f, "not counted, but no swap is in use");
}
