/* Tests of environment_answer: the objects, whole. */
#include "api/environment_answer.h"

#include <jansson.h>

#include "base/test_support.h"

static json_t *parse(struct buf *out)
{
    json_t *value = json_loadb(out->data, out->len, 0, NULL);
    assert_non_null(value);
    buf_finish(out);
    return value;
}

static void assert_text(const json_t *object, const char *name, const char *expected)
{
    const json_t *value = json_object_get(object, name);
    assert_non_null(value);
    if (expected)
        assert_string_equal(json_string_value(value), expected);
    else
        assert_true(json_is_null(value));
}

static struct environment_record make_record(void)
{
    return (struct environment_record){
        .name = (char *)"e1",
        .description = (char *)"a \"b\"",
        .base_image = (char *)"",
        .python_version = (char *)"",
        .setup_script = (char *)"true\n",
        .network = (char *)"none",
        .build_network = (char *)"bridge",
        .error = (char *)"",
        .created_at = (char *)"2026-11-20T15:35:55.744442Z",
        .status = ENVIRONMENT_BUILDING,
    };
}

static void test_the_object_has_the_predecessors_fields(void **state)
{
    struct environment_record r = make_record();
    const struct environment_view v = {
        .record = &r, .phase = "queued", .queued = true, .queue_place = 2, .actual_python = ""};
    struct buf out = {0};
    assert_int_equal(environment_append(&out, &v, "line\xFF\n", 6), 0);
    json_t *o = parse(&out);
    assert_text(o, "name", "e1");
    assert_text(o, "description", "a \"b\"");
    assert_text(o, "base_image", "python:3.11-slim");
    assert_text(o, "docker_image", NULL);
    assert_text(o, "conda_env_name", "sandbox-e1");
    assert_text(o, "env_path", "/");
    assert_text(o, "python_version", "3.11");
    assert_text(o, "setup_script", "true\n");
    assert_text(o, "status", "building");
    assert_text(o, "created_at", "2026-11-20T15:35:55.744442+00:00");
    assert_text(o, "last_used", NULL);
    assert_text(o, "error", NULL);
    assert_text(o, "logs", "line\xEF\xBF\xBD\n");
    assert_text(o, "phase", "queued");
    assert_int_equal(json_integer_value(json_object_get(o, "queue_place")), 2);
    assert_text(o, "warm", NULL);
    assert_int_equal(json_array_size(json_object_get(o, "learned")), 0);
    assert_text(o, "timeout", NULL);
    assert_text(json_object_get(o, "limits"), "memory_mb", NULL);
    json_decref(o);
}

static void test_a_ready_one_says_what_it_is(void **state)
{
    struct environment_record r = make_record();
    r.status = ENVIRONMENT_READY;
    r.base_image = (char *)"debian:trixie";
    r.warm = (char *)"numpy,pandas";
    r.built_at = (char *)"2026-11-20T15:35:56.000000Z";
    r.build_seconds = 1.5;
    r.cpu_milli = 1500;
    r.timeout_s = 9;
    const struct environment_view v = {
        .record = &r, .warm = true, .runs = 1, .runs_total = 5, .actual_python = "3.13"};
    struct buf out = {0};
    assert_int_equal(environment_append(&out, &v, "", 0), 0);
    json_t *o = parse(&out);
    assert_string_equal(environment_status_name(&v), "ready");
    assert_text(o, "docker_image", "sandbox-e1:latest");
    assert_text(o, "base_image", "debian:trixie");
    assert_text(o, "actual_python", "3.13");
    assert_int_equal(json_array_size(json_object_get(o, "warm")), 2);
    assert_true(json_is_true(json_object_get(o, "is_warm")));
    assert_true(json_real_value(json_object_get(o, "build_seconds")) == 1.5);
    assert_true(json_real_value(json_object_get(json_object_get(o, "limits"), "cpu")) == 1.5);
    assert_int_equal(json_integer_value(json_object_get(o, "timeout")), 9);
    json_decref(o);
}

static void test_the_built_in_one_needs_no_record(void **state)
{
    const struct environment_view v = {.built_in = true};
    struct buf out = {0};
    assert_int_equal(environment_append(&out, &v, "", 0), 0);
    json_t *o = parse(&out);
    assert_text(o, "name", "default");
    assert_text(o, "status", "ready");
    assert_true(json_is_true(json_object_get(o, "built_in")));
    json_decref(o);
}

static void assert_packages(const char *packages, const char *expected)
{
    struct buf out = {0};
    assert_int_equal(environment_append_packages(&out, packages), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    buf_finish(&out);
}

static void test_packages_are_what_a_build_said_and_nothing_else(void **state)
{
    assert_packages(NULL, "{\"packages\":[],\"total\":0,\"known\":false}");
    assert_packages("[]", "{\"packages\":[],\"total\":0,\"known\":true}");
    assert_packages("{\"a\":1}", "{\"packages\":[],\"total\":0,\"known\":false}");
    assert_packages("[", "{\"packages\":[],\"total\":0,\"known\":false}");
    assert_packages("[{\"name\":\"a\",\"version\":\"1\",\"manager\":\"pip\",\"x\":[]},3,"
                    "{\"version\":\"2\"},{\"name\":\"\\u0001\"}]",
                    "{\"packages\":[{\"name\":\"a\",\"version\":\"1\",\"manager\":\"pip\"},"
                    "{\"name\":\"\\u0001\",\"version\":null,\"manager\":null}],\"total\":2,"
                    "\"known\":true}");
}

static void test_an_image(void **state)
{
    const struct image_record r = {
        .name = (char *)"python:3.12-slim",
        .source = (char *)"pull",
        .digest = (char *)"sha256:12",
        .python_version = (char *)"",
        .bytes = 7,
        .created_at = (char *)"2026-11-20T15:35:55.744442Z",
    };
    static const char expected[] =
        "{\"name\":\"python:3.12-slim\",\"source\":\"pull\",\"digest\":\"sha256:12\","
        "\"python_version\":null,\"size_bytes\":7,\"environments\":3,"
        "\"created_at\":\"2026-11-20T15:35:55.744442+00:00\",\"last_used\":null}";
    struct buf out = {0};
    assert_int_equal(environment_append_image(&out, &r, 3), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_object_has_the_predecessors_fields),
        cmocka_unit_test(test_a_ready_one_says_what_it_is),
        cmocka_unit_test(test_the_built_in_one_needs_no_record),
        cmocka_unit_test(test_packages_are_what_a_build_said_and_nothing_else),
        cmocka_unit_test(test_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
