/* doctor_host: looks at the machine rather than the kernel: rights, directories, programs, ids,
 * memory.  Runs in the child of a check. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/doctor_internal.h"

#define MIB             (1u << 20)
#define FILES_WANTED    18432 /* 4096 connections, a dozen for each of 1000 sessions and the pool */
#define MEMORY_WANTED   512   /* MiB free: a handful of ordinary runs */
#define DISK_WANTED     2048  /* MiB free: the private copy of the system files, and some state */
#define PATH_BYTES      4096
#define ID_FILE_COLUMNS 256

void doctor_probe_root(const struct doctor_check *check, struct doctor_finding *f)
{
    static const struct {
        int cap;
        const char *name;
    } needed[] = {{CAP_CHOWN, "chown"},     {CAP_DAC_OVERRIDE, "dac_override"},
                  {CAP_FOWNER, "fowner"},   {CAP_KILL, "kill"},
                  {CAP_SETGID, "setgid"},   {CAP_SETUID, "setuid"},
                  {CAP_SETPCAP, "setpcap"}, {CAP_SYS_ADMIN, "sys_admin"},
                  {CAP_MKNOD, "mknod"}};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0) {
        doctor_fail(f, errno, "capget");
        return;
    }
    char lacking[160] = "";
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!(data[needed[i].cap / 32].effective & 1u << needed[i].cap % 32))
            snprintf(lacking + strlen(lacking), sizeof lacking - strlen(lacking), " %s",
                     needed[i].name);
    if (geteuid() != 0)
        doctor_fail(f, 0, "uid %u is not root", geteuid());
    else if (lacking[0])
        doctor_fail(f, 0, "root without the capabilities%s", lacking);
    else
        doctor_note(f, "root");
}

/* The directory itself, or the nearest one above it that exists. */
static void nearest_existing(char path[static PATH_BYTES])
{
    struct stat st;
    while (stat(path, &st) < 0) {
        char *slash = strrchr(path, '/');
        if (!slash) {
            strcpy(path, ".");
            return;
        }
        slash[slash == path ? 1 : 0] = '\0';
        if (slash == path)
            return;
    }
}

static int try_write(const char *dir, struct doctor_finding *f)
{
    _cleanup_fd_ int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return 0;
    /* Some file systems have no O_TMPFILE; access(2) is then the best answer there is. */
    if ((errno == EOPNOTSUPP || errno == EISDIR) && access(dir, W_OK) == 0)
        return 0;
    doctor_fail(f, errno, "write in %.120s", dir);
    return -1;
}

void doctor_probe_data(const struct doctor_check *check, struct doctor_finding *f)
{
    char path[PATH_BYTES];
    struct statvfs vfs;
    snprintf(path, sizeof path, "%s", doctor_data);
    nearest_existing(path);
    if (try_write(path, f) < 0)
        return;
    if (statvfs(path, &vfs) < 0) {
        doctor_fail(f, errno, "statvfs %.120s", path);
        return;
    }
    uint64_t free_mib = (uint64_t)vfs.f_bavail * vfs.f_frsize / MIB;
    const char *state = strcmp(path, doctor_data) == 0 ? "" : " (will be made)";
    if (vfs.f_flag & ST_NOEXEC)
        doctor_degrade(f, "%.100s lies on a mount with noexec", doctor_data);
    else if (free_mib < DISK_WANTED)
        doctor_degrade(f, "%.100s: only %" PRIu64 " MiB free", doctor_data, free_mib);
    else
        doctor_note(f, "%.100s%s, %" PRIu64 " MiB free", doctor_data, state, free_mib);
    if (f->status == DOCTOR_DEGRADED && (vfs.f_flag & ST_NOEXEC))
        snprintf(f->fix, sizeof f->fix, "mount -o remount,exec \"$(findmnt -no TARGET -T %.80s)\"",
                 path);
}

void doctor_probe_program(const struct doctor_check *check, struct doctor_finding *f)
{
    static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    char path[128];
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dirs[i], check->subject);
        if (access(path, X_OK) == 0) {
            doctor_note(f, "%s", path);
            return;
        }
    }
    doctor_fail(f, 0, "no %s in /usr/local/bin, /usr/bin or /bin", check->subject);
}

static bool overlaps(uint64_t first, uint64_t count)
{
    return count > 0 && first < (uint64_t)DOCTOR_UID_FIRST + DOCTOR_UID_COUNT &&
           first + count > DOCTOR_UID_FIRST;
}

/* Looks for our ids in a file of lines "name:x:ID:..." (count 1) or "name:ID:COUNT". */
static int scan_id_file(const char *path, bool is_range, struct doctor_finding *f)
{
    char line[ID_FILE_COLUMNS], name[64];
    FILE *in = fopen(path, "re");
    int found = 0;
    while (in && !found && fgets(line, sizeof line, in)) {
        uint64_t first = 0, count = 1;
        int fields = is_range ? sscanf(line, "%63[^:]:%" SCNu64 ":%" SCNu64, name, &first, &count)
                              : sscanf(line, "%63[^:]:%*[^:]:%" SCNu64, name, &first);
        found = fields == (is_range ? 3 : 2) && overlaps(first, count);
    }
    if (in)
        fclose(in);
    if (found)
        doctor_degrade(f, "%s gives some of them to %s", path, name);
    return found;
}

/* In a container only some ids exist. */
static bool is_mapped(const char *path)
{
    FILE *in = fopen(path, "re");
    uint64_t inside, outside, count;
    bool found = false;
    while (in && !found &&
           fscanf(in, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) == 3)
        found = inside <= DOCTOR_UID_FIRST &&
                inside + count >= (uint64_t)DOCTOR_UID_FIRST + DOCTOR_UID_COUNT;
    if (in)
        fclose(in);
    return found;
}

void doctor_probe_ids(const struct doctor_check *check, struct doctor_finding *f)
{
    if (!is_mapped("/proc/self/uid_map") || !is_mapped("/proc/self/gid_map")) {
        doctor_fail(f, 0, "ids %u to %u do not exist in this user namespace", DOCTOR_UID_FIRST,
                    DOCTOR_UID_FIRST + DOCTOR_UID_COUNT - 1);
        return;
    }
    if (scan_id_file("/etc/passwd", false, f) || scan_id_file("/etc/group", false, f) ||
        scan_id_file("/etc/subuid", true, f) || scan_id_file("/etc/subgid", true, f))
        return;
    doctor_note(f, "%u to %u are free", DOCTOR_UID_FIRST, DOCTOR_UID_FIRST + DOCTOR_UID_COUNT - 1);
}

void doctor_probe_files(const struct doctor_check *check, struct doctor_finding *f)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        doctor_fail(f, errno, "getrlimit");
    else if (limit.rlim_max < FILES_WANTED)
        doctor_degrade(f, "at most %llu", (unsigned long long)limit.rlim_max);
    else
        doctor_note(f, "at most %llu", (unsigned long long)limit.rlim_max);
}

void doctor_probe_memory(const struct doctor_check *check, struct doctor_finding *f)
{
    char line[128];
    uint64_t total = 0, available = 0;
    FILE *in = fopen("/proc/meminfo", "re");
    while (in && fgets(line, sizeof line, in)) {
        sscanf(line, "MemTotal: %" SCNu64, &total);
        sscanf(line, "MemAvailable: %" SCNu64, &available);
    }
    if (in)
        fclose(in);
    total /= 1024;
    available /= 1024;
    if (available < MEMORY_WANTED)
        doctor_degrade(f, "only %" PRIu64 " of %" PRIu64 " MiB available", available, total);
    else
        doctor_note(f, "%" PRIu64 " of %" PRIu64 " MiB available", available, total);
}
