/* Tests of build_facts. */
#include "service/build_facts.h"

#include "base/test_support.h"
#include "engine/run.h"

static struct build_facts decode(const char *facts, const char *packages)
{
    struct build_facts f = {0};

    if (facts != NULL)
        build_facts_decode(&f, facts, strlen(facts));
    if (packages != NULL)
        build_packages_decode(&f, packages, strlen(packages));
    return f;
}

static void what_is_well_formed_is_taken(void **state)
{
    struct build_facts f = decode(
        "{\"python\": \"3.13.5\", \"digest\": "
        "\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", \"x\": 1}",
        "[{\"name\":\"zlib\",\"version\":\"1\",\"manager\":\"dpkg\",\"more\":[]},"
        "{\"name\":\"abc\",\"version\":\"2:1-1+b2~x\",\"manager\":\"pip\"}]");

    assert_string_equal(f.python, "3.13.5");
    assert_contains(f.digest, "sha256:0123");
    assert_int_equal(f.npackages, 2);
    assert_string_equal(f.packages,
                        "[{\"name\":\"abc\",\"version\":\"2:1-1+b2~x\",\"manager\":\"pip\"},"
                        "{\"name\":\"zlib\",\"version\":\"1\",\"manager\":\"dpkg\"}]");
    build_facts_finish(&f);
}

static void what_is_not_is_not_said(void **state)
{
    static const char *const facts[] = {
        "",
        "[]",
        "{",
        "null",
        "{\"python\": 3, \"digest\": []}",
        "{\"python\": \"\", \"digest\": \"sha256:xyz\"}",
        "{\"python\": \"3.1\\n\", \"digest\": \"md5:00\"}",
        "{\"python\": \"3333333333333333333333333333333333333333333333\", \"packages\": {}}",
    };

    for (size_t i = 0; i < TEST_COUNT(facts); i++) {
        struct build_facts f = decode(facts[i], facts[i][0] == '[' ? NULL : facts[i]);

        assert_string_equal(f.python, "");
        assert_string_equal(f.digest, "");
        assert_null(f.packages);
    }
}

static void a_bad_package_is_left_out(void **state)
{
    struct build_facts f =
        decode(NULL, "[1, {}, {\"name\":\"a\"}, {\"name\":\"a\",\"version\":\"1\","
                     "\"manager\":\"magic\"}, {\"name\":\"\",\"version\":\"1\","
                     "\"manager\":\"pip\"}, {\"name\":\"b\",\"version\":\"1\","
                     "\"manager\":\"npm\"}]");

    assert_int_equal(f.npackages, 1);
    assert_string_equal(f.packages, "[{\"name\":\"b\",\"version\":\"1\",\"manager\":\"npm\"}]");
    build_facts_finish(&f);
}

static void they_are_found_among_the_files_of_a_job(void **state)
{
    struct run_output_file files[] = {
        {(char *)"other", (char *)"{}", 2},
        {(char *)"packages.json", (char *)"[]", 2},
        {(char *)"facts.json", (char *)"{\"python\":\"3.9\"}", 16},
    };
    const struct run_result result = {.files = files, .nfiles = TEST_COUNT(files)};
    struct build_facts f;

    build_facts_read(&f, &result);
    assert_string_equal(f.python, "3.9");
    assert_string_equal(f.packages, "[]");
    build_facts_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_well_formed_is_taken),
        cmocka_unit_test(what_is_not_is_not_said),
        cmocka_unit_test(a_bad_package_is_left_out),
        cmocka_unit_test(they_are_found_among_the_files_of_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
