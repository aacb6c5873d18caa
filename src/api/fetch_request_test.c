/* Tests of fetch_request. */
#include "api/fetch_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/test_support.h"

static struct fetch_request decode(const char *text)
{
    struct fetch_request q = {0};
    char *copy = strdup(text);

    json_body_parse(&q.body, copy, strlen(copy), false);
    fetch_request_decode(&q, 300);
    return q;
}

static void files_have_urls_headers_and_paths(void **state)
{
    struct fetch_request q =
        decode("{\"files\":[{\"url\":\"https://a/x\",\"headers\":{\"X-Key\":\"v w\"},"
               "\"path\":\"in/put\"},{\"url\":\"http://b/c/d%20e?f\",\"headers\":null}],"
               "\"timeout\":1.5}");

    assert_true(json_body_is_valid(&q.body));
    assert_int_equal(q.nitems, 2);
    assert_int_equal(q.timeout_ms, 1500);
    assert_string_equal(q.items[0].url, "https://a/x");
    assert_string_equal(q.items[0].path, "in/put");
    assert_int_equal(q.items[0].nheaders, 1);
    assert_string_equal(q.items[0].headers[0].name, "X-Key");
    assert_string_equal(q.items[0].headers[0].value, "v w");
    assert_int_equal(q.items[1].nheaders, 0);
    assert_string_equal(q.items[1].path, "d e");
    fetch_request_finish(&q);
}

static void what_is_wrong_is_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"files\":[]}",
        "{\"files\":{}}",
        "{\"files\":[{}]}",
        "{\"files\":[7]}",
        "{\"files\":[{\"url\":\"\"}]}",
        "{\"files\":[{\"url\":\"http://a/\\u0000\"}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"path\":\"\"}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"path\":\"/etc/x\"}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"path\":\"a/../../x\"}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"path\":7}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":[]}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":{\"A\":1}}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":{\"A B\":\"1\"}}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":{\"\":\"1\"}}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":{\"A\":\"1\\r\\nB: 2\"}}]}",
        "{\"files\":[{\"url\":\"http://a/b\",\"headers\":{\"A\":\"\\u00e9\"}}]}",
        "{\"files\":[{\"url\":\"http://a/b\"},{\"url\":\"http://c/b\"}]}",
        "{\"files\":[{\"url\":\"http://a/b\"}],\"timeout\":301}",
        "{\"files\":[{\"url\":\"http://a/b\"}],\"timeout\":0}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fetch_request q = decode(bad[i]);

        assert_false(json_body_is_valid(&q.body));
        fetch_request_finish(&q);
    }
}

static void a_file_is_called_as_its_url_ends(void **state)
{
    static const char *const names[][2] = {
        {"http://a/b/c.txt", "c.txt"},
        {"http://a/c.txt?d/e#f/g", "c.txt"},
        {"http://a/%e4%bd%a0.csv", "\344\275\240.csv"},
        {"http://a/100%", "100%"},
        {"http://a/%4", "%4"},
        {"http://a/x%zz", "x%zz"},
        {"http://a", "download"},
        {"http://a/", "download"},
        {"http://a/b/", "download"},
        {"http://a?b/c", "download"},
        {"http://a/..", "download"},
        {"http://a/%2e%2E", "download"},
        {"http://a/x%2Fy", "download"},
        {"http://a/x%00y", "download"},
        {"http://a/x%0ay", "download"},
        {"http://a/%ff", "download"},
        {"", "download"},
        {"c.txt", "download"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *name = fetch_default_name(names[i][0]);

        assert_string_equal(name, names[i][1]);
        free(name);
    }
}

static void very_long_names_are_not_taken(void **state)
{
    char url[400] = "http://a/";
    char *name;

    memset(url + 9, 'x', 300);
    name = fetch_default_name(url);
    assert_string_equal(name, "download");
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_urls_headers_and_paths),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_file_is_called_as_its_url_ends),
        cmocka_unit_test(very_long_names_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
