/* Tests of resolve. */
#include "service/resolve.h"

#include <stdio.h>

#include "base/test_support.h"

static bool has_image(void *data, const char *name)
{
    for (const char *const *have = data; have != NULL && *have != NULL; have++) {
        if (strcmp(*have, name) == 0)
            return true;
    }
    return false;
}

static struct resolve_answer answer;
static struct err error;

/* "host, image NAME, pull NAME, debootstrap:SUITE", or the error. */
static const char *resolve(const char *base_image, const char *python, const char *const *have)
{
    static const char *const kinds[] = {"host", "image ", "pull ", ""};
    static char text[1024];
    const struct resolve_question q = {base_image, python, "3.11", has_image, (void *)have};

    error = (struct err){0};
    text[0] = '\0';
    if (resolve_base(&q, &answer, &error) < 0)
        return error.text;
    for (size_t i = 0; i < answer.n; i++) {
        strcat(text, i > 0 ? ", " : "");
        strcat(strcat(text, kinds[answer.candidates[i].kind]), answer.candidates[i].name);
    }
    return text;
}

static void nothing_said_is_the_host(void **state)
{
    assert_string_equal(resolve("", "", NULL), "host");
    assert_string_equal(answer.looked, "");
}

static void the_contracts_defaults_are_the_host_where_it_has_that_python(void **state)
{
    assert_string_equal(resolve("python:3.11-slim", "3.11", NULL),
                        "host, pull python:3.11-slim, debootstrap:bookworm");
    assert_string_equal(resolve("", "3.11.4", NULL),
                        "host, pull python:3.11.4-slim, debootstrap:bookworm");
    assert_string_equal(resolve("", "3", NULL), "host, pull python:3-slim, debootstrap:bullseye");
}

static void another_python_is_looked_for_in_the_documented_order(void **state)
{
    static const char *const pulled[] = {"python:3.13-slim", NULL};
    static const char *const made[] = {"debootstrap:trixie", NULL};

    assert_string_equal(resolve("", "3.13", NULL), "pull python:3.13-slim, debootstrap:trixie");
    assert_string_equal(answer.looked,
                        "this host has Python 3.11; there is no image python:3.13-slim here");
    assert_string_equal(resolve("", "3.13", pulled), "image python:3.13-slim, debootstrap:trixie");
    assert_string_equal(resolve("", "3.13", made),
                        "image debootstrap:trixie, pull python:3.13-slim");
    assert_string_equal(resolve("", "3.12", NULL), "pull python:3.12-slim");
    assert_contains(answer.looked, "no suite of Debian that can be had has Python 3.12");
}

static void a_wish_may_name_the_variant_that_is_pulled(void **state)
{
    assert_string_equal(resolve("python:3.12", "", NULL), "pull python:3.12");
    assert_string_equal(resolve("python:3.9-slim-bullseye", "3.9", NULL),
                        "pull python:3.9-slim-bullseye, debootstrap:bullseye");
}

static void an_image_of_that_name_goes_before_everything(void **state)
{
    static const char *const have[] = {"python:3.11-slim", "mine", NULL};

    assert_string_equal(resolve("python:3.11-slim", "", have), "image python:3.11-slim");
    assert_string_equal(resolve("mine", "", have), "image mine");
}

static void everything_else_is_a_reference(void **state)
{
    assert_string_equal(resolve("debian:trixie", "", NULL), "pull debian:trixie");
    assert_string_equal(resolve("registry.example:5000/a/b@sha256:00", "3.11", NULL),
                        "pull registry.example:5000/a/b@sha256:00");
    /* Not just a version: this very image is wanted. */
    assert_string_equal(resolve("python:3.11-alpine", "", NULL), "pull python:3.11-alpine");
    assert_string_equal(resolve("python:latest", "", NULL), "pull python:latest");
}

static void debian_can_be_asked_for(void **state)
{
    static const char *const have[] = {"debootstrap:trixie", NULL};

    assert_string_equal(resolve("debootstrap:trixie", "", NULL), "debootstrap:trixie");
    assert_string_equal(resolve("debootstrap:trixie", "", have), "image debootstrap:trixie");
}

static void what_means_nothing_is_refused(void **state)
{
    static const char *const words[][2] = {
        {"", "x"},
        {"", "3."},
        {"", "3.11-slim"},
        {"", "3.11.2.1"},
        {"", "33333"},
        {"-x", ""},
        {"a b", ""},
        {"a\nb", ""},
        {"../x", ""},
        {"debootstrap:", ""},
        {"debootstrap:../x", ""},
        {"debootstrap:-x", ""},
        {"python:3.12", "3.11"},
        {"python:3.11-slim", "3.1"},
    };
    char longest[400];

    for (size_t i = 0; i < TEST_COUNT(words); i++) {
        resolve(words[i][0], words[i][1], NULL);
        assert_int_equal(error.code, ERR_INVALID);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    resolve(longest, "", NULL);
    assert_int_equal(error.code, ERR_INVALID);
}

static void a_host_without_python_is_no_answer_to_a_wish(void **state)
{
    const struct resolve_question q = {"", "3.11", "", has_image, NULL};

    assert_int_equal(resolve_base(&q, &answer, NULL), 0);
    assert_int_equal(answer.candidates[0].kind, BASE_PULL);
    assert_contains(answer.looked, "this host has no Python");
}

static void registries_are_listed_by_host(void **state)
{
    assert_true(resolve_is_listed("127.0.0.1:5000/x:1", "", "a.example, 127.0.0.1:5000"));
    assert_false(resolve_is_listed("127.0.0.1:5000/x:1", "", "127.0.0.1"));
    assert_false(resolve_is_listed("127.0.0.1:5000/x", "", "127.0.0.1:50001"));
    assert_true(resolve_is_listed("localhost/x", "", "localhost"));
    /* Without a registry in its name it comes from the mirror, if there is one. */
    assert_true(resolve_is_listed("python:3.12", "mirror.example/hub", "mirror.example"));
    assert_true(resolve_is_listed("team/tools:1", "mirror.example", "mirror.example"));
    assert_false(resolve_is_listed("other.example/x", "mirror.example", "mirror.example"));
    assert_false(resolve_is_listed("python:3.12", "", ""));
    assert_false(resolve_is_listed("python:3.12", "", "mirror.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_the_host),
        cmocka_unit_test(the_contracts_defaults_are_the_host_where_it_has_that_python),
        cmocka_unit_test(another_python_is_looked_for_in_the_documented_order),
        cmocka_unit_test(a_wish_may_name_the_variant_that_is_pulled),
        cmocka_unit_test(an_image_of_that_name_goes_before_everything),
        cmocka_unit_test(everything_else_is_a_reference),
        cmocka_unit_test(debian_can_be_asked_for),
        cmocka_unit_test(what_means_nothing_is_refused),
        cmocka_unit_test(a_host_without_python_is_no_answer_to_a_wish),
        cmocka_unit_test(registries_are_listed_by_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
