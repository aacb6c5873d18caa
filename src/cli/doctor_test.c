/* Tests of doctor.  Those that take something away from the machine do so in a child with its own
 * namespaces, and need root. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test_support.h"
#include "cli/doctor_internal.h"

/* -- the runner */

static void probe_notes(const struct doctor_check *check, struct doctor_finding *f)
{
    doctor_note(f, "seen %s", check->subject);
}

static void probe_fails(const struct doctor_check *check, struct doctor_finding *f)
{
    doctor_fail(f, EPERM, "mount %s", "x");
    snprintf(f->fix, sizeof f->fix, "do this");
}

static void probe_degrades(const struct doctor_check *check, struct doctor_finding *f)
{
    doctor_degrade(f, "only %d", 3);
}

static void probe_crashes(const struct doctor_check *check, struct doctor_finding *f)
{
    kill(getpid(), SIGKILL);
}

static void probe_hangs(const struct doctor_check *check, struct doctor_finding *f)
{
    alarm(1);
    pause();
}

static void probe_exits(const struct doctor_check *check, struct doctor_finding *f)
{
    _exit(0);
}

/* Its child would hold the pipe for a minute. */
static void probe_leaves_a_child(const struct doctor_check *check, struct doctor_finding *f)
{
    if (fork() == 0) {
        sleep(60);
        _exit(0);
    }
    _exit(0);
}

static void assert_finding(doctor_probe *probe, bool optional, enum doctor_status status,
                           const char *detail)
{
    struct doctor_check check = {.probe = probe, .optional = optional, .subject = "it"};
    struct doctor_finding f;
    doctor_run(&check, &f);
    assert_int_equal(f.status, status);
    assert_string_equal(f.detail, detail);
    assert_string_equal(f.fix, probe == probe_fails ? "do this" : "");
}

static void findings_come_back_from_the_child(void **state)
{
    assert_finding(probe_notes, false, DOCTOR_OK, "seen it");
    assert_finding(probe_degrades, false, DOCTOR_DEGRADED, "only 3");
    assert_finding(probe_fails, false, DOCTOR_MISSING, "mount x: Operation not permitted");
    assert_finding(probe_fails, true, DOCTOR_DEGRADED, "mount x: Operation not permitted");
}

static void a_probe_that_dies_has_found_something(void **state)
{
    assert_finding(probe_crashes, false, DOCTOR_MISSING,
                   "the process that tried it was ended by signal 9");
    assert_finding(probe_hangs, false, DOCTOR_MISSING,
                   "no answer from the kernel within 10 seconds");
    assert_finding(probe_exits, false, DOCTOR_MISSING, "the process that tried it said nothing");
}

static void what_a_probe_leaves_is_not_waited_for_and_ended(void **state)
{
    time_t begin = time(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_finding(probe_leaves_a_child, false, DOCTOR_MISSING,
                   "the process that tried it said nothing");
    assert_true(waitpid(-1, NULL, 0) > 0); /* the orphan is ours now */
    assert_true(time(NULL) - begin < 30);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* -- the table */

static const struct doctor_check *find_check(const char *name)
{
    for (size_t i = 0; i < doctor_checks_count; i++)
        if (strcmp(doctor_checks[i].name, name) == 0)
            return &doctor_checks[i];
    fail_msg("no check is called %s", name);
    return NULL;
}

static void every_row_says_what_it_costs_and_how_to_enable_it(void **state)
{
    for (size_t i = 0; i < doctor_checks_count; i++) {
        const struct doctor_check *check = &doctor_checks[i];
        assert_non_null(check->probe);
        assert_true(strlen(check->cost) > 5);
        assert_true(strlen(check->fix) > 5);
        assert_true(strlen(check->name) <= 25);
        assert_ptr_equal(find_check(check->name), check);
    }
}

/* -- the command */

/* Runs the command with stdout in a file; the text is the caller's. */
static int run_command(const char *const *words, int count, char **ret_text)
{
    FILE *out = tmpfile(), *err = tmpfile();
    fflush(stdout);
    fflush(stderr);
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    int status = cli_doctor(count, (char **)words);
    fflush(stdout);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    FILE *shown = status == 2 ? err : out;
    rewind(shown);
    *ret_text = calloc(1, 65536);
    assert_true(fread(*ret_text, 1, 65535, shown) > 0);
    fclose(out);
    fclose(err);
    return status;
}

#define COMMAND(ret_text, ...)                                                                     \
    run_command((const char *const[]){"doctor", ##__VA_ARGS__, NULL},                              \
                (int)TEST_COUNT(((const char *const[]){"doctor", ##__VA_ARGS__})), ret_text)

static void wrong_words_give_the_usage_and_two(void **state)
{
    char *text;
    assert_int_equal(COMMAND(&text, "--jsn"), 2);
    assert_contains(text, "unknown flag --jsn\nUsage: dunlin doctor");
    free(text);
    assert_int_equal(COMMAND(&text, "now"), 2);
    assert_contains(text, "unexpected word now");
    free(text);
    assert_int_equal(COMMAND(&text, "--data"), 2);
    assert_contains(text, "a value is needed for --data");
    free(text);
    assert_int_equal(COMMAND(&text, "--data="), 2);
    assert_contains(text, "a directory is needed");
    free(text);
    assert_int_equal(COMMAND(&text, "--help"), 0);
    assert_contains(text, "Usage: dunlin doctor [--json] [--data DIR]");
    free(text);
}

static void the_text_has_a_line_for_each_check_and_a_verdict(void **state)
{
    char *text;
    int status = COMMAND(&text, "--data", "/tmp/doctor\xFF");
    assert_contains(text, status == 0 ? "\nSandboxes can run" : "\nSandboxes cannot run");
    for (size_t i = 0; i < doctor_checks_count; i++)
        assert_contains(text, doctor_checks[i].name);
    assert_null(strchr(text, '\033'));
    free(text);
}

static void the_json_is_one_object_that_agrees_with_the_status(void **state)
{
    char *text;
    int status = COMMAND(&text, "--json", "--data", "/tmp/doctor\xFF");
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(all);
    assert_int_equal(json_is_true(json_object_get(all, "ok")), status == 0);
    json_t *checks = json_object_get(all, "checks"), *check;
    assert_int_equal(json_array_size(checks), doctor_checks_count);
    size_t i;
    json_array_foreach(checks, i, check)
    {
        const char *word = json_string_value(json_object_get(check, "status"));
        bool ok = strcmp(word, "ok") == 0;
        assert_string_equal(json_string_value(json_object_get(check, "name")),
                            doctor_checks[i].name);
        assert_true(json_is_string(json_object_get(check, "detail")));
        assert_int_equal(json_is_null(json_object_get(check, "cost")), ok);
        assert_int_equal(json_is_null(json_object_get(check, "fix")), ok);
        assert_true(status != 0 || strcmp(word, "missing") != 0);
    }
    json_decref(all);
}

/* -- machines that lack something */

/* A check whose probe first takes something away: inside the runner's child, so nobody else sees.
 */
static const char *spoiled_name;
static void (*spoil)(void);

static void probe_spoiled(const struct doctor_check *check, struct doctor_finding *f)
{
    const struct doctor_check *real = find_check(spoiled_name);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(1);
    spoil();
    real->probe(real, f);
}

static void run_spoiled(const char *name, void (*how)(void), struct doctor_finding *f)
{
    if (geteuid() != 0)
        skip();
    struct doctor_check check = {.probe = probe_spoiled};
    spoiled_name = name;
    spoil = how;
    doctor_run(&check, f);
}

static void assert_spoiled(const char *name, void (*how)(void), const char *detail, const char *fix)
{
    struct doctor_finding f;
    run_spoiled(name, how, &f);
    assert_int_not_equal(f.status, DOCTOR_OK);
    assert_contains(f.detail, detail);
    assert_contains(f.fix, fix);
}

static void drop_root(void)
{
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        _exit(1);
}

static void mask_proc(void)
{
    if (mount("/dev/null", "/proc/kmsg", NULL, MS_BIND, NULL) < 0)
        _exit(1);
}

static void lock_sysctls(void)
{
    if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        _exit(1);
}

static void lock_sys(void)
{
    if (mount("/sys", "/sys", NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount(NULL, "/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        _exit(1);
}

static void hide_groups(void)
{
    if (umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
        _exit(1);
}

static void cover_data(unsigned long flags)
{
    doctor_data = "/mnt/a/b";
    if (mount("none", "/mnt", "tmpfs", flags, NULL) < 0)
        _exit(1);
}

static void make_data_noexec(void)
{
    cover_data(MS_NOEXEC);
}

static void make_data_read_only(void)
{
    cover_data(MS_RDONLY);
}

static void cover_file(const char *path, const char *text)
{
    if (mount("none", "/mnt", "tmpfs", 0, NULL) < 0)
        _exit(1);
    FILE *f = fopen("/mnt/f", "we");
    if (!f || fputs(text, f) < 0 || fclose(f) < 0 || mount("/mnt/f", path, NULL, MS_BIND, NULL) < 0)
        _exit(1);
}

static void claim_ids(void)
{
    cover_file("/etc/passwd", "root:x:0:0::/:/bin/sh\neve:x:1879048200:1::/:/bin/sh\n");
}

static void take_memory(void)
{
    cover_file("/proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 102400 kB\n");
}

static void hide_nft(void)
{
    cover_file("/usr/sbin/nft", "");
}

static void break_nft(void)
{
    cover_file("/usr/sbin/nft", "#!/bin/sh\necho no such hook >&2\nexit 1\n");
    chmod("/usr/sbin/nft", 0755);
}

static void keep_names_at_home(void)
{
    unsetenv("NETWORK_DNS");
    if (access("/run/systemd", F_OK) == 0 && mount("none", "/run/systemd", "tmpfs", 0, NULL) < 0)
        _exit(1);
    cover_file("/etc/resolv.conf", "nameserver 127.0.0.53\nnameserver ::1\n");
}

static void lock_a_host_that_does_not_forward(void)
{
    if (unshare(CLONE_NEWNET) < 0 || doctor_write_file("/proc/sys/net/ipv4/ip_forward", "0") < 0)
        _exit(1);
    lock_sysctls();
}

static void empty_devices(void)
{
    if (mount("none", "/dev", "tmpfs", 0, NULL) < 0)
        _exit(1);
}

static void hide_skopeo(void)
{
    if (access("/usr/bin/skopeo", F_OK) == 0)
        cover_file("/usr/bin/skopeo", "");
}

static void what_networks_and_environments_lack_is_named(void **state)
{
    assert_spoiled("veth", drop_root, "Operation not permitted", "");
    if (access("/usr/sbin/nft", X_OK) == 0) {
        assert_spoiled("nftables", hide_nft, "nft is not installed", "");
        assert_spoiled("nftables", break_nft, "no such hook", "modprobe -a nf_tables");
    }
    assert_spoiled("forwarding", lock_a_host_that_does_not_forward, "Read-only file system", "");
    assert_spoiled("resolvers", keep_names_at_home, "names none that a sandbox could reach", "");
    assert_spoiled("loop devices", empty_devices, "/dev/loop-control: No such file", "");
    assert_spoiled("layers", drop_root, "Operation not permitted", "");
    assert_spoiled("workspaces", lock_sys, "reserved_clusters: Read-only file", "remount,rw /sys");
    assert_spoiled("image tools", hide_skopeo, "not installed: skopeo", "");
}

static void what_is_lacking_is_found_and_named(void **state)
{
    assert_spoiled("root and capabilities", drop_root, "uid 65534 is not root", "");
    assert_spoiled("device nodes", drop_root, "Operation not permitted", "");
    assert_spoiled("overlayfs", drop_root, "Operation not permitted", "");
    assert_spoiled("proc inside", mask_proc, "mount proc: Operation not permitted", "");
    assert_spoiled("nested namespaces", lock_sysctls, "Read-only file system", "");
    assert_spoiled("cgroup memory", hide_groups, "no memory controller", "");
    assert_spoiled("cgroup cpu", drop_root, "dunlin-doctor-", "");
    assert_spoiled("swap accounting", hide_groups, "no memory controller", "");
    assert_spoiled("data directory", make_data_noexec, "noexec", "remount,exec");
    assert_spoiled("data directory", make_data_read_only, "write in /mnt", "");
    assert_spoiled("ids for sandboxes", claim_ids, "/etc/passwd gives some of them to eve", "");
    assert_spoiled("memory", take_memory, "only 100 of 1024 MiB available", "");
}

static void write_new(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) < 0)
        _exit(1);
}

/* A directory that looks like a version 2 hierarchy with us at its root. */
static void pretend_v2(const char *subtree_control)
{
    if (mount("none", "/mnt", "tmpfs", 0, NULL) < 0 || mkdir("/mnt/cg", 0755) < 0)
        _exit(1);
    write_new("/mnt/cg/cgroup.controllers", "cpuset cpu io memory pids\n");
    if (subtree_control)
        write_new("/mnt/cg/cgroup.subtree_control", subtree_control);
    write_new("/mnt/mounts", "cgroup2 /mnt/cg cgroup2 rw 0 0\n");
    write_new("/mnt/own", "0::/\n");
    if (mount("/mnt/mounts", "/proc/self/mounts", NULL, MS_BIND, NULL) < 0 ||
        mount("/mnt/own", "/proc/self/cgroup", NULL, MS_BIND, NULL) < 0)
        _exit(1);
}

static void pretend_v2_off(void)
{
    pretend_v2("cpu\n");
}

static void pretend_v2_on(void)
{
    pretend_v2("memory pids\n");
}

static void pretend_v2_closed(void)
{
    pretend_v2(NULL);
}

/* No real version 2 hierarchy has its controllers on every machine that runs this test; what is
 * shown here is which group is tried, and how. */
static void version_2_is_preferred_and_tried_where_a_limit_can_be(void **state)
{
    struct doctor_finding f;
    run_spoiled("cgroup memory", pretend_v2_off, &f);
    assert_string_equal(f.detail, "version 2, /mnt/cg");
    assert_int_equal(f.status, DOCTOR_OK);
    assert_spoiled("cgroup memory", pretend_v2_on, "write memory.max: No such file", "");
    assert_spoiled("cgroup pids", pretend_v2_on, "write pids.max: No such file", "");
    assert_spoiled("cgroup cpu", pretend_v2_closed, "cgroup.subtree_control: No such file", "");
    run_spoiled("swap accounting", pretend_v2_off, &f);
    assert_int_equal(f.status, DOCTOR_OK);
}

static void an_ordinary_machine_passes_what_needs_no_root(void **state)
{
    static const char *const names[] = {"kernel", "clone3", "pidfd_open", "close_range",
                                        "seccomp filter"};
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        struct doctor_finding f;
        doctor_run(find_check(names[i]), &f);
        if (f.status != DOCTOR_OK)
            fail_msg("%s: %s", names[i], f.detail);
    }
}

int main(void)
{
    unsetenv("DATA");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_come_back_from_the_child),
        cmocka_unit_test(a_probe_that_dies_has_found_something),
        cmocka_unit_test(what_a_probe_leaves_is_not_waited_for_and_ended),
        cmocka_unit_test(every_row_says_what_it_costs_and_how_to_enable_it),
        cmocka_unit_test(wrong_words_give_the_usage_and_two),
        cmocka_unit_test(the_text_has_a_line_for_each_check_and_a_verdict),
        cmocka_unit_test(the_json_is_one_object_that_agrees_with_the_status),
        cmocka_unit_test(what_is_lacking_is_found_and_named),
        cmocka_unit_test(what_networks_and_environments_lack_is_named),
        cmocka_unit_test(version_2_is_preferred_and_tried_where_a_limit_can_be),
        cmocka_unit_test(an_ordinary_machine_passes_what_needs_no_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
