/* Tests of client_progress: the line that changes. */
#include "cli/client_progress.h"

#include <locale.h>
#include <stdio.h>

#include "base/test_support.h"

static void assert_line(const struct client_progress *p, uint64_t now_us, size_t columns,
                        const char *wanted)
{
    _cleanup_buf_ struct buf b = {0};

    assert_int_equal(client_progress_line(p, now_us, columns, &b), 0);
    assert_int_equal(buf_append(&b, "", 1), 0);
    assert_string_equal(b.data, wanted);
}

static void it_says_what_how_long_and_the_last_of_the_log(void **state)
{
    struct client_progress p = {.what = "building", .detail = "Fetched 12 MB"};

    assert_line(&p, 0, 80, "⠋ building 0:00  Fetched 12 MB");
    assert_line(&p, 125300000, 80, "⠸ building 2:05  Fetched 12 MB");
}

static void it_never_is_wider_than_the_terminal(void **state)
{
    struct client_progress p = {.what = "运行脚本", .detail = "环境环境环境环境"};

    assert_line(&p, 0, 24, "⠋ 运行脚本 0:00  环境环");
    assert_line(&p, 0, 22, "⠋ 运行脚本 0:00");
    assert_line(&p, 0, 5, "⠋ 运");
    assert_line(&p, 0, 0, "");
}

static void what_a_script_prints_cannot_steer_the_terminal(void **state)
{
    struct client_progress p = {.what = "w"};
    static char endless[4096];

    client_progress_set_detail(&p, "\x1b[2J\rgone", 9);
    assert_line(&p, 0, 80, "⠋ w 0:00  \\x1b[2J\\x0dgone");
    memset(endless, 'x', sizeof endless);
    client_progress_set_detail(&p, endless, sizeof endless);
    assert_true(strlen(p.detail) < sizeof p.detail);
    client_progress_set_detail(&p, "", 0);
    assert_line(&p, 0, 80, "⠋ w 0:00");
}

static int set_up(void **state)
{
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_how_long_and_the_last_of_the_log),
        cmocka_unit_test(it_never_is_wider_than_the_terminal),
        cmocka_unit_test(what_a_script_prints_cannot_steer_the_terminal),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
