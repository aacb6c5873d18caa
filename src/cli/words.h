/* words: what the command line says, in English or in Chinese.
 *
 * Both texts stand where they are used, so that the compiler checks the arguments of both:
 * printf(WORDS("%d images\n", "共 %d 个镜像\n"), n).  The Chinese ones are those of
 * SimplePySandbox's manage_environments.py wherever it had the same thing to say. */
#pragma once

enum words_language { WORDS_ENGLISH, WORDS_CHINESE };

/* Of this process; English until one of the functions below is called. */
extern enum words_language words_language;

#define WORDS(english, chinese) (words_language == WORDS_CHINESE ? (chinese) : (english))

/* By LC_ALL, LC_MESSAGES, LANG: the first that is set decides; "zh..." is Chinese. */
void words_by_locale(void);
/* "zh" or "en", also with what a locale has behind it.  0, or -1 for another language. */
int words_choose(const char *name);
