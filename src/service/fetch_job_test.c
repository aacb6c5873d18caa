/* Tests of fetch_job: who is told which secret, and which hosts may be asked. */
#include "service/fetch_job.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "base/test_support.h"
#include "engine/run.h"

static char hosts[] = "a.example, *.b.example", allow[] = "10.1.0.0/16", token[] = "the operator's",
            store[] = "http://store.example:9123/x";
static const struct settings settings = {.fetch_hosts = hosts,
                                         .fetch_max_size = 5000,
                                         .network_allow = allow,
                                         .efast_url = store,
                                         .efast_token = token};

static json_t *job(const struct fetch_wanted *w, const struct fetch_item *item)
{
    char *text = fetch_job_text(&settings, w, item);
    json_t *result;

    assert_non_null(text);
    result = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(result);
    return result;
}

static void a_url_goes_with_its_headers_and_the_operators_rules(void **state)
{
    static const struct fetch_header headers[] = {{"X-A", "1"}, {"Authorization", "t\"x"}};
    static const struct fetch_item item = {
        .path = "p", .url = "https://a.example/f", .headers = headers, .nheaders = 2};
    static const struct fetch_wanted w = {.seconds = 7};
    json_t *told = job(&w, &item), *expected;

    expected =
        json_pack("{s:s, s:{s:s, s:s}, s:[s, s], s:[s], s:i, s:i}", "url", "https://a.example/f",
                  "headers", "X-A", "1", "Authorization", "t\"x", "hosts", "a.example",
                  "*.b.example", "networks", "10.1.0.0/16", "max_bytes", 5000, "seconds", 7);
    assert_true(json_equal(told, expected));
    json_decref(told);
    json_decref(expected);
}

static const char *text_of(const json_t *told, const char *name)
{
    return json_string_value(json_object_get(json_object_get(told, "efast"), name));
}

static void the_operators_token_goes_to_the_operators_store_only(void **state)
{
    static const struct {
        const char *url, *token, *expected;
    } cases[] = {
        {NULL, NULL, "the operator's"},
        {"", "", "the operator's"},
        {"http://store.example:9123", "", "the operator's"},
        {"HTTP://Store.Example:9123/other?x", "", "the operator's"},
        {NULL, "mine", "mine"},
        {"http://a.example", "", ""},
        {"http://a.example", "mine", "mine"},
        {"https://store.example:9123/x", "", ""},
        {"http://store.example:91234/x", "", ""},
        {"http://store.example", "", ""},
        {"http://store.example:9123@a.example/x", "", ""},
        {"http://store.example:9123\\@a.example/x", "", ""},
        {"http://store.example:9123.a.example/x", "", ""},
        {"no url", "", ""},
    };
    static const struct fetch_item item = {
        .path = "p", .docid = "gns://1", .savename = "s", .rev = ""};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fetch_wanted w = {
            .store_url = cases[i].url, .token = cases[i].token, .seconds = 1};
        json_t *told = job(&w, &item);

        assert_string_equal(text_of(told, "token"), cases[i].expected);
        assert_string_equal(text_of(told, "docid"), "gns://1");
        assert_string_equal(text_of(told, "url"), cases[i].url != NULL && cases[i].url[0] != '\0'
                                                      ? cases[i].url
                                                      : settings.efast_url);
        assert_null(json_object_get(told, "url"));
        json_decref(told);
    }
}

static void the_operators_store_may_be_asked_for_documents(void **state)
{
    static const struct fetch_item item = {
        .path = "p", .docid = "gns://1", .savename = "s", .rev = ""};
    static const struct fetch_wanted w = {.seconds = 1};
    json_t *told = job(&w, &item), *names = json_object_get(told, "hosts");

    assert_int_equal(json_array_size(names), 3);
    assert_string_equal(json_string_value(json_array_get(names, 2)), "store.example");
    json_decref(told);
}

static void the_run_has_a_network_and_little_else(void **state)
{
    struct run_spec *spec = fetch_job_spec(strdup("{}"), 7);

    assert_non_null(spec);
    assert_int_equal(spec->nprogram, 3);
    assert_true(spec->is_stream);
    assert_int_equal(spec->network, 1);
    assert_int_equal(spec->timeout_ms, 9000);
    assert_int_equal(spec->stdin_len, 2);
    assert_int_equal(spec->nenv, 0);
    run_spec_destroy(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_goes_with_its_headers_and_the_operators_rules),
        cmocka_unit_test(the_operators_token_goes_to_the_operators_store_only),
        cmocka_unit_test(the_operators_store_may_be_asked_for_documents),
        cmocka_unit_test(the_run_has_a_network_and_little_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
