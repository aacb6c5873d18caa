/* Tests of cgroup_v2 against the kernel.  They need root and version 2's controllers: anywhere else
 * they skip themselves, and tests/vm runs them. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
    usable = geteuid() == 0 && cgroup_v2.open(base, NULL) == 0;
    return 0;
}

static int sweep_base(void **state)
{
    if (usable)
        cgroup_v2.sweep(base);
    return 0;
}

static int make_group(void **state)
{
    if (usable && cgroup_v2.create(&group, "s0", NULL) < 0)
        return -1;
    return 0;
}

static int drop_group(void **state)
{
    if (usable)
        cgroup_finish(&group);
    return 0;
}

#define NEEDS_V2()                                                                                 \
    do {                                                                                           \
        if (!usable)                                                                               \
            skip();                                                                                \
    } while (0)

/* The group's directory, by the membership of a process in it. */
static void dir_of_member(pid_t pid, char out[static CGROUP_PATH])
{
    char mount[CGROUP_PATH / 4], path[64], line[CGROUP_PATH / 2] = "";
    FILE *f;

    assert_true(cgroup_file_mount("cgroup2", NULL, mount, sizeof mount));
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL && strncmp(line, "0::", 3) != 0)
        continue;
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    snprintf(out, CGROUP_PATH, "%s%s", mount, line + 3);
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
    for (int i = 0; i < 1000 && cgroup_v2.count(&group) < 1; i++)
        usleep(1000);
    return pid;
}

static void end_member(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void assert_holds(const char *dir, const char *file, const char *expected)
{
    char text[64] = "";
    int fd = cgroup_file_open(dir, file, O_RDONLY, NULL);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    text[strcspn(text, "\n")] = '\0';
    assert_string_equal(text, expected);
}

static void limits_are_put_in_force_up_and_down(void **state)
{
    struct spawn_limits more = {.memory_mb = 128, .cpu_milli = 750, .processes = 9};
    char dir[CGROUP_PATH];
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    dir_of_member(pid, dir);
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    assert_holds(dir, "memory.max", "67108864");
    assert_holds(dir, "cpu.max", "50000 100000");
    assert_holds(dir, "pids.max", "5");
    assert_int_equal(cgroup_v2.limit(&group, &more, NULL), 0);
    assert_holds(dir, "memory.max", "134217728");
    assert_holds(dir, "cpu.max", "75000 100000");
    assert_holds(dir, "pids.max", "9");
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    assert_holds(dir, "memory.max", "67108864");
    end_member(pid);
}

static void swap_is_not_extra(void **state)
{
    char dir[CGROUP_PATH], path[CGROUP_PATH + 64];
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    dir_of_member(pid, dir);
    snprintf(path, sizeof path, "%s/memory.swap.max", dir);
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    if (access(path, F_OK) == 0)
        assert_holds(dir, "memory.swap.max", "0");
    end_member(pid);
}

static void a_weight_is_put_in_force(void **state)
{
    char dir[CGROUP_PATH];
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    dir_of_member(pid, dir);
    assert_int_equal(cgroup_v2.weight(&group, 25, NULL), 0);
    assert_holds(dir, "cpu.weight", "25");
    end_member(pid);
}

static void the_service_has_left_every_group_with_children(void **state)
{
    char dir[CGROUP_PATH], service[CGROUP_PATH];
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    dir_of_member(pid, dir);
    dir_of_member(getpid(), service);
    assert_null(strstr(service, base));
    *strrchr(dir, '/') = '\0';
    assert_holds(dir, "cgroup.subtree_control", "cpu memory pids");
    end_member(pid);
}

/* Takes 200 MiB in a child of a member; the member lives on and tells how the child ended. */
static void hoard_in_a_child(void)
{
    const size_t bytes = 200u << 20;
    int status;
    pid_t pid;

    if (write(group.procs[0], "0", 1) != 1)
        _exit(3);
    pid = fork();
    if (pid == 0) {
        char *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        memset(all, 1, bytes);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1);
}

static void the_kernel_ends_the_hoarder_alone_and_it_is_counted(void **state)
{
    struct cgroup_usage usage;
    int status;
    pid_t pid;

    NEEDS_V2();
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    assert_int_equal(cgroup_v2.reset(&group, NULL), 0);
    pid = fork();
    if (pid == 0)
        hoard_in_a_child();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(cgroup_v2.usage(&group, &usage, NULL), 0);
    assert_int_equal(usage.oom_kills, 1);
    assert_in_range(usage.memory_peak, 60u << 20, 64u << 20);
}

static void a_renewed_group_knows_nothing_of_its_last_members(void **state)
{
    struct cgroup_usage usage;
    pid_t pid;

    NEEDS_V2();
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    pid = fork();
    if (pid == 0)
        hoard_in_a_child();
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_v2.renew(&group, NULL), 0);
    assert_int_equal(cgroup_v2.reset(&group, NULL), 0);
    assert_int_equal(cgroup_v2.usage(&group, &usage, NULL), 0);
    assert_true(usage.memory_peak < 8u << 20);
    assert_int_equal(usage.oom_kills, 0);
    assert_int_equal(group.in_force.memory_mb, limits.memory_mb);
}

static void members_are_counted_until_they_are_gone(void **state)
{
    pid_t pid;

    NEEDS_V2();
    assert_int_equal(cgroup_v2.count(&group), 0);
    pid = start_member();
    assert_int_equal(cgroup_v2.count(&group), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_v2.count(&group), 0);
}

static void usage_counts_from_the_reset(void **state)
{
    struct cgroup_usage usage;
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(cgroup_v2.reset(&group, NULL), 0);
    assert_int_equal(cgroup_v2.usage(&group, &usage, NULL), 0);
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

    NEEDS_V2();
    assert_int_equal(cgroup_v2.limit(&group, &one, NULL), 0);
    assert_int_equal(cgroup_v2.reset(&group, NULL), 0);
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
    assert_int_equal(cgroup_v2.usage(&group, &usage, NULL), 0);
    assert_int_equal(usage.pids_hits, 1);
}

/* A zygote keeps what it was handed. */
static void who_has_the_old_groups_files_cannot_enter_the_new_one(void **state)
{
    int kept[NEST_GROUPS_MAX], status;
    struct err e = {0};
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    assert_int_equal(cgroup_v2.replace(&group, &e), -1);
    assert_int_equal(e.errnum, EBUSY);
    assert_int_equal(cgroup_v2.count(&group), 1);
    cgroup_v2.end(&group);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (uint32_t i = 0; i < group.nprocs; i++)
        kept[i] = fcntl(group.procs[i], F_DUPFD_CLOEXEC, 3);
    assert_int_equal(cgroup_v2.replace(&group, NULL), 0);
    for (uint32_t i = 0; i < group.nprocs; i++) {
        assert_int_equal(write(kept[i], "0", 1), -1);
        assert_int_equal(errno, ENODEV);
        close(kept[i]);
    }
    assert_int_equal(cgroup_v2.limit(&group, &limits, NULL), 0);
    assert_int_equal(cgroup_v2.count(&group), 0);
}

/* Forks until somebody ends it; its children do the same. */
static void fork_without_end(void)
{
    for (uint32_t i = 0; i < group.nprocs; i++) {
        if (write(group.procs[i], "0", 1) != 1)
            _exit(1);
    }
    for (;;) {
        if (fork() > 0)
            usleep(100);
    }
}

static void one_order_ends_whoever_forks_without_end(void **state)
{
    struct spawn_limits many = {.memory_mb = 64, .cpu_milli = 500, .processes = 60};
    int status;
    pid_t pid;

    NEEDS_V2();
    assert_int_equal(cgroup_v2.limit(&group, &many, NULL), 0);
    pid = fork();
    if (pid == 0)
        fork_without_end();
    for (int i = 0; i < 10000 && cgroup_v2.count(&group) < 50; i++)
        usleep(1000);
    cgroup_v2.end(&group);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 0; i < 10000 && cgroup_v2.count(&group) > 0; i++)
        usleep(1000);
    assert_int_equal(cgroup_v2.count(&group), 0);
}

static void sweeping_ends_the_members_and_the_groups(void **state)
{
    char dir[CGROUP_PATH];
    int status;
    pid_t pid;

    NEEDS_V2();
    pid = start_member();
    dir_of_member(pid, dir);
    cgroup_v2.sweep(base);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(access(dir, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_group, drop_group)
    const struct CMUnitTest tests[] = {
        TEST(limits_are_put_in_force_up_and_down),
        TEST(swap_is_not_extra),
        TEST(a_weight_is_put_in_force),
        TEST(the_service_has_left_every_group_with_children),
        TEST(the_kernel_ends_the_hoarder_alone_and_it_is_counted),
        TEST(a_renewed_group_knows_nothing_of_its_last_members),
        TEST(members_are_counted_until_they_are_gone),
        TEST(usage_counts_from_the_reset),
        TEST(a_refused_fork_is_counted),
        TEST(who_has_the_old_groups_files_cannot_enter_the_new_one),
        TEST(one_order_ends_whoever_forks_without_end),
        TEST(sweeping_ends_the_members_and_the_groups),
    };
    return cmocka_run_group_tests(tests, open_base, sweep_base);
}
