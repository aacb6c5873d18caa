/* docs: the pages for people and the description for programs, from files that are mapped once. */
#pragma once

#include "base/err.h"

struct docs;

/* Maps the files of `dir` whose kind is known by their ending.  An absent directory is none; NULL
 * and e when out of memory. */
struct docs *docs_create(const char *dir, struct err *e);
/* Accepts NULL. */
void docs_destroy(struct docs *d);
