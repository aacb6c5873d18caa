/* environment_learn: which modules the runs of an environment import, so that its zygote can. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LEARN_NAMES 64  /* counted at once, rarer ones make room */
#define LEARN_BEST  16  /* imported ahead */
#define LEARN_LIST  512 /* bytes of their list, its NUL included */
#define LEARN_NAME  64  /* bytes of a name, its NUL included */

struct environment_learn {
    uint32_t runs; /* that were counted; halved now and then, with the counts */
    size_t n;
    struct {
        char name[LEARN_NAME];
        uint32_t count;
    } names[LEARN_NAMES];
};

/* Starts from what was learned before (comma-separated, "" for nothing). */
void environment_learn_seed(struct environment_learn *l, const char *list);
/* A run is over; `modules` is what it said (comma-separated, hostile). */
void environment_learn_note(struct environment_learn *l, const char *modules);
/* The names that an eighth of the runs import, the most frequent first. */
void environment_learn_best(const struct environment_learn *l, char out[static LEARN_LIST]);
