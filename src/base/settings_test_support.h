/* settings_test_support: loads settings from words, the environment and a .env file of a test's
 * own. */
#pragma once

#include <unistd.h>

#include "base/settings.h"
#include "base/test_support.h"

static char warnings[4096];
static char dir[] = "/tmp/dunlin-settings-XXXXXX";
static char dotenv_path[64];

static void collect(const char *text)
{
    strncat(warnings, text, sizeof warnings - strlen(warnings) - 2);
    strcat(warnings, "\n");
}

static void write_dotenv(const char *text, size_t len)
{
    FILE *f = fopen(dotenv_path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

struct load {
    struct settings s;
    struct err e;
    int rest;
    int result;
};

/* Loads with the words of argv; `dotenv` is the text of the .env file, NULL for none. */
static void load_words(struct load *l, const char *dotenv, int argc, const char *const *argv)
{
    unlink(dotenv_path);
    if (dotenv)
        write_dotenv(dotenv, strlen(dotenv));
    warnings[0] = '\0';
    l->e = (struct err){0};
    l->rest = -1;
    l->result = settings_load(&l->s, dotenv_path, argc, (char **)argv, &l->rest, collect, &l->e);
}

#define LOAD(l, dotenv, ...)                                                                       \
    do {                                                                                           \
        const char *const words_[] = {"dunlin", __VA_ARGS__};                                      \
        load_words(l, dotenv, (int)TEST_COUNT(words_), words_);                                    \
    } while (0)

static void assert_loaded(const struct load *l)
{
    if (l->result < 0)
        fail_msg("refused: %s", l->e.text);
}

static void assert_refused(struct load *l, const char *part)
{
    if (l->result == 0)
        fail_msg("accepted, expected: %s", part);
    assert_int_equal(l->e.code, ERR_INVALID);
    assert_contains(l->e.text, part);
    assert_int_equal(l->rest, -1);
    assert_null(l->s.host);
    settings_finish(&l->s);
}

static int set_up(void **state)
{
    clearenv();
    return 0;
}

static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(dotenv_path, sizeof dotenv_path, "%s/.env", dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(dotenv_path);
    return rmdir(dir);
}

#define SETTINGS_TEST(f) cmocka_unit_test_setup(f, set_up)
