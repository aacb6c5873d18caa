/* memory: reads what the machine and our cgroup have.  Runs in the server; trusts /proc and
 * /sys. */
#include "service/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEGABYTE ((uint64_t)1 << 20)

static void close_file(FILE **f)
{
    if (*f)
        fclose(*f);
}
#define _cleanup_file_ __attribute__((cleanup(close_file)))

int memory_read_total(const char *meminfo, uint64_t *ret_bytes, struct err *e)
{
    _cleanup_file_ FILE *f = fopen(meminfo, "re");
    if (!f)
        return err_set(e, ERR_INTERNAL, errno, "open %s", meminfo);
    char line[256];
    uint64_t kb;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "MemTotal: %" SCNu64 " kB", &kb) == 1) {
            *ret_bytes = kb * 1024;
            return 0;
        }
    }
    return err_set(e, ERR_INTERNAL, 0, "%s has no MemTotal", meminfo);
}

int memory_read_available(int meminfo, uint64_t *ret_total, uint64_t *ret_available)
{
    char text[512];
    ssize_t n = pread(meminfo, text, sizeof text - 1, 0);
    const char *total, *available;
    uint64_t kb[2];
    if (n <= 0)
        return -1;
    text[n] = '\0';
    total = strstr(text, "MemTotal:");
    available = strstr(text, "MemAvailable:");
    if (!total || !available || sscanf(total, "MemTotal: %" SCNu64 " kB", &kb[0]) != 1 ||
        sscanf(available, "MemAvailable: %" SCNu64 " kB", &kb[1]) != 1)
        return -1;
    *ret_total = kb[0] * 1024;
    *ret_available = kb[1] * 1024;
    return 0;
}

/* The number in one limit file; UINT64_MAX for "max", for v1's huge number, and without a file. */
static uint64_t read_limit(const char *root, const char *path, const char *file)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s%s/%s", root, path, file) >= (int)sizeof name)
        return UINT64_MAX;
    _cleanup_file_ FILE *f = fopen(name, "re");
    uint64_t bytes;
    if (!f || fscanf(f, "%" SCNu64, &bytes) != 1)
        return UINT64_MAX;
    return bytes;
}

uint64_t memory_read_cgroup_limit(const char *root, const char *path, const char *file)
{
    char at[PATH_MAX];
    if (snprintf(at, sizeof at, "%s", path) >= (int)sizeof at)
        return UINT64_MAX;
    uint64_t lowest = UINT64_MAX;
    for (;;) {
        uint64_t bytes = read_limit(root, at, file);
        if (bytes < lowest)
            lowest = bytes;
        char *slash = strrchr(at, '/');
        if (!slash)
            return lowest;
        *slash = '\0';
    }
}

/* One line of /proc/self/cgroup is "number:controllers:path"; v2's has no controllers. */
static uint64_t limit_of_line(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return UINT64_MAX;
    *controllers++ = '\0';
    *path++ = '\0';
    if (*controllers == '\0')
        return memory_read_cgroup_limit("/sys/fs/cgroup", path, "memory.max");
    if (strcmp(controllers, "memory") == 0)
        return memory_read_cgroup_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
    return UINT64_MAX;
}

static uint64_t own_cgroup_limit(void)
{
    _cleanup_file_ FILE *f = fopen("/proc/self/cgroup", "re");
    uint64_t lowest = UINT64_MAX;
    char line[PATH_MAX];
    while (f && fgets(line, sizeof line, f)) {
        uint64_t bytes = limit_of_line(line);
        if (bytes < lowest)
            lowest = bytes;
    }
    return lowest;
}

int memory_budget_mb(int64_t configured, uint64_t *ret_mb, struct err *e)
{
    if (configured > 0) {
        *ret_mb = (uint64_t)configured / MEGABYTE;
        return 0;
    }
    uint64_t total, limit = own_cgroup_limit();
    if (memory_read_total("/proc/meminfo", &total, e) < 0)
        return -1;
    if (limit < total)
        total = limit;
    *ret_mb = total / 100 * MEMORY_SHARE_PERCENT / MEGABYTE;
    return 0;
}
