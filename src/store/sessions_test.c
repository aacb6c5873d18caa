/* Tests of the records of sessions and snapshots, on real files. */
#include "store/sessions.h"

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test_support.h"
#include "store/store.h"

#define T(literal) ((char *)(literal)) /* records that only tests read */

struct fixture {
    char dir[64], path[96];
    struct store *store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/dunlin-sessions-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->path, sizeof f->path, "%s/dunlin.db", f->dir);
    f->store = store_open(f->dir, NULL);
    *state = f;
    return f->store != NULL ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    struct err e = {0};

    store_close(f->store);
    f->store = store_open(f->dir, &e);
    assert_string_equal(e.text, "");
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct session_record example(const char *owner, const char *id)
{
    return (struct session_record){
        .id = (char *)id,
        .owner = (char *)owner,
        .environment = T("default"),
        .network = T("none"),
        .env = T("{\"A\": \"d\xc3\xa9j\xc3\xa0 'vu'\"}"),
        .labels = T("{}"),
        .bytes = UINT64_C(100) << 20,
        .first_bytes = UINT64_C(50) << 20,
        .disk_bytes = 12345,
        .created_ms = INT64_C(1790000000000),
        .used_ms = INT64_C(1790000000001),
        .idle_s = -1,
        .idle_ttl_s = 86400,
        .ttl_s = -1,
        .memory_mb = 700,
        .processes = 65,
        .cpu_milli = 1500,
        .last_process = UINT32_MAX,
    };
}

/* What the callbacks have seen: "owner/id " of each, and the last one's values. */
struct seen {
    char names[512];
    struct session_record last; /* its texts are gone */
    char env[64];
    int count;
};

static int see(void *data, const struct session_record *r)
{
    struct seen *seen = data;
    size_t len = strlen(seen->names);

    snprintf(seen->names + len, sizeof seen->names - len, "%s/%s ", r->owner, r->id);
    seen->last = *r;
    snprintf(seen->env, sizeof seen->env, "%s", r->env);
    seen->count++;
    return 0;
}

static struct seen look(struct fixture *f)
{
    struct seen seen = {.count = 0};

    assert_int_equal(store_sessions(f->store, see, &seen, NULL), 0);
    return seen;
}

static void a_record_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s1");
    struct seen seen;

    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    assert_true(r.number > 0 && r.workspace > 0);
    reopen(f);
    seen = look(f);
    assert_string_equal(seen.names, "me/s1 ");
    assert_string_equal(seen.env, r.env);
    assert_int_equal(seen.last.workspace, r.workspace);
    assert_int_equal(seen.last.is_made, r.is_made);
    /* What lies between two fields of different sizes may be anything. */
    assert_memory_equal(&seen.last.bytes, &r.bytes,
                        offsetof(struct session_record, last_process) -
                            offsetof(struct session_record, bytes));
    assert_int_equal(seen.last.last_process, r.last_process);
    assert_int_equal(seen.last.number, r.number);
}

static void an_update_leaves_what_a_session_is(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s1"), other;
    struct seen seen;

    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    other = r;
    other.id = T("else");
    other.created_ms = 1;
    other.used_ms = 2;
    other.is_made = true;
    other.workspace = 77;
    assert_int_equal(store_session_update(f->store, &other, NULL), 0);
    seen = look(f);
    assert_string_equal(seen.names, "me/s1 ");
    assert_int_equal(seen.last.created_ms, r.created_ms);
    assert_int_equal(seen.last.used_ms, 2);
    assert_int_equal(seen.last.workspace, 77);
    assert_true(seen.last.is_made);
}

static void an_id_is_taken_once_by_each_owner(void **state)
{
    struct fixture *f = *state;
    struct session_record a = example("me", "s"), again = example("me", "s"),
                          b = example("you", "s");
    struct err e = {0};

    assert_int_equal(store_session_add(f->store, &a, NULL), 0);
    assert_int_equal(store_session_add(f->store, &again, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    assert_int_equal(again.workspace, 0);
    assert_int_equal(store_session_add(f->store, &b, NULL), 0);
    assert_string_equal(look(f).names, "me/s you/s ");
    assert_int_equal(store_session_remove(f->store, a.number, NULL), 0);
    assert_int_equal(store_session_remove(f->store, a.number, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_string_equal(look(f).names, "you/s ");
}

static int add_number(void *data, uint64_t number)
{
    char *at = data;

    sprintf(at + strlen(at), "%llu ", (unsigned long long)number);
    return 0;
}

static void numbers_are_remembered_until_their_images_are_gone(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("", "s");
    char text[64] = "";
    uint64_t first, second;

    assert_int_equal(store_workspace_number(f->store, &first, NULL), 0);
    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    assert_int_equal(store_workspace_number(f->store, &second, NULL), 0);
    assert_int_equal(store_workspaces_unnamed(f->store, add_number, text, NULL), 0);
    assert_string_equal(text, "1 3 ");
    assert_int_equal(store_workspace_forget(f->store, first, NULL), 0);
    assert_int_equal(store_session_remove(f->store, r.number, NULL), 0);
    text[0] = '\0';
    assert_int_equal(store_workspaces_unnamed(f->store, add_number, text, NULL), 0);
    assert_string_equal(text, "2 3 ");
    assert_int_equal(store_workspaces_above(f->store, 2, NULL), 0); /* nothing new */
    assert_int_equal(store_workspaces_above(f->store, 100, NULL), 0);
    text[0] = '\0';
    assert_int_equal(store_workspaces_unnamed(f->store, add_number, text, NULL), 0);
    assert_string_equal(text, "2 3 ");
    assert_int_equal(store_workspace_number(f->store, &first, NULL), 0);
    assert_int_equal(first, 101);
}

static void a_number_of_a_workspace_is_never_used_again(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s");
    uint64_t first, second;

    assert_int_equal(store_workspace_number(f->store, &first, NULL), 0);
    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    assert_true(r.workspace > first);
    assert_int_equal(store_session_remove(f->store, r.number, NULL), 0);
    reopen(f);
    assert_int_equal(store_workspace_number(f->store, &second, NULL), 0);
    assert_true(second > r.workspace);
}

static int see_snapshot(void *data, const struct snapshot_record *r)
{
    char *all = data;
    size_t len = strlen(all);

    snprintf(all + len, 256 - len, "%s:%s:%s:%s:%s:%llu ", r->id, r->owner, r->session, r->name,
             r->environment, (unsigned long long)r->workspace);
    return 0;
}

static void snapshots_come_in_order_and_go(void **state)
{
    struct fixture *f = *state;
    struct snapshot_record r = {.id = T("z"),
                                .owner = T("me"),
                                .session = T("s"),
                                .name = T("before"),
                                .environment = T("default"),
                                .workspace = 5};
    char all[256] = "";
    struct err e = {0};

    assert_int_equal(store_snapshot_add(f->store, &r, NULL), 0);
    assert_int_equal(store_snapshot_add(f->store, &r, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    r.id = T("a");
    r.workspace = 6;
    assert_int_equal(store_snapshot_add(f->store, &r, NULL), 0);
    assert_int_equal(store_snapshots(f->store, see_snapshot, all, NULL), 0);
    assert_string_equal(all, "z:me:s:before:default:5 a:me:s:before:default:6 ");
    assert_int_equal(store_snapshot_remove(f->store, "z", NULL), 0);
    assert_int_equal(store_snapshot_remove(f->store, "z", &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void a_database_of_the_version_before_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s1");
    uint64_t layer;

    assert_int_equal(store_layer_add(f->store, LAYER_IMAGE, "kept", 0, &layer, NULL), 0);
    store_close(f->store);
    run_sql(f->path, "DROP TABLE sessions; DROP TABLE snapshots; DROP TABLE workspaces;"
                     "PRAGMA user_version = 1;");
    f->store = store_open(f->dir, NULL);
    assert_non_null(f->store);
    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    assert_string_equal(look(f).names, "me/s1 ");
    struct layer_record found = {0};
    assert_int_equal(store_layer_get(f->store, layer, &found, NULL), 0);
    assert_string_equal(found.key, "kept");
    layer_record_finish(&found);
}

static void fill_disk(const char *file)
{
    static const char filler[65536];
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    while (write(fd, filler, sizeof filler) > 0)
        ;
    close(fd);
}

static void a_full_disk_refuses_new_sessions_and_lets_old_ones_go(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s");
    char dir[80], file[96], id[16], labels[4001] = "";
    struct err e = {0};
    struct store *s;
    int refused = 0;

    snprintf(dir, sizeof dir, "%s/small", f->dir);
    snprintf(file, sizeof file, "%s/filler", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    if (mount("tmpfs", dir, "tmpfs", 0, "size=8m") < 0)
        skip(); /* needs root */
    memset(labels, 'x', sizeof labels - 1);
    s = store_open(dir, NULL);
    r.labels = labels;
    r.id = id;
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "s%d", i);
        r.workspace = 0;
        assert_int_equal(store_session_add(s, &r, &e), 0);
    }
    fill_disk(file);
    for (int64_t number = 1; number <= 100; number++)
        assert_int_equal(store_session_remove(s, number, NULL), 0);
    for (int i = 0; i < 10000 && refused == 0; i++) {
        snprintf(id, sizeof id, "t%d", i);
        r.workspace = 0;
        refused = store_session_add(s, &r, &e);
    }
    assert_int_equal(refused, -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(store_session_add(s, &r, NULL), 0);
    store_close(s);
    assert_int_equal(umount(dir), 0);
}

static void damage_is_refused(void **state)
{
    struct fixture *f = *state;
    struct session_record r = example("me", "s1");
    static const char junk[64] = "junk";
    struct err e = {0};
    int fd;

    assert_int_equal(store_session_add(f->store, &r, NULL), 0);
    store_close(f->store);
    fd = open(f->path, O_WRONLY | O_CLOEXEC);
    for (off_t at = 4096; at < 16 * 4096; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
    f->store = store_open(f->dir, &e);
    assert_null(f->store);
    assert_contains(e.text, "damaged");
}

static void several_are_updated_at_one_go(void **state)
{
    struct fixture *f = *state;
    struct session_record a = example("me", "a"), b = example("me", "b"), gone = example("me", "c");
    const struct session_record *all[] = {&a, NULL, &b}, *bad[] = {&a, &gone};

    assert_int_equal(store_session_add(f->store, &a, NULL), 0);
    assert_int_equal(store_session_add(f->store, &b, NULL), 0);
    a.used_ms = b.used_ms = 9;
    assert_int_equal(store_session_update_all(f->store, all, 3, NULL), 0);
    assert_int_equal(look(f).last.used_ms, 9);
    assert_int_equal(store_session_update_all(f->store, bad, 2, NULL), -1);
    b.used_ms = 10;
    assert_int_equal(store_session_update(f->store, &b, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_as_it_was_written),
        TEST(an_update_leaves_what_a_session_is),
        TEST(an_id_is_taken_once_by_each_owner),
        TEST(numbers_are_remembered_until_their_images_are_gone),
        TEST(a_number_of_a_workspace_is_never_used_again),
        TEST(snapshots_come_in_order_and_go),
        TEST(a_database_of_the_version_before_is_brought_up_to_date),
        TEST(a_full_disk_refuses_new_sessions_and_lets_old_ones_go),
        TEST(damage_is_refused),
        TEST(several_are_updated_at_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
