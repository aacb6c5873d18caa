/* Tests of transactions whose end fails. */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/test_support.h"
#include "store/store.h"

/* Which of the next calls of sqlite3_exec fail without having been made, as without memory. */
static unsigned failing;

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *data, char **ret);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *data, char **ret);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *data, char **ret)
{
    bool fails = (failing & 1) != 0;

    failing >>= 1;
    return fails ? SQLITE_NOMEM : __real_sqlite3_exec(db, sql, each, data, ret);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int append_description(void *data, const struct environment_record *r)
{
    strcat(strcat(data, r->description), " ");
    return 0;
}

/* What another reader of the database sees: what a crash would leave. */
static void assert_kept(const char *dir, const char *wanted)
{
    struct store *other = store_open(dir, NULL);
    char all[64] = "";

    assert_non_null(other);
    assert_int_equal(store_environments(other, append_description, all, NULL), 0);
    assert_string_equal(all, wanted);
    store_close(other);
}

static void nothing_is_lost_behind_a_rollback_that_failed(void **state)
{
    char dir[] = "/tmp/dunlin-store-XXXXXX", first[] = "first", second[] = "second";
    struct environment_record r = {.name = first,
                                   .description = first,
                                   .base_image = first,
                                   .setup_script = first,
                                   .network = first,
                                   .build_network = first,
                                   .created_at = first};
    struct store *s;

    assert_non_null(mkdtemp(dir));
    s = store_open(dir, NULL);
    assert_non_null(s);
    assert_int_equal(store_environment_add(s, &r, NULL), 0);
    assert_int_equal(store_layer_add(s, LAYER_ENVIRONMENT, "key", 0, &r.layer, NULL), 0);
    r.description = second;
    failing = 1u << 1 | 1u << 2; /* COMMIT and ROLLBACK, not BEGIN */
    assert_int_equal(store_environment_built(s, &r, NULL), -1);
    failing = 1u << 0; /* ROLLBACK again */
    assert_int_equal(store_environment_update(s, &r, NULL), -1);
    assert_kept(dir, "first ");
    assert_int_equal(store_environment_update(s, &r, NULL), 0);
    assert_kept(dir, "second ");
    assert_int_equal(store_environment_built(s, &r, NULL), 0);
    store_close(s);
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_behind_a_rollback_that_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
