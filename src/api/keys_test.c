/* Tests of keys. */
#include "api/keys.h"

#include <stdio.h>
#include <unistd.h>

#include "base/test_support.h"

static char path[] = "/tmp/dunlin-keys-test-XXXXXX";

static void write_key_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    return unlink(path);
}

static bool accepts(const struct keys *k, const char *authorization, const char *api_key)
{
    char id[KEY_ID_SIZE];
    return keys_accept(k, authorization, api_key, id) == 1;
}

static void test_known_keys_are_accepted_in_both_headers(void **state)
{
    char list[] = " one, two,,three ";
    write_key_file("filed-1\r\n\nfiled-2\n");
    struct keys *k = keys_create(list, path, NULL);
    static const char *const known[] = {"one", "two", "three", "filed-1", "filed-2"};
    assert_true(keys_required(k));
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        char header[64];
        snprintf(header, sizeof header, "bearer %s", known[i]);
        assert_true(accepts(k, header, NULL));
        assert_true(accepts(k, NULL, known[i]));
        assert_true(accepts(k, "Basic x", known[i]));
    }
    keys_destroy(k);
}

static void test_anything_else_is_refused(void **state)
{
    char list[] = "one,two";
    struct keys *k = keys_create(list, "", NULL);
    static const char *const wrong[] = {"",        "on",   "onex", "ONE",
                                        "one,two", "one ", " one", "one\t"};
    assert_false(accepts(k, NULL, NULL));
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        assert_false(accepts(k, NULL, wrong[i]));
    assert_false(accepts(k, "one", NULL));
    assert_false(accepts(k, "Bearer ", NULL));
    assert_false(accepts(k, "Bearer", NULL));
    assert_false(accepts(k, "Basic one", NULL));
    assert_false(accepts(k, "Bearer one x", NULL));
    keys_destroy(k);
}

static void test_a_key_has_an_id_that_is_not_the_key(void **state)
{
    char list[] = "one";
    char id[KEY_ID_SIZE] = "";
    struct keys *k = keys_create(list, NULL, NULL);
    assert_int_equal(keys_accept(k, "Bearer one", NULL, id), 1);
    assert_string_equal(id, "7692c3ad"); /* printf one | sha256sum */
    keys_destroy(k);
}

static void test_the_clear_text_is_wiped(void **state)
{
    char list[] = "one,two";
    struct keys *k = keys_create(list, NULL, NULL);
    for (size_t i = 0; i < sizeof list; i++)
        assert_int_equal(list[i], 0);
    keys_destroy(k);
}

static void test_no_keys_are_none_required(void **state)
{
    char empty[] = "", blank[] = " , ";
    struct keys *k = keys_create(empty, NULL, NULL);
    assert_false(keys_required(k));
    keys_destroy(k);
    k = keys_create(blank, "", NULL);
    assert_false(keys_required(k));
    keys_destroy(k);
}

static void test_a_key_file_that_gives_no_key_is_an_error(void **state)
{
    struct err e = {0};
    write_key_file("\n \n");
    assert_null(keys_create(NULL, path, &e));
    assert_contains(e.text, "holds no key");
    assert_null(keys_create(NULL, "/nonexistent/keys", &e));
    assert_contains(e.text, "/nonexistent/keys");
}

static void test_two_keys_never_have_one_id(void **state)
{
    struct err e = {0};
    char twins[] = "key-8337,key-15029"; /* printf key-8337 | sha256sum begins with 7152ff1c, too */
    char same[] = "one,one";
    assert_null(keys_create(twins, NULL, &e));
    assert_contains(e.text, "7152ff1c");
    struct keys *k = keys_create(same, NULL, NULL);
    assert_true(accepts(k, NULL, "one"));
    keys_destroy(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_keys_are_accepted_in_both_headers),
        cmocka_unit_test(test_anything_else_is_refused),
        cmocka_unit_test(test_a_key_has_an_id_that_is_not_the_key),
        cmocka_unit_test(test_the_clear_text_is_wiped),
        cmocka_unit_test(test_no_keys_are_none_required),
        cmocka_unit_test(test_a_key_file_that_gives_no_key_is_an_error),
        cmocka_unit_test(test_two_keys_never_have_one_id),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
