/* test_support: a table of languages of the tests' own, so that they do not depend on what the
 * machine has. */
#include "api/test_support.h"

#include <strings.h>

#include "engine/language.h"

static const struct language languages[] = {
    {.name = "python", .main_file = "main.py", .warm = true, .policy = true},
    {.name = "shell", .main_file = "main.sh"},
    {.name = "absent", .main_file = "main.absent"},
};

const struct language *language_at(size_t i)
{
    return i < TEST_COUNT(languages) ? &languages[i] : NULL;
}

const struct language *language_find(const char *name)
{
    for (size_t i = 0; i < TEST_COUNT(languages); i++) {
        if (strcasecmp(languages[i].name, name) == 0)
            return &languages[i];
    }
    return NULL;
}

bool language_available(const struct language *l)
{
    return l != &languages[2];
}

struct request_rules test_rules(void)
{
    return (struct request_rules){
        .timeout_default_s = 30,
        .timeout_model_max_s = 300,
        .timeout_max_s = 300,
        .code_chars_max = 100,
        .file_max = 50,
        .body_max = 1 << 20,
        .usual = {512, 1000, 64, 128, 4096},
        .max = {2048, 2000, 512, 1024, 65536},
        .policy = POLICY_STRICT,
        .allowed_modules = "",
    };
}
