/* Tests of log: stderr is replaced by a pipe, or by a terminal, and read back. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/test_support.h"

struct capture {
    int saved, read_end;
    char text[8192];
};

static void capture_begin(struct capture *c)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    c->read_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

/* Gives stderr back; the text is what one read(2) finds, that is what one or more writes left. */
static const char *capture_end(struct capture *c)
{
    ssize_t n = read(c->read_end, c->text, sizeof c->text - 1);
    c->text[n > 0 ? n : 0] = '\0';
    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    close(c->read_end);
    return c->text;
}

static void text_lines_have_the_agreed_form(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("server", LOG_INFO, LOG_TEXT);
    log_event(LOG_INFO, "run.done", LOG_STR("id", "r1"), LOG_INT("ms", -12), LOG_REAL("load", 0.25),
              LOG_BOOL("ok", true), LOG_BOOL("bad", false), LOG_STR("none", NULL));
    const char *line = capture_end(&c);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[19], '.');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 24, " info  run.done part=server id=r1 ms=-12 load=0.25 ok=true "
                                   "bad=false none=null\n");
}

static void values_are_quoted_only_when_needed(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("", LOG_DEBUG, LOG_TEXT);
    log_event(LOG_WARNING, "x", LOG_STR("a", "/usr/bin:1.5%"), LOG_STR("b", ""),
              LOG_STR("c", "two words"), LOG_STR("d", "k=v"), LOG_STR("e", "超时"));
    assert_contains(capture_end(&c),
                    "Z warn  x a=/usr/bin:1.5% b=\"\" c=\"two words\" d=\"k=v\" e=\"超时\"\n");
}

static void hostile_text_cannot_forge_a_line(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("", LOG_DEBUG, LOG_TEXT);
    log_event(LOG_ERROR, "x",
              LOG_STR("v", "a\n2026 info y\r\t\"\\\x1b[31m\x7f\xC2\x9B\xE2\x80\xAE\xE2\x80\xA8"
                           "\xFF\xE2\x82"));
    const char *line = capture_end(&c);
    assert_contains(line, "v=\"a\\n2026 info y\\u000d\\t\\\"\\\\\\u001b[31m\\u007f\\u009b\\u202e"
                          "\\u2028\xEF\xBF\xBD\xEF\xBF\xBD\"\n");
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void json_lines_are_objects(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("spawner", LOG_INFO, LOG_AUTO);
    log_event(LOG_ERROR, "nest.died", LOG_STR("why", "say \"no\"\x01\xFF"), LOG_INT("n", INT64_MIN),
              LOG_REAL("nan", NAN), LOG_STR("none", NULL), LOG_BOOL("b", true));
    const char *line = capture_end(&c);
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_contains(line, "Z\",\"level\":\"error\",\"event\":\"nest.died\",\"part\":\"spawner\","
                          "\"why\":\"say \\\"no\\\"\\u0001\xEF\xBF\xBD\","
                          "\"n\":-9223372036854775808,\"nan\":null,\"none\":null,\"b\":true}\n");
}

static void levels_below_the_threshold_are_silent(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("", LOG_WARNING, LOG_TEXT);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARNING));
    log_event(LOG_INFO, "x", LOG_INT("a", 1));
    log_write(LOG_DEBUG, "x", NULL, 0);
    assert_string_equal(capture_end(&c), "");
}

/* Fills the line with long values and checks its bounds and its end. */
static void check_bounds(enum log_format format, const char *unit)
{
    char value[8000] = "";
    while (strlen(value) + strlen(unit) < sizeof value)
        strcat(value, unit);
    struct log_field fields[40];
    for (int n = 1; n <= 40; n++) {
        for (int i = 0; i < n; i++)
            fields[i] = LOG_STR("a_rather_long_key", value + (i % 4) * 190 * (int)strlen(unit));
        struct capture c;
        capture_begin(&c);
        log_init("p", LOG_DEBUG, format);
        log_write(LOG_DEBUG, "x", fields, n);
        const char *line = capture_end(&c);
        size_t len = strlen(line);
        assert_true(len <= 4096);
        assert_int_equal(line[len - 1], '\n');
        assert_int_equal(utf8_valid_prefix(line, len, NULL), len);
        assert_contains(line, "…");
        if (format == LOG_JSON && n > 4)
            assert_string_equal(line + len - 13, ",\"cut\":true}\n");
        if (format == LOG_JSON)
            assert_int_equal(line[len - 2], '}');
    }
}

static void long_lines_are_cut_inside_values(void **state)
{
    check_bounds(LOG_TEXT, "abcdefg ");
    check_bounds(LOG_JSON, "超");
    check_bounds(LOG_JSON, "\x01");
    check_bounds(LOG_TEXT, "\"");
}

static void every_length_of_a_last_value_is_safe(void **state)
{
    char value[1100];
    memset(value, 'v', sizeof value);
    for (size_t len = 0; len < sizeof value; len++) {
        struct log_field fields[5];
        for (int i = 0; i < 5; i++)
            fields[i] = LOG_STR("k", value + sizeof value - 1 - (i < 4 ? 1000 : len));
        value[sizeof value - 1] = '\0';
        struct capture c;
        capture_begin(&c);
        log_init("", LOG_DEBUG, LOG_JSON);
        log_write(LOG_DEBUG, "x", fields, 5);
        const char *line = capture_end(&c);
        assert_true(strlen(line) <= 4096);
        assert_string_equal(line + strlen(line) - 2, "}\n");
    }
}

static void writing_keeps_errno_and_survives_a_closed_stderr(void **state)
{
    struct capture c;
    capture_begin(&c);
    log_init("", LOG_DEBUG, LOG_TEXT);
    close(STDERR_FILENO);
    errno = EXDEV;
    log_write(LOG_ERROR, "x", NULL, 0);
    assert_int_equal(errno, EXDEV);
    capture_end(&c);
}

static void level_names_are_understood(void **state)
{
    static const struct {
        const char *text;
        enum log_level level;
    } cases[] = {{"debug", LOG_DEBUG},  {"INFO", LOG_INFO},   {"Warning", LOG_WARNING},
                 {"warn", LOG_WARNING}, {"ERROR", LOG_ERROR}, {"critical", LOG_ERROR}};
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        enum log_level level;
        assert_int_equal(log_level_parse(cases[i].text, &level), 0);
        assert_int_equal(level, cases[i].level);
    }
    enum log_level level = LOG_INFO;
    assert_int_equal(log_level_parse("loud", &level), -1);
    assert_int_equal(level, LOG_INFO);
}

/* Logs one line to a pseudo-terminal and returns what arrives there. */
static const char *log_to_terminal(char *text, size_t size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(slave, STDERR_FILENO);
    log_init("", LOG_DEBUG, LOG_AUTO);
    log_write(LOG_ERROR, "x", NULL, 0);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = read(master, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(slave);
    close(master);
    return text;
}

static void a_terminal_gets_colour_unless_refused(void **state)
{
    char text[256];
    unsetenv("NO_COLOR");
    assert_contains(log_to_terminal(text, sizeof text), "\033[31merror\033[0m x");
    setenv("NO_COLOR", "1", 1);
    assert_contains(log_to_terminal(text, sizeof text), "Z error x");
    setenv("NO_COLOR", "", 1);
    assert_contains(log_to_terminal(text, sizeof text), "\033[31merror\033[0m x");
    unsetenv("NO_COLOR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_have_the_agreed_form),
        cmocka_unit_test(values_are_quoted_only_when_needed),
        cmocka_unit_test(hostile_text_cannot_forge_a_line),
        cmocka_unit_test(json_lines_are_objects),
        cmocka_unit_test(levels_below_the_threshold_are_silent),
        cmocka_unit_test(long_lines_are_cut_inside_values),
        cmocka_unit_test(every_length_of_a_last_value_is_safe),
        cmocka_unit_test(writing_keeps_errno_and_survives_a_closed_stderr),
        cmocka_unit_test(level_names_are_understood),
        cmocka_unit_test(a_terminal_gets_colour_unless_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
