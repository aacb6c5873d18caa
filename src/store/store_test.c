/* Tests of the store, on real files. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

#define T(literal) ((char *)(literal)) /* records that only tests read */

struct fixture {
    char dir[64];
    char path[96];
    struct store *store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/dunlin-store-XXXXXX");
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
    assert_non_null(f->store);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The texts are static: such a record is not finished. */
static struct environment_record example(const char *name)
{
    return (struct environment_record){
        .name = (char *)name,
        .description = T("d\xc3\xa9j\xc3\xa0 'vu'"),
        .base_image = T("python:3.11-slim"),
        .setup_script = T("pip install x\n"),
        .warm = NULL,
        .network = T("none"),
        .build_network = T("bridge"),
        .status = ENVIRONMENT_BUILDING,
        .created_at = T("2026-11-20T15:35:55.744442Z"),
        .memory_mb = 700,
        .timeout_s = UINT64_C(1) << 40,
        .build_seconds = 1.5,
    };
}

static uint64_t add_layer(struct store *s, const char *key, uint64_t parent, bool ready)
{
    uint64_t id = 0;

    assert_int_equal(store_layer_add(s, LAYER_ENVIRONMENT, key, parent, &id, NULL), 0);
    const struct layer_record complete = {.id = id, .bytes = 4096};
    if (ready)
        assert_int_equal(store_layer_ready(s, &complete, NULL), 0);
    return id;
}

static int copy_first(void *data, const struct environment_record *r)
{
    struct environment_record *copy = data;

    *copy = *r;
    copy->name = strdup(r->name);
    copy->description = strdup(r->description);
    copy->warm = r->warm != NULL ? strdup(r->warm) : NULL;
    copy->error = strdup(r->error);
    copy->last_used = r->last_used != NULL ? strdup(r->last_used) : NULL;
    return 1;
}

static struct environment_record first(struct store *s)
{
    struct environment_record r = {0};

    assert_int_equal(store_environments(s, copy_first, &r, NULL), 0);
    assert_non_null(r.name);
    return r;
}

static void finish_first(struct environment_record *r)
{
    free(r->name);
    free(r->description);
    free(r->warm);
    free(r->error);
    free(r->last_used);
}

static int append_name(void *data, const struct environment_record *r)
{
    strcat(strcat(data, r->name), " ");
    return 0;
}

/* -- environments -- */

static void a_record_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct environment_record r = example("e1"), back;

    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    assert_true(r.id > 0);
    reopen(f);
    back = first(f->store);
    assert_int_equal(back.id, r.id);
    assert_string_equal(back.name, "e1");
    assert_string_equal(back.description, r.description);
    assert_null(back.warm);
    assert_null(back.last_used);
    assert_string_equal(back.error, "");
    assert_int_equal(back.status, ENVIRONMENT_BUILDING);
    assert_int_equal(back.memory_mb, 700);
    assert_true(back.timeout_s == UINT64_C(1) << 40);
    assert_int_equal(back.layer, 0);
    assert_true(back.build_seconds == 1.5);
    finish_first(&back);
}

static void an_update_changes_all_but_the_name(void **state)
{
    struct fixture *f = *state;
    struct environment_record r = example("e1"), back;

    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    r.name = T("other");
    r.warm = T("");
    r.status = ENVIRONMENT_FAILED;
    r.error = T("exit status 7");
    r.last_used = T("2026-11-21T00:00:00Z");
    assert_int_equal(store_environment_update(f->store, &r, NULL), 0);
    back = first(f->store);
    assert_string_equal(back.name, "e1");
    assert_string_equal(back.warm, "");
    assert_string_equal(back.error, "exit status 7");
    assert_string_equal(back.last_used, "2026-11-21T00:00:00Z");
    assert_int_equal(back.status, ENVIRONMENT_FAILED);
    finish_first(&back);
}

static void a_name_is_taken_once(void **state)
{
    struct fixture *f = *state;
    struct environment_record r = example("e1");
    struct err e = {0};
    int64_t id;

    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    id = r.id;
    assert_int_equal(store_environment_add(f->store, &r, &e), -1);
    assert_int_equal(e.code, ERR_EXISTS);
    assert_int_equal(store_environment_remove(f->store, id, NULL), 0);
    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    assert_true(r.id > id);
}

static void they_come_in_order_of_creation(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"z", "a", "m"};
    char all[32] = "";

    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        struct environment_record r = example(names[i]);
        assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    }
    assert_int_equal(store_environments(f->store, append_name, all, NULL), 0);
    assert_string_equal(all, "z a m ");
}

static void what_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct environment_record r = example("e1");
    struct image_record image;
    struct layer_record layer;
    struct err e = {0};

    r.id = 99;
    assert_int_equal(store_environment_update(f->store, &r, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(store_environment_remove(f->store, 99, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(store_layer_remove(f->store, 99, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    layer = (struct layer_record){.id = 99};
    assert_int_equal(store_layer_ready(f->store, &layer, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(store_image_remove(f->store, "nothing", &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(store_image_get(f->store, "nothing", &image, NULL), 0);
    assert_null(image.name);
    assert_int_equal(store_layer_find(f->store, "nothing", &layer, NULL), 0);
    assert_int_equal(layer.id, 0);
}

static void a_build_ends_at_one_go(void **state)
{
    struct fixture *f = *state;
    struct environment_record r = example("e1"), gone = example("gone");
    struct layer_record layer;
    struct err e = {0};

    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    r.base_layer = add_layer(f->store, "base", 0, true);
    gone.layer = r.layer = add_layer(f->store, "key", r.base_layer, false);
    gone.id = 99;
    assert_int_equal(store_environment_built(f->store, &gone, &e), -1);
    assert_int_equal(store_layer_find(f->store, "key", &layer, NULL), 0);
    assert_int_equal(layer.id, 0);
    r.bytes = 1234;
    r.packages = T("[]");
    r.actual_python = T("3.11.2");
    assert_int_equal(store_environment_built(f->store, &r, NULL), 0);
    assert_int_equal(store_layer_find(f->store, "key", &layer, NULL), 0);
    assert_int_equal(layer.id, r.layer);
    assert_int_equal(layer.bytes, 1234);
    assert_int_equal(layer.parent, r.base_layer);
    assert_string_equal(layer.packages, "[]");
    assert_string_equal(layer.python, "3.11.2");
    layer_record_finish(&layer);
}

/* -- layers and images -- */

static void a_number_of_a_layer_is_never_used_again(void **state)
{
    struct fixture *f = *state;
    uint64_t one = add_layer(f->store, "a", 0, true);

    assert_int_equal(store_layer_remove(f->store, one, NULL), 0);
    reopen(f);
    assert_true(add_layer(f->store, "a", 0, true) > one);
}

static void a_layer_in_use_cannot_be_removed(void **state)
{
    struct fixture *f = *state;
    uint64_t base = add_layer(f->store, "base", 0, true);
    uint64_t above = add_layer(f->store, "above", base, false);
    struct err e = {0};

    assert_int_equal(store_layer_remove(f->store, base, &e), -1);
    assert_contains(e.text, "FOREIGN KEY");
    assert_int_equal(store_layer_remove_unfinished(f->store, NULL), 0);
    assert_int_equal(store_layer_remove(f->store, above, NULL), -1);
    assert_int_equal(store_layer_remove(f->store, base, NULL), 0);
}

static uint64_t unused(struct store *s, uint64_t after)
{
    static const char *const keep[] = {"host", "tools"};
    uint64_t id = 77;

    assert_int_equal(store_layer_unused(s, after, keep, 2, &id, NULL), 0);
    return id;
}

static void unused_layers_are_those_that_nothing_refers_to(void **state)
{
    struct fixture *f = *state;
    struct store *s = f->store;
    uint64_t host = add_layer(s, "host", 0, true), old_host = add_layer(s, "old", 0, true);
    uint64_t image = add_layer(s, "image", 0, true), own = add_layer(s, "own", image, true);
    uint64_t building = add_layer(s, "new", old_host, false);
    struct image_record named = {.name = T("mine"),
                                 .source = T("import"),
                                 .digest = T(""),
                                 .python_version = T("3.9"),
                                 .layer = image,
                                 .created_at = T("now")};
    struct environment_record r = example("e1");

    r.layer = own;
    r.base_layer = image;
    assert_int_equal(store_environment_add(s, &r, NULL), 0);
    assert_int_equal(store_image_put(s, &named, NULL), 0);
    assert_int_equal(unused(s, 0), 0);
    assert_int_equal(store_layer_remove(s, building, NULL), 0);
    assert_int_equal(unused(s, 0), old_host);
    assert_int_equal(unused(s, old_host), 0);
    assert_int_equal(store_environment_remove(s, r.id, NULL), 0);
    assert_int_equal(unused(s, old_host), own);
    assert_int_equal(store_layer_remove(s, own, NULL), 0);
    assert_int_equal(unused(s, old_host), 0);
    assert_int_equal(store_image_remove(s, "mine", NULL), 0);
    assert_int_equal(unused(s, old_host), image);
    assert_true(host > 0);
}

static int count_images(void *data, const struct image_record *r)
{
    ++*(int *)data;
    return 0;
}

static void an_image_is_replaced_by_its_name(void **state)
{
    struct fixture *f = *state;
    uint64_t one = add_layer(f->store, "1", 0, true), two = add_layer(f->store, "2", 0, true);
    struct image_record r = {.name = T("python:3.12-slim"),
                             .source = T("pull"),
                             .digest = T("sha256:1"),
                             .python_version = T("3.12"),
                             .layer = one,
                             .created_at = T("then")},
                        back;
    int n = 0;

    assert_int_equal(store_image_put(f->store, &r, NULL), 0);
    r.layer = two;
    r.digest = T("sha256:2");
    assert_int_equal(store_image_put(f->store, &r, NULL), 0);
    assert_int_equal(store_images(f->store, count_images, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(store_image_get(f->store, "python:3.12-slim", &back, NULL), 0);
    assert_string_equal(back.digest, "sha256:2");
    assert_int_equal(back.layer, two);
    assert_null(back.last_used);
    image_record_finish(&back);
}

/* -- files that are not as they should be -- */

static void refuse(struct fixture *f, const char *words)
{
    struct err e = {0};

    store_close(f->store);
    f->store = store_open(f->dir, &e);
    assert_null(f->store);
    assert_contains(e.text, words);
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;

    run_sql(f->path, "PRAGMA user_version = 1000");
    refuse(f, "newer Dunlin");
}

static void a_database_of_something_else_is_refused(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    f->store = NULL;
    unlink(f->path);
    run_sql(f->path, "CREATE TABLE foo (bar)");
    refuse(f, "something else");
}

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static void a_file_that_is_no_database_is_refused_and_kept(void **state)
{
    struct fixture *f = *state;
    char head[8] = "";
    int fd;

    store_close(f->store);
    f->store = NULL;
    overwrite(f->path, 0, "rubbish.", 8);
    refuse(f, "damaged");
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, head, 8), 8);
    close(fd);
    assert_memory_equal(head, "rubbish.", 8);
}

static void a_damaged_page_is_refused(void **state)
{
    struct fixture *f = *state;
    char rubbish[4096];

    store_close(f->store);
    f->store = NULL;
    memset(rubbish, 0xa5, sizeof rubbish);
    for (int page = 1; page < 6; page++)
        overwrite(f->path, page * 4096L, rubbish, sizeof rubbish);
    refuse(f, "damaged");
}

static void a_link_in_place_of_the_file_is_refused(void **state)
{
    struct fixture *f = *state;
    char target[96];

    store_close(f->store);
    f->store = NULL;
    snprintf(target, sizeof target, "%s/elsewhere", f->dir);
    assert_int_equal(rename(f->path, target), 0);
    assert_int_equal(symlink(target, f->path), 0);
    refuse(f, "open");
}

static void copy_file(const char *from, const char *to)
{
    char bytes[8192];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

/* What a killed server leaves is its files as they are at that moment: the database and its log. */
static void what_was_written_before_a_crash_is_there_after_it(void **state)
{
    struct fixture *f = *state;
    char dir[80], from[112], to[112], all[64] = "";
    struct environment_record r = example("before");
    struct store *after;
    struct err e = {0};

    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    snprintf(dir, sizeof dir, "%s/crashed", f->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(to, sizeof to, "%s/dunlin.db", dir);
    copy_file(f->path, to);
    snprintf(from, sizeof from, "%s-wal", f->path);
    snprintf(to, sizeof to, "%s/dunlin.db-wal", dir);
    copy_file(from, to);
    /* The crash came amid the next write: its frames are there but in part. */
    r = example("torn");
    assert_int_equal(store_environment_add(f->store, &r, NULL), 0);
    after = store_open(dir, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(store_environments(after, append_name, all, NULL), 0);
    assert_string_equal(all, "before ");
    store_close(after);
    copy_file(from, to);
    assert_int_equal(truncate(to, 32 + 24 + 4096 + 100), 0);
    after = store_open(dir, &e);
    assert_string_equal(e.text, "");
    assert_non_null(after);
    store_close(after);
}

/* -- a full disk -- */

static void a_full_disk_is_an_error_and_leaves_the_database_usable(void **state)
{
    struct fixture *f = *state;
    char dir[80], *script = malloc(1 << 20);
    struct environment_record r = example("e1");
    struct err e = {0};
    struct store *s;
    int added = 0;
    char name[16];

    snprintf(dir, sizeof dir, "%s/small", f->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    if (mount("tmpfs", dir, "tmpfs", 0, "size=4m") < 0) {
        free(script);
        skip(); /* needs root */
    }
    memset(script, 'x', 100000);
    script[100000] = '\0';
    s = store_open(dir, &e);
    assert_non_null(s);
    r.setup_script = script;
    r.name = name;
    do
        snprintf(name, sizeof name, "e%d", added);
    while (store_environment_add(s, &r, &e) == 0 && ++added < 100);
    assert_in_range(added, 1, 99);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_contains(e.text, "disk");
    /* Reading goes on, and so does writing when there is room. */
    name[0] = '\0';
    {
        char all[1024] = "";
        assert_int_equal(store_environments(s, append_name, all, NULL), 0);
        assert_contains(all, "e0 ");
    }
    assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    r = example("later");
    assert_int_equal(store_environment_add(s, &r, NULL), 0);
    store_close(s);
    assert_int_equal(umount(dir), 0);
    free(script);
}

static void what_is_deleted_needs_no_room(void **state)
{
    struct fixture *f = *state;
    static const char filler[65536];
    char dir[80], file[96], name[16];
    struct environment_record r = example("e0");
    struct err e = {0};
    struct store *s;
    int fd;

    snprintf(dir, sizeof dir, "%s/full", f->dir);
    snprintf(file, sizeof file, "%s/filler", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    if (mount("tmpfs", dir, "tmpfs", 0, "size=8m") < 0)
        skip(); /* needs root */
    s = store_open(dir, &e);
    assert_non_null(s);
    r.name = name;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "e%d", i);
        assert_int_equal(store_environment_add(s, &r, &e), 0);
    }
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, filler, sizeof filler) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
    for (int64_t id = r.id - 99; id <= r.id; id++)
        assert_int_equal(store_environment_remove(s, id, &e), 0);
    store_close(s);
    assert_int_equal(umount(dir), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_as_it_was_written),
        TEST(an_update_changes_all_but_the_name),
        TEST(a_name_is_taken_once),
        TEST(they_come_in_order_of_creation),
        TEST(what_is_not_there_is_not_found),
        TEST(a_build_ends_at_one_go),
        TEST(a_number_of_a_layer_is_never_used_again),
        TEST(a_layer_in_use_cannot_be_removed),
        TEST(unused_layers_are_those_that_nothing_refers_to),
        TEST(an_image_is_replaced_by_its_name),
        TEST(a_newer_schema_is_refused),
        TEST(a_database_of_something_else_is_refused),
        TEST(a_file_that_is_no_database_is_refused_and_kept),
        TEST(a_damaged_page_is_refused),
        TEST(a_link_in_place_of_the_file_is_refused),
        TEST(what_was_written_before_a_crash_is_there_after_it),
        TEST(a_full_disk_is_an_error_and_leaves_the_database_usable),
        TEST(what_is_deleted_needs_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
