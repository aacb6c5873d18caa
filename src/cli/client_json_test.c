/* Tests of client_json: answers of any shape. */
#include "cli/client_json.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/words.h"

static char said[8192];

/* Runs client_check on an answer and keeps what it prints; the result. */
static int check(const struct client_options *o, long status, const char *body)
{
    struct client_answer a = {.status = status, .json = json_loads(body, JSON_DECODE_ANY, NULL)};
    char path[] = "/tmp/client_json_test.XXXXXX";
    _cleanup_fd_ int old = dup(STDOUT_FILENO), file = mkstemp(path);
    ssize_t n;
    int r;

    unlink(path);
    assert_int_equal(buf_append_str(&a.body, body), 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    r = client_check(o, "cannot do it", "thing", &a);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    n = pread(file, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    client_answer_finish(&a);
    return r;
}

static void a_success_is_an_object(void **state)
{
    struct client_options o = {.argument = {"n"}};

    assert_int_equal(check(&o, 200, "{}"), 0);
    assert_string_equal(said, "");
    assert_int_equal(check(&o, 200, "[]"), 1);
    assert_contains(said, "no Dunlin server");
    assert_int_equal(check(&o, 200, "<html>"), 1);
}

static void refusals_are_told_in_words(void **state)
{
    static const struct {
        long status;
        const char *body, *text;
    } refusals[] = {
        {400, "{\"detail\":\"taken\"}", "❌ cannot do it: taken\n"},
        {404, "{\"detail\":\"nothing\"}", "❌ thing 'n' does not exist\n"},
        {404, "{\"detail\":\"Not Found\"}", "❌ cannot do it: Not Found\n"},
        {422,
         "{\"detail\":[{\"loc\":[\"body\",\"name\"],\"msg\":\"too long\"},{\"loc\":[\"body\"],"
         "\"msg\":\"x\"},7]}",
         "❌ cannot do it: name: too long; x; \n"},
        {500, "", "❌ cannot do it: HTTP 500\n"},
        {502, "bad\x1b[1m\n", "❌ cannot do it: bad\\x1b[1m\n"},
        {500, "{\"detail\":5}", "❌ cannot do it: \n"},
        {401, "{\"detail\":\"key\"}",
         "❌ cannot do it: key (give the key with --key or DUNLIN_API_KEY)\n"}};
    struct client_options o = {.argument = {"n"}};

    for (size_t i = 0; i < TEST_COUNT(refusals); i++) {
        assert_int_equal(check(&o, refusals[i].status, refusals[i].body), 1);
        assert_string_equal(said, refusals[i].text);
    }
}

static void in_chinese_the_whole_body_is_told(void **state)
{
    struct client_options o = {.argument = {"n"}};

    words_choose("zh");
    assert_int_equal(check(&o, 400, "{\"detail\":\"环境 'n' 已存在\"}"), 1);
    assert_string_equal(said, "❌ cannot do it: {\"detail\":\"环境 'n' 已存在\"}\n");
    assert_int_equal(check(&o, 404, "{\"detail\":\"x\"}"), 1);
    assert_string_equal(said, "❌ thing 'n' 不存在\n");
    words_choose("en");
}

static void scripts_get_json(void **state)
{
    struct client_options o = {.json = true};

    assert_int_equal(check(&o, 400, "{\"detail\":\"\u202e\x7f\"}"), 1);
    assert_string_equal(said, "{\n  \"detail\": \"\\u202E\x7f\"\n}\n");
    assert_int_equal(check(&o, 502, "bad gateway"), 1);
    assert_string_equal(said, "{\n  \"detail\": \"bad gateway\"\n}\n");
    assert_int_equal(check(&o, 502, "\xff"), 1);
    assert_string_equal(said, "{\n  \"detail\": \"\"\n}\n");
}

static void members_of_a_wrong_type_are_as_if_absent(void **state)
{
    json_t *object = json_pack("{s:i, s:s, s:n}", "number", 7, "text", "t", "null");

    assert_string_equal(client_text_of(object, "text"), "t");
    assert_string_equal(client_text_of(object, "number"), "");
    assert_string_equal(client_text_of(object, "null"), "");
    assert_string_equal(client_text_of(NULL, "text"), "");
    assert_int_equal(client_number_of(object, "number"), 7);
    assert_int_equal(client_number_of(object, "text"), 0);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_is_an_object),
        cmocka_unit_test(refusals_are_told_in_words),
        cmocka_unit_test(in_chinese_the_whole_body_is_told),
        cmocka_unit_test(scripts_get_json),
        cmocka_unit_test(members_of_a_wrong_type_are_as_if_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
