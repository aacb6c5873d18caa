/* Tests of settings: flags, values and rules, through settings_load. */
#include "base/settings.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings_internal.h"
#include "base/settings_test_support.h"

static void defaults_are_those_of_the_table(void **state)
{
    struct load l;
    load_words(&l, NULL, 1, (const char *const[]){"dunlin"});
    assert_loaded(&l);
    assert_string_equal(warnings, "");
    assert_int_equal(l.rest, 1);
    assert_string_equal(l.s.host, "127.0.0.1");
    assert_int_equal(l.s.port, 8000);
    assert_string_equal(l.s.data, "/var/lib/dunlin");
    assert_string_equal(l.s.api_keys, "");
    assert_false(l.s.allow_anonymous);
    assert_int_equal(l.s.sandbox_timeout, 30);
    assert_int_equal(l.s.max_timeout, 300);
    assert_int_equal(l.s.max_code_length, 100000);
    assert_int_equal(l.s.max_file_size, 10485760);
    assert_int_equal(l.s.max_body_size, 64 << 20);
    assert_int_equal(l.s.memory_limit, 512 << 20);
    assert_int_equal(l.s.max_memory, INT64_C(2) << 30);
    assert_int_equal(l.s.cpu_milli, 1000);
    assert_int_equal(l.s.max_cpu_milli, 0);
    assert_int_equal(l.s.output_limit, 4 << 20);
    assert_string_equal(l.s.work_dir, "/sandbox");
    assert_string_equal(l.s.security_level, "off");
    assert_string_equal(l.s.network_mode, "none");
    assert_string_equal(l.s.log_level, "info");
    settings_finish(&l.s);
    settings_finish(&l.s);
}

static void flags_beat_environment_beats_dotenv_beats_default(void **state)
{
    static const char dotenv[] = "PORT=1001\nQUEUE_LIMIT=1\nPOOL_MIN=1\n";
    setenv("PORT", "1002", 1);
    setenv("QUEUE_LIMIT", "2", 1);
    struct load l;
    LOAD(&l, dotenv, "--port", "1003");
    assert_loaded(&l);
    assert_int_equal(l.s.port, 1003);
    assert_int_equal(l.s.queue_limit, 2);
    assert_int_equal(l.s.pool_min, 1);
    assert_int_equal(l.s.pool_max, 32);
    settings_finish(&l.s);
}

static void an_empty_text_is_a_value_where_empty_means_none_and_an_error_elsewhere(void **state)
{
    setenv("API_KEYS", "", 1);
    struct load l;
    LOAD(&l, "API_KEYS=secret\nWARM_MODULES=\n", "--allowed-modules", "");
    assert_loaded(&l);
    assert_string_equal(l.s.api_keys, "");
    assert_string_equal(l.s.warm_modules, "");
    settings_finish(&l.s);
    LOAD(&l, NULL, "--port=");
    assert_refused(&l, "--port: \"\" is not a whole number");
    LOAD(&l, "PORT=\n", "--pool-min=1");
    assert_refused(&l, "PORT in .env: \"\" is not a whole number");
    LOAD(&l, NULL, "--host", "");
    assert_refused(&l, "--host: must have at least 1");
    setenv("LOG_LEVEL", "", 1);
    LOAD(&l, NULL, "--pool-min=1");
    assert_refused(&l, "LOG_LEVEL: \"\" is none of");
}

static void flags_take_both_forms_and_stop_at_the_first_word(void **state)
{
    struct load l;
    LOAD(&l, NULL, "--port=1", "--work-dir", "/w", "--allow-anonymous", "word", "--port", "2");
    assert_loaded(&l);
    assert_int_equal(l.s.port, 1);
    assert_string_equal(l.s.work_dir, "/w");
    assert_true(l.s.allow_anonymous);
    assert_int_equal(l.rest, 5);
    settings_finish(&l.s);

    LOAD(&l, NULL, "--allow-anonymous=false", "--", "--port", "2");
    assert_loaded(&l);
    assert_false(l.s.allow_anonymous);
    assert_int_equal(l.rest, 3);
    settings_finish(&l.s);

    LOAD(&l, NULL, "--port", "1", "--port", "2");
    assert_loaded(&l);
    assert_int_equal(l.s.port, 2);
    assert_int_equal(l.rest, 5);
    settings_finish(&l.s);
}

static void help_is_left_to_the_caller_whatever_else_is_wrong(void **state)
{
    setenv("PORT", "not a port", 1);
    struct load l;
    LOAD(&l, "=broken", "--pool-min", "3", "--help", "--nonsense");
    assert_loaded(&l);
    assert_int_equal(l.rest, 3);
    assert_int_equal(l.s.port, 8000);
    settings_finish(&l.s);
    LOAD(&l, NULL, "-h");
    assert_loaded(&l);
    assert_int_equal(l.rest, 1);
    settings_finish(&l.s);
}

static void wrong_flags_are_refused_with_a_hint(void **state)
{
    static const struct {
        const char *word, *part;
    } cases[] = {
        {"--prot", "unknown flag --prot; did you mean --port?"},
        {"--prot=5", "unknown flag --prot; did you mean --port?"},
        {"--work", "unknown flag --work; did you mean --work-dir?"},
        {"--max-mem", "did you mean --max-memory?"},
        {"--max_memory", "did you mean --max-memory?"},
        {"--hel", "did you mean --help?"},
        {"--MAX-CPU", "did you mean --max-cpu?"},
        {"-p", "unknown flag -p"},
        {"-xh", "unknown flag -xh"},
        {"--help=x", "unknown flag --help"},
        {"--port", "--port needs a value"},
        {"--api-keys=k", "ps; set API_KEYS"},
        {"--allow-anonymous=perhaps", "neither true nor false"},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct load l;
        LOAD(&l, NULL, cases[i].word);
        assert_refused(&l, cases[i].part);
    }
    struct load l;
    LOAD(&l, NULL, "--quite-something-else-that-is-longer-than-any-name-we-have");
    assert_refused(&l, "unknown flag --quite-something-else");
    assert_null(strstr(l.e.text, "mean"));
}

static void sizes_follow_docker(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"67108864", 67108864}, {"512m", 512 << 20},     {"512M", 512 << 20},  {"512Mi", 512 << 20},
        {"512mb", 512 << 20},   {"512MiB", 512 << 20},   {"65536k", 64 << 20}, {"1g", 1 << 30},
        {"1G", 1 << 30},        {"67108864b", 64 << 20},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        setenv("MEMORY_LIMIT", cases[i].text, 1);
        struct load l;
        LOAD(&l, NULL, "--pool-min=1");
        assert_loaded(&l);
        assert_int_equal(l.s.memory_limit, cases[i].value);
        settings_finish(&l.s);
    }
    static const char *const bad[] = {"m",
                                      "1x",
                                      "1.5g",
                                      "-1g",
                                      " 1g",
                                      "1 g",
                                      "1gg",
                                      "1mib ",
                                      "0x1",
                                      "1ib",
                                      "99999999999999999999",
                                      "9999999999999t"};
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        struct load l;
        LOAD(&l, NULL, "--memory-limit", bad[i]);
        assert_refused(&l, "is not a size such as");
    }
}

static void cpus_are_decimal_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t milli;
    } cases[] = {{"0.5", 500},   {"1", 1000},      {"2.25", 2250}, {".5", 500},
                 {"0.125", 125}, {"1.5000", 1500}, {"1.0", 1000}};
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        setenv("CPU_LIMIT", cases[i].text, 1);
        struct load l;
        LOAD(&l, NULL, "--pool-min=1");
        assert_loaded(&l);
        assert_int_equal(l.s.cpu_milli, cases[i].milli);
        settings_finish(&l.s);
    }
    static const char *const bad[] = {
        "1.", ".", "0.1234", "1,5", "-1", "1e3", "9223372036854775807"};
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        struct load l;
        LOAD(&l, NULL, "--cpu-limit", bad[i]);
        assert_refused(&l, "is not a number with at most three decimals");
    }
    struct load l;
    LOAD(&l, NULL, "--cpu-limit", "0.005");
    assert_refused(&l, "--cpu-limit: 0.005 is outside 0.01 to 4096");
}

static void numbers_are_exact_and_in_range(void **state)
{
    static const struct {
        const char *word, *part;
    } cases[] = {
        {"--port=70000", "--port: 70000 is outside 0 to 65535"},
        {"--port=-1", "--port: -1 is outside 0 to 65535"},
        {"--port=8000x", "is not a whole number"},
        {"--port=+1", "is not a whole number"},
        {"--port= 1", "is not a whole number"},
        {"--port=99999999999999999999", "is not a whole number"},
        {"--memory-limit=1m", "--memory-limit: 1m is outside 16m to 64t"},
        {"--sandbox-timeout=0", "is outside 1 to 86400"},
        {"--security-level=high", "\"high\" is none of off|standard|strict"},
        {"--security-level=of", "is none of"},
        {"--log-format=", "is none of"},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct load l;
        LOAD(&l, NULL, cases[i].word);
        assert_refused(&l, cases[i].part);
    }
}

static void errors_name_the_source(void **state)
{
    struct load l;
    LOAD(&l, "PORT=abc\n", "--pool-min=1");
    assert_refused(&l, "PORT in .env: \"abc\"");
    setenv("PORT", "def", 1);
    LOAD(&l, "PORT=abc\n", "--pool-min=1");
    assert_refused(&l, "PORT: \"def\"");
}

static void booleans_and_choices_ignore_case(void **state)
{
    static const char *const yes[] = {"true", "1", "YES", "On"};
    static const char *const no[] = {"FALSE", "0", "no", "off"};
    for (size_t i = 0; i < TEST_COUNT(yes); i++) {
        struct load l;
        setenv("ALLOW_ANONYMOUS", yes[i], 1);
        LOAD(&l, NULL, "--log-level", "WARNING", "--security-level=Strict");
        assert_loaded(&l);
        assert_true(l.s.allow_anonymous);
        assert_string_equal(l.s.log_level, "warning");
        assert_string_equal(l.s.security_level, "strict");
        settings_finish(&l.s);
        setenv("ALLOW_ANONYMOUS", no[i], 1);
        LOAD(&l, NULL, "--log-level", "critical");
        assert_loaded(&l);
        assert_false(l.s.allow_anonymous);
        settings_finish(&l.s);
    }
}

static void timeouts_are_lowered_to_the_ceiling(void **state)
{
    static const struct {
        const char *dotenv;
        int64_t timeout, max;
        bool warned;
    } cases[] = {
        {"MAX_TIMEOUT=10", 10, 10, true},
        {"MAX_TIMEOUT=30", 30, 30, false},
        {"MAX_EXECUTION_TIME=60", 30, 60, false},
        {"MAX_EXECUTION_TIME=20", 20, 20, true},
        {"MAX_EXECUTION_TIME=600", 30, 300, false},
        {"MAX_EXECUTION_TIME=50\nMAX_TIMEOUT=40\nSANDBOX_TIMEOUT=45", 40, 40, true},
        {"SANDBOX_TIMEOUT=600\nMAX_TIMEOUT=600", 600, 600, false},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct load l;
        LOAD(&l, cases[i].dotenv, "--pool-min=1");
        assert_loaded(&l);
        assert_int_equal(l.s.sandbox_timeout, cases[i].timeout);
        assert_int_equal(l.s.max_timeout, cases[i].max);
        assert_int_equal(warnings[0] != '\0', cases[i].warned);
        settings_finish(&l.s);
    }
}

static void defaults_above_ceilings_are_refused(void **state)
{
    static const struct {
        const char *dotenv, *part;
    } cases[] = {
        {"MEMORY_LIMIT=4g", "MEMORY_LIMIT (4g) is above MAX_MEMORY (2g): lower MEMORY_LIMIT or "
                            "raise MAX_MEMORY"},
        {"MEMORY_BUDGET=100m", "MEMORY_LIMIT (512m) is above MEMORY_BUDGET (100m)"},
        {"MAX_CPU=0.5", "CPU_LIMIT (1) is above MAX_CPU (0.5)"},
        {"PROCESS_LIMIT=513", "PROCESS_LIMIT (513) is above MAX_PROCESSES (512)"},
        {"WORKSPACE_LIMIT=2g", "WORKSPACE_LIMIT (2g) is above MAX_WORKSPACE (1g)"},
        {"MAX_OUTPUT=1m", "OUTPUT_LIMIT (4m) is above MAX_OUTPUT (1m)"},
        {"POOL_MIN=33", "POOL_MIN (33) is above POOL_MAX (32)"},
        {"BODY_BUDGET=32m", "MAX_BODY_SIZE (64m) is above BODY_BUDGET (32m)"},
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct load l;
        LOAD(&l, cases[i].dotenv, "--queue-limit=1");
        assert_refused(&l, cases[i].part);
    }
}

static void the_work_dir_hides_nothing(void **state)
{
    static const char *const good[] = {"/sandbox", "/workspace", "/home/me",
                                       "/w",       "/srv/run.1", "/..a"};
    for (size_t i = 0; i < TEST_COUNT(good); i++) {
        struct load l;
        LOAD(&l, NULL, "--work-dir", good[i]);
        assert_loaded(&l);
        settings_finish(&l.s);
    }
    static const struct {
        const char *path, *part;
    } bad[] = {
        {"sandbox", "not an absolute path"},
        {"./sandbox", "not an absolute path"},
        {"/", "at least 2"},
        {"//", "empty component"},
        {"/sandbox/", "empty component"},
        {"//sandbox", "empty component"},
        {"/a/..", "empty component"},
        {"/./a", "empty component"},
        {"/a/b/c", "more than two components"},
        {"/a b", "only letters"},
        {"/a\n", "only letters"},
        {"/usr", "system directory"},
        {"/etc", "system directory"},
        {"/dev/shm", "system directory"},
        {"/proc", "system directory"},
        {"/tmp", "system directory"},
        {"/bin", "system directory"},
        {"/lib", "system directory"},
        {"/lib64", "system directory"},
        {"/opt/x", "system directory"},
    };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        struct load l;
        LOAD(&l, NULL, "--work-dir", bad[i].path);
        assert_refused(&l, bad[i].part);
    }
}

static void warm_modules_are_names(void **state)
{
    struct load l;
    LOAD(&l, NULL, "--warm-modules", "numpy,os.path,_x1");
    assert_loaded(&l);
    settings_finish(&l.s);
    LOAD(&l, NULL, "--warm-modules", "re;import os");
    assert_refused(&l, "character 3");
    char text[600];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    LOAD(&l, NULL, "--warm-modules", text);
    assert_refused(&l, "--warm-modules: is longer than 511 bytes");
}

static void a_relative_data_directory_becomes_absolute(void **state)
{
    assert_int_equal(chdir(dir), 0);
    struct load l;
    LOAD(&l, NULL, "--data", "state");
    assert_loaded(&l);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "%s/state", dir);
    assert_string_equal(l.s.data, wanted);
    settings_finish(&l.s);

    char name[200];
    memset(name, 'd', sizeof name);
    name[sizeof name - 1] = '\0';
    LOAD(&l, NULL, "--data", name);
    assert_refused(&l, "the absolute path is longer than 200 bytes");

    assert_int_equal(chdir("/"), 0);
    LOAD(&l, NULL, "--data", "state");
    assert_loaded(&l);
    assert_string_equal(l.s.data, "/state");
    settings_finish(&l.s);
}

static void a_lost_working_directory_is_reported(void **state)
{
    char gone[80];
    snprintf(gone, sizeof gone, "%s/gone", dir);
    assert_int_equal(mkdir(gone, 0700), 0);
    assert_int_equal(chdir(gone), 0);
    assert_int_equal(rmdir(gone), 0);
    struct load l;
    LOAD(&l, NULL, "--data", "state");
    assert_int_equal(chdir("/"), 0);
    assert_refused(&l, "DATA: current directory");
}

/* Calls print with a memory stream; the text is the caller's. */
static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    print(out);
    fclose(out);
    return text;
}

static void the_help_names_everything_within_100_columns(void **state)
{
    char *text = printed(settings_help);
    for (size_t i = 0; i < settings_count; i++)
        assert_contains(text, settings_table[i].name);
    assert_contains(text, "  --max-execution-time  MAX_EXECUTION_TIME  0                ");
    assert_contains(text, "                        API_KEYS            -  ");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    free(text);
}

static void the_markdown_table_is_complete(void **state)
{
    char *text = printed(settings_markdown);
    assert_contains(text, "| `PORT` | `--port` | `8000` | 0 to 65535 | TCP port");
    assert_contains(text, "| `API_KEYS` | none | empty | up to 65536 bytes | ");
    assert_contains(text, "| `SECURITY_LEVEL` | `--security-level` | `off` | `off`, `standard`, "
                          "`strict` | ");
    assert_contains(text, "| `CPU_LIMIT` | `--cpu-limit` | `1` | 0.01 to 4096 | ");
    assert_contains(text, "## Listening and access\n\n| Variable |");
    free(text);
}

static void every_row_of_the_table_is_sound(void **state)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        assert_ptr_equal(setting_find(row->name), row);
        assert_true(strlen(row->name) < SETTINGS_FLAG_BYTES);
        assert_true(row->min <= row->max);
        assert_int_equal(row->help[strlen(row->help) - 1], '.');
        assert_int_equal(row->type == SETTING_CHOICE, row->choices != NULL);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(row->offset, settings_table[j].offset);
    }
    assert_null(setting_find("port"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(defaults_are_those_of_the_table),
        SETTINGS_TEST(flags_beat_environment_beats_dotenv_beats_default),
        SETTINGS_TEST(an_empty_text_is_a_value_where_empty_means_none_and_an_error_elsewhere),
        SETTINGS_TEST(flags_take_both_forms_and_stop_at_the_first_word),
        SETTINGS_TEST(help_is_left_to_the_caller_whatever_else_is_wrong),
        SETTINGS_TEST(wrong_flags_are_refused_with_a_hint),
        SETTINGS_TEST(sizes_follow_docker),
        SETTINGS_TEST(cpus_are_decimal_numbers),
        SETTINGS_TEST(numbers_are_exact_and_in_range),
        SETTINGS_TEST(errors_name_the_source),
        SETTINGS_TEST(booleans_and_choices_ignore_case),
        SETTINGS_TEST(timeouts_are_lowered_to_the_ceiling),
        SETTINGS_TEST(defaults_above_ceilings_are_refused),
        SETTINGS_TEST(the_work_dir_hides_nothing),
        SETTINGS_TEST(warm_modules_are_names),
        SETTINGS_TEST(a_relative_data_directory_becomes_absolute),
        SETTINGS_TEST(a_lost_working_directory_is_reported),
        SETTINGS_TEST(the_help_names_everything_within_100_columns),
        SETTINGS_TEST(the_markdown_table_is_complete),
        SETTINGS_TEST(every_row_of_the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
