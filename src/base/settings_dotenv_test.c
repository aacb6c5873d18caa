/* Tests of the .env file: its syntax, its faults, and what is said about keys that do nothing. */
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings_internal.h"
#include "base/settings_test_support.h"

static void dotenv_syntax_is_understood(void **state)
{
    struct load l;
    LOAD(&l,
         "\xEF\xBB\xBF# comment\r\n"
         "\r\n"
         "  export PORT = 1234 # inline\r\n"
         "HOST=\"::1\" # comment\n"
         "API_KEYS='a#b\"c\\n\\'d'\n"
         "export\tALLOWED_MODULES=\"x\\\"y\\\\z\\tw\\q\\r\\n\"\n"
         "WARM_MODULES=re,json   \n"
         "API_KEY_FILE=/a#b\n"
         "LOG_LEVEL=debug\nLOG_LEVEL=error",
         "--pool-min=1");
    assert_loaded(&l);
    assert_string_equal(warnings, "");
    assert_int_equal(l.s.port, 1234);
    assert_string_equal(l.s.host, "::1");
    assert_string_equal(l.s.api_keys, "a#b\"c\\n'd");
    assert_string_equal(l.s.allowed_modules, "x\"y\\z\twq\r\n");
    assert_string_equal(l.s.warm_modules, "re,json");
    assert_string_equal(l.s.api_key_file, "/a#b");
    assert_string_equal(l.s.log_level, "error");
    settings_finish(&l.s);
}

static void dotenv_faults_name_the_line_and_not_its_text(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"PORT=1\nsecret\n", "line 2: is not KEY=VALUE"},
        {"API KEYS=secret", "line 1: is not KEY=VALUE"},
        {"1A=secret", "line 1: is not KEY=VALUE"},
        {"=secret", "line 1: is not KEY=VALUE"},
        {"export", "line 1: is not KEY=VALUE"},
        {"\nAPI_KEYS=\"secret\n", "line 2: has a quote that does not end"},
        {"API_KEYS='secret\\'", "line 1: has a quote that does not end"},
        {"API_KEYS=\"secret\\", "line 1: has a quote that does not end"},
        {"API_KEYS='secret'secret", "line 1: has text behind the closing quote"},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct load l;
        LOAD(&l, cases[i].text, "--pool-min=1");
        assert_refused(&l, cases[i].part);
        assert_null(strstr(l.e.text, "secret"));
    }
}

static void exported_is_a_key_of_its_own(void **state)
{
    struct load l;
    LOAD(&l, "exported=1\n", "--pool-min=1");
    assert_loaded(&l);
    assert_contains(warnings, "unknown setting exported in .env");
    settings_finish(&l.s);
}

static void odd_dotenv_files_are_refused(void **state)
{
    char name[] = "dunlin";
    char *words[] = {name, NULL};
    struct load l = {.rest = -1};
    l.result = settings_load(&l.s, dir, 1, words, &l.rest, collect, &l.e);
    assert_refused(&l, "is not a regular file");

    unlink(dotenv_path);
    assert_int_equal(mkfifo(dotenv_path, 0600), 0);
    l.result = settings_load(&l.s, dotenv_path, 1, words, &l.rest, collect, &l.e);
    assert_refused(&l, "is not a regular file");
    unlink(dotenv_path);

    write_dotenv("A=1\0B=2", 7);
    l.result = settings_load(&l.s, dotenv_path, 1, words, &l.rest, collect, &l.e);
    assert_refused(&l, "NUL");

    char *big = malloc(DOTENV_BYTES + 1);
    memset(big, '#', DOTENV_BYTES + 1);
    write_dotenv(big, DOTENV_BYTES + 1);
    l.result = settings_load(&l.s, dotenv_path, 1, words, &l.rest, collect, &l.e);
    assert_refused(&l, "longer than 65536 bytes");
    write_dotenv(big, DOTENV_BYTES);
    l.result = settings_load(&l.s, dotenv_path, 1, words, &l.rest, collect, &l.e);
    assert_loaded(&l);
    settings_finish(&l.s);
    for (size_t i = 0; i <= DOTENV_ENTRIES; i++)
        strcpy(big + i * 4, "A=1\n");
    write_dotenv(big, (DOTENV_ENTRIES + 1) * 4);
    free(big);
    l.rest = -1;
    l.result = settings_load(&l.s, dotenv_path, 1, words, &l.rest, collect, &l.e);
    assert_refused(&l, "line 257: is one line too many");

    l.result = settings_load(&l.s, "/proc/self/mem/x", 1, words, &l.rest, collect, &l.e);
    assert_loaded(&l);
    settings_finish(&l.s);
    l.result = settings_load(&l.s, NULL, 1, words, &l.rest, NULL, &l.e);
    assert_loaded(&l);
    settings_finish(&l.s);
}

static void unknown_keys_in_dotenv_are_reported_and_ignored(void **state)
{
    struct load l;
    LOAD(&l, "port=1\nMEMORY_LIMITS=secret\nZZ=secret\n", "--pool-min=1");
    assert_loaded(&l);
    assert_int_equal(l.s.port, 8000);
    assert_string_equal(warnings, "unknown setting port in .env is ignored; did you mean PORT?\n"
                                  "unknown setting MEMORY_LIMITS in .env is ignored; did you mean "
                                  "MEMORY_LIMIT?\n"
                                  "unknown setting ZZ in .env is ignored\n");
    settings_finish(&l.s);
}

static int count_of(const char *part)
{
    int n = 0;
    for (const char *p = warnings; (p = strstr(p, part)); p++)
        n++;
    return n;
}

static void settings_of_the_predecessors_give_one_warning_each(void **state)
{
    setenv("EXECUTION_MODE", "conda", 1);
    setenv("ENVIRONMENT", "production", 1);
    setenv("TEMP_DIR", "/tmp", 1);
    struct load l;
    LOAD(&l,
         "EXECUTION_MODE=conda\nDOCKER_IMAGE=python:3.11-slim\nCONDA_BASE_PATH=/c\n"
         "CONDA_ENVS_PATH=/e\n",
         "--pool-min=1");
    assert_loaded(&l);
    static const char *const each[] = {"EXECUTION_MODE", "DOCKER_IMAGE", "CONDA_BASE_PATH",
                                       "CONDA_ENVS_PATH", "TEMP_DIR"};
    for (size_t i = 0; i < TEST_COUNT(each); i++)
        assert_int_equal(count_of(each[i]), 1);
    assert_int_equal(count_of("\n"), (int)TEST_COUNT(each));
    settings_finish(&l.s);

    LOAD(&l, "ENVIRONMENT=production\n", "--pool-min=1");
    assert_loaded(&l);
    assert_int_equal(count_of("ENVIRONMENT has no effect"), 1);
    settings_finish(&l.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(dotenv_syntax_is_understood),
        SETTINGS_TEST(dotenv_faults_name_the_line_and_not_its_text),
        SETTINGS_TEST(exported_is_a_key_of_its_own),
        SETTINGS_TEST(odd_dotenv_files_are_refused),
        SETTINGS_TEST(unknown_keys_in_dotenv_are_reported_and_ignored),
        SETTINGS_TEST(settings_of_the_predecessors_give_one_warning_each),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
