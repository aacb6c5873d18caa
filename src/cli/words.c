/* words: which language the command line speaks.  Runs as whoever calls it. */
#include "cli/words.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum words_language words_language = WORDS_ENGLISH;

/* Whether a locale's name begins with this language: "zh", "zh_CN.UTF-8", "zh-TW". */
static int speaks(const char *locale, const char *language)
{
    size_t n = strlen(language);

    return strncmp(locale, language, n) == 0 && strchr("_-.@", locale[n]) != NULL;
}

void words_by_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

    words_language = WORDS_ENGLISH;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *locale = getenv(names[i]);

        if (locale == NULL || *locale == '\0')
            continue;
        if (speaks(locale, "zh"))
            words_language = WORDS_CHINESE;
        return;
    }
}

int words_choose(const char *name)
{
    if (speaks(name, "zh"))
        words_language = WORDS_CHINESE;
    else if (speaks(name, "en"))
        words_language = WORDS_ENGLISH;
    else
        return -1;
    return 0;
}
