/* environment_learn: counts names.
 *
 * Runs in the server; pure.  The names come from inside sandboxes and are a hint only: a lie makes
 * the zygote of that environment import something else, in a sandbox of its own and within its
 * limits. */
#include "service/environment_learn.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARE       8    /* one run in so many must import it */
#define RUNS_MIN    2    /* before anything is concluded */
#define FADE        1024 /* runs after which counts are halved: what was true once fades */
#define NAMES_A_RUN 256  /* that are looked at */

/* A dotted name of a Python module, in ASCII. */
static bool is_name(const char *s, size_t len)
{
    bool begins = true;

    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';

        if (s[i] == '.' ? begins : !letter && (begins || s[i] < '0' || s[i] > '9'))
            return false;
        begins = s[i] == '.';
    }
    return len > 0 && len < LEARN_NAME && !begins;
}

/* The place of the name; a new one takes that of the rarest, whose count it inherits: then the
 * frequent ones of a longer list are still found. */
static size_t place_of(struct environment_learn *l, const char *name, size_t len)
{
    size_t rarest = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (strlen(l->names[i].name) == len && memcmp(l->names[i].name, name, len) == 0)
            return i;
        if (l->names[i].count < l->names[rarest].count)
            rarest = i;
    }
    if (l->n < LEARN_NAMES) {
        rarest = l->n++;
        l->names[rarest].count = 0;
    }
    memcpy(l->names[rarest].name, name, len);
    l->names[rarest].name[len] = '\0';
    return rarest;
}

static void fade(struct environment_learn *l)
{
    l->runs /= 2;
    for (size_t i = 0; i < l->n; i++)
        l->names[i].count /= 2;
}

/* Counts each name once, however often it is said. */
static void count_all(struct environment_learn *l, const char *modules, uint32_t by)
{
    uint64_t seen = 0;

    for (int i = 0; i < NAMES_A_RUN && *modules != '\0'; i++) {
        size_t len = strcspn(modules, ",");

        if (is_name(modules, len)) {
            size_t place = place_of(l, modules, len);

            if (!(seen & UINT64_C(1) << place))
                l->names[place].count += by;
            seen |= UINT64_C(1) << place;
        }
        modules += len + (modules[len] == ',');
    }
}

void environment_learn_seed(struct environment_learn *l, const char *list)
{
    *l = (struct environment_learn){.runs = RUNS_MIN};
    count_all(l, list, RUNS_MIN);
}

void environment_learn_note(struct environment_learn *l, const char *modules)
{
    if (l->runs >= FADE)
        fade(l);
    l->runs++;
    count_all(l, modules, 1);
}

void environment_learn_best(const struct environment_learn *l, char out[static LEARN_LIST])
{
    bool taken[LEARN_NAMES] = {false};
    size_t len = 0;

    out[0] = '\0';
    for (int n = 0; n < LEARN_BEST && l->runs >= RUNS_MIN; n++) {
        size_t best = LEARN_NAMES, size;

        for (size_t i = 0; i < l->n; i++) {
            if (!taken[i] && l->names[i].count > 0 && l->names[i].count >= l->runs / SHARE &&
                (best == LEARN_NAMES || l->names[i].count > l->names[best].count))
                best = i;
        }
        if (best == LEARN_NAMES)
            return;
        taken[best] = true;
        size = strlen(l->names[best].name);
        if (len + size + 2 > LEARN_LIST)
            continue;
        len += (size_t)snprintf(out + len, LEARN_LIST - len, "%s%s", len > 0 ? "," : "",
                                l->names[best].name);
    }
}
