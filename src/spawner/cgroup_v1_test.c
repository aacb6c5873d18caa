/* Tests of cgroup_v1 against the kernel.  They need root and version 1's controllers; anywhere else
 * they skip themselves. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"
#include "spawner/cgroup.h"
#include "spawner/cgroup_file.h"

static char base[32];
static bool usable;
static struct cgroup group;
static const struct spawn_limits limits = {
    .memory_mb = 64, .cpu_milli = 500, .processes = 5, .workspace_mb = 1};

static int open_base(void **state)
{
    snprintf(base, sizeof base, "dunlin-test-%d", getpid());
    usable = geteuid() == 0 && cgroup_v1.open(base, NULL) == 0;
    return 0;
}

static int sweep_base(void **state)
{
    if (usable)
        cgroup_v1.sweep(base);
    return 0;
}

static int make_group(void **state)
{
    if (usable && cgroup_v1.create(&group, "s0", NULL) < 0)
        return -1;
    return 0;
}

static int drop_group(void **state)
{
    if (usable)
        cgroup_finish(&group);
    return 0;
}

#define NEEDS_V1()                                                                                 \
    do {                                                                                           \
        if (!usable)                                                                               \
            skip();                                                                                \
    } while (0)

static void dir_of(char out[static CGROUP_PATH], const char *controller, const char *name)
{
    char mount[CGROUP_PATH / 2];

    assert_true(cgroup_file_mount("cgroup", controller, mount, sizeof mount));
    snprintf(out, CGROUP_PATH, "%s/%s/%s", mount, base, name);
}

static uint64_t number_in(const char *controller, const char *file)
{
    char dir[CGROUP_PATH];
    uint64_t n = 0;
    int fd;

    dir_of(dir, controller, "s0");
    fd = cgroup_file_open(dir, file, O_RDONLY, NULL);
    assert_true(fd >= 0);
    assert_int_equal(cgroup_file_number(fd, NULL, &n, NULL), 0);
    close(fd);
    return n;
}

/* A process in the group that does nothing; -1 if the group does not let it in. */
static pid_t start_member(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (uint32_t i = 0; i < group.nprocs; i++) {
            if (write(group.procs[i], "0", 1) != 1)
                _exit(1);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    for (int i = 0; i < 1000 && cgroup_v1.count(&group) < 1; i++)
        usleep(1000);
    return pid;
}

static void limits_are_put_in_force_up_and_down(void **state)
{
    struct spawn_limits more = {.memory_mb = 128, .cpu_milli = 750, .processes = 9};

    NEEDS_V1();
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(number_in("memory", "memory.limit_in_bytes"), 64 << 20);
    assert_int_equal(number_in("cpu", "cpu.cfs_quota_us"), 50000);
    assert_int_equal(number_in("pids", "pids.max"), 5);
    assert_int_equal(cgroup_v1.limit(&group, &more, NULL), 0);
    assert_int_equal(number_in("memory", "memory.limit_in_bytes"), 128 << 20);
    assert_int_equal(number_in("cpu", "cpu.cfs_quota_us"), 75000);
    assert_int_equal(number_in("pids", "pids.max"), 9);
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(number_in("memory", "memory.limit_in_bytes"), 64 << 20);
}

static void swap_is_not_extra(void **state)
{
    char dir[CGROUP_PATH], path[CGROUP_PATH + 64];

    NEEDS_V1();
    dir_of(dir, "memory", "s0");
    snprintf(path, sizeof path, "%s/memory.memsw.limit_in_bytes", dir);
    if (access(path, F_OK) < 0)
        skip();
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(number_in("memory", "memory.memsw.limit_in_bytes"), 64 << 20);
}

static void socket_buffers_are_limited_too(void **state)
{
    NEEDS_V1();
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(number_in("memory", "memory.kmem.tcp.limit_in_bytes"), 16 << 20);
}

/* A limit that could be set stays known when a later one could not, or the next run would inherit
 * it. */
static void a_failure_half_way_is_undone_by_the_next_limit(void **state)
{
    struct spawn_limits wide = {.memory_mb = 256, .cpu_milli = 4000, .processes = 5};
    char dir[CGROUP_PATH];

    NEEDS_V1();
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    dir_of(dir, "cpu", ".");
    assert_int_equal(cgroup_file_write_number(dir, "cpu.cfs_quota_us", 100000, NULL), 0);
    assert_int_equal(cgroup_v1.limit(&group, &wide, NULL), -1);
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(number_in("memory", "memory.limit_in_bytes"), 64 << 20);
    assert_int_equal(number_in("cpu", "cpu.cfs_quota_us"), 50000);
    assert_int_equal(cgroup_file_write_number(dir, "cpu.cfs_quota_us", -1, NULL), 0);
}

static void a_weight_that_could_not_be_set_is_set_the_next_time(void **state)
{
    NEEDS_V1();
    assert_int_equal(cgroup_v1.weight(&group, 100, NULL), 0);
    strcpy(group.name, "gone");
    assert_int_equal(cgroup_v1.weight(&group, 25, NULL), -1);
    strcpy(group.name, "s0");
    assert_int_equal(cgroup_v1.weight(&group, 25, NULL), 0);
    assert_int_equal(number_in("cpu", "cpu.shares"), 256);
}

static void members_are_counted_until_they_are_gone(void **state)
{
    pid_t pid;

    NEEDS_V1();
    assert_int_equal(cgroup_v1.count(&group), 0);
    pid = start_member();
    assert_int_equal(cgroup_v1.count(&group), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_v1.count(&group), 0);
}

static void usage_counts_from_the_reset(void **state)
{
    struct cgroup_usage usage;
    pid_t pid;

    NEEDS_V1();
    pid = start_member();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_v1.reset(&group, NULL), 0);
    assert_int_equal(cgroup_v1.usage(&group, &usage, NULL), 0);
    assert_true(usage.cpu_us < 100000);
    assert_int_equal(usage.oom_kills, 0);
    assert_int_equal(usage.pids_hits, 0);
}

/* Forks one child; what came of it is the exit status. */
static void fork_once(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    _exit(pid < 0 ? 1 : 0);
}

static void a_refused_fork_is_counted(void **state)
{
    struct spawn_limits one = {.memory_mb = 64, .cpu_milli = 500, .processes = 1};
    struct cgroup_usage usage;
    int status;
    pid_t pid;

    NEEDS_V1();
    assert_int_equal(cgroup_v1.limit(&group, &one, NULL), 0);
    assert_int_equal(cgroup_v1.reset(&group, NULL), 0);
    pid = fork();
    if (pid == 0) {
        for (uint32_t i = 0; i < group.nprocs; i++) {
            if (write(group.procs[i], "0", 1) != 1)
                _exit(2);
        }
        fork_once();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(cgroup_v1.usage(&group, &usage, NULL), 0);
    assert_int_equal(usage.pids_hits, 1);
}

static void an_old_group_is_taken_over_with_new_limits(void **state)
{
    struct cgroup again;

    NEEDS_V1();
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(cgroup_v1.create(&again, "s0", NULL), 0);
    assert_int_equal(
        cgroup_v1.limit(&again,
                        &(struct spawn_limits){.memory_mb = 32, .cpu_milli = 100, .processes = 2},
                        NULL),
        0);
    assert_int_equal(number_in("memory", "memory.limit_in_bytes"), 32 << 20);
    cgroup_finish(&again);
}

/* A zygote keeps what it was handed. */
static void who_has_the_old_groups_files_cannot_enter_the_new_one(void **state)
{
    int kept[NEST_GROUPS_MAX], status;
    struct err e = {0};
    pid_t pid;

    NEEDS_V1();
    pid = start_member();
    assert_int_equal(cgroup_v1.replace(&group, &e), -1);
    assert_int_equal(e.errnum, EBUSY);
    assert_int_equal(cgroup_v1.count(&group), 1);
    cgroup_v1.end(&group);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (uint32_t i = 0; i < group.nprocs; i++)
        kept[i] = fcntl(group.procs[i], F_DUPFD_CLOEXEC, 3);
    assert_int_equal(cgroup_v1.replace(&group, NULL), 0);
    for (uint32_t i = 0; i < group.nprocs; i++) {
        assert_int_equal(write(kept[i], "0", 1), -1);
        assert_int_equal(errno, ENODEV);
        close(kept[i]);
    }
    assert_int_equal(cgroup_v1.limit(&group, &limits, NULL), 0);
    assert_int_equal(cgroup_v1.count(&group), 0);
}

static void sweeping_ends_the_members_and_the_groups(void **state)
{
    char dir[CGROUP_PATH];
    int status;
    pid_t pid;

    NEEDS_V1();
    pid = start_member();
    cgroup_v1.sweep(base);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (const char *const *c = (const char *const[]){"memory", "cpu", "cpuacct", "pids", NULL};
         *c != NULL; c++) {
        dir_of(dir, *c, "s0");
        assert_int_equal(access(dir, F_OK), -1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_group, drop_group)
    const struct CMUnitTest tests[] = {
        TEST(limits_are_put_in_force_up_and_down),
        TEST(swap_is_not_extra),
        TEST(socket_buffers_are_limited_too),
        TEST(a_failure_half_way_is_undone_by_the_next_limit),
        TEST(a_weight_that_could_not_be_set_is_set_the_next_time),
        TEST(members_are_counted_until_they_are_gone),
        TEST(usage_counts_from_the_reset),
        TEST(a_refused_fork_is_counted),
        TEST(an_old_group_is_taken_over_with_new_limits),
        TEST(who_has_the_old_groups_files_cannot_enter_the_new_one),
        TEST(sweeping_ends_the_members_and_the_groups),
    };
    return cmocka_run_group_tests(tests, open_base, sweep_base);
}
