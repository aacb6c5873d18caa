/* keys: who may call.  Keys are held as SHA-256 only and compared in constant time. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct keys;

/* 8 hexadecimal digits of a key's hash, and NUL: for logs, fairness, and whose a session is. */
#define KEY_ID_SIZE 9

/* Reads the keys of `list` (separated by commas or white space; wiped by this) and of `file` (one a
 * line); "" or NULL for none.  NULL and e when the file cannot be read, or holds no key, or when
 * two keys would have the same id. */
struct keys *keys_create(char *list, const char *file, struct err *e);
/* Accepts NULL. */
void keys_destroy(struct keys *k);

/* Whether there is any key, that is, whether callers must have one. */
bool keys_required(const struct keys *k);
/* Whether the values of Authorization (Bearer) or X-Api-Key, either may be NULL, are a known key:
 * 1, and ret_id is its id; 0 when not; -1 when there is no memory to tell. */
int keys_accept(const struct keys *k, const char *authorization, const char *api_key,
                char ret_id[static KEY_ID_SIZE]);
