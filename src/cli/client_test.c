/* Tests of client: addresses, keys, paths, and what is said when nobody answers.  What a server
 * answers is tested against the real one (tests/test_cli_env.py). */
#include "cli/client.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test_support.h"

static void addresses_are_completed_and_trimmed(void **state)
{
    static const char *const urls[][2] = {{"http://localhost:8000/", "http://localhost:8000"},
                                          {"localhost:8000", "http://localhost:8000"},
                                          {"https://h/base//", "https://h/base"},
                                          {"[::1]:8000", "http://[::1]:8000"}};

    for (size_t i = 0; i < TEST_COUNT(urls); i++) {
        struct client *c = client_create(urls[i][0], NULL, NULL);

        assert_non_null(c);
        assert_string_equal(client_url(c), urls[i][1]);
        client_destroy(c);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const wrong[] = {"",           "ftp://h",         "file:///etc/passwd",
                                        "http://",    "http://a b",      "http://h?q",
                                        "http://h#f", "http://user:pw@h"};

    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct err e = {0};

        assert_null(client_create(wrong[i], NULL, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void a_key_cannot_bring_headers_with_it(void **state)
{
    struct err e = {0};

    assert_null(client_create("http://h", "k\r\nHost: other", &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(client_create("http://h", "", &e));
}

static void a_name_stays_one_segment(void **state)
{
    static const char *const paths[][2] = {{"e1", "/images/e1/x"},
                                           {"python:3.12-slim", "/images/python%3A3.12-slim/x"},
                                           {"../health", "/images/..%2Fhealth/x"},
                                           {"a?b#c", "/images/a%3Fb%23c/x"},
                                           {"环", "/images/%E7%8E%AF/x"}};

    for (size_t i = 0; i < TEST_COUNT(paths); i++) {
        char *path = client_path("images", paths[i][0], "/x");

        assert_string_equal(path, paths[i][1]);
        free(path);
    }
}

/* A socket on a free port of loopback; listening or not. */
static int bind_loopback(bool listening, char url[static 40])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    snprintf(url, 40, "http://127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

static void nobody_answering_is_said_with_what_to_do(void **state)
{
    char url[40];
    int fd = bind_loopback(false, url);
    struct client *c = client_create(url, NULL, NULL);
    struct client_call call = {.method = "GET", .path = "/", .timeout_s = 5};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};

    assert_int_equal(client_call(c, &call, &a, &e), -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_contains(e.text, url);
    assert_contains(e.text, "dunlin serve");
    client_destroy(c);
    close(fd);
}

static void a_server_that_stays_silent_is_given_up(void **state)
{
    char url[40];
    int fd = bind_loopback(true, url);
    struct client *c = client_create(url, NULL, NULL);
    struct client_call call = {.method = "GET", .path = "/", .timeout_s = 1};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};

    assert_int_equal(client_call(c, &call, &a, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_contains(e.text, "in time");
    client_destroy(c);
    close(fd);
}

static void count(void *data)
{
    int *ticks = data;

    if (++*ticks == 3)
        raise(SIGINT);
}

/* The last test: the interrupt stays. */
static void an_interrupt_ends_a_call(void **state)
{
    char url[40];
    int fd = bind_loopback(true, url);
    struct client *c = client_create(url, NULL, NULL);
    int ticks = 0;
    struct client_call call = {.method = "GET", .path = "/", .tick = count, .data = &ticks};
    _cleanup_answer_ struct client_answer a = {0};
    struct err e = {0};

    client_catch_interrupts();
    assert_false(client_interrupted());
    assert_int_equal(client_call(c, &call, &a, &e), -1);
    assert_int_equal(e.code, ERR_CLOSED);
    assert_true(client_interrupted());
    client_destroy(c);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_completed_and_trimmed),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_key_cannot_bring_headers_with_it),
        cmocka_unit_test(a_name_stays_one_segment),
        cmocka_unit_test(nobody_answering_is_said_with_what_to_do),
        cmocka_unit_test(a_server_that_stays_silent_is_given_up),
        cmocka_unit_test(an_interrupt_ends_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
