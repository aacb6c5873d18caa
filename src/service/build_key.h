/* build_key: the name of what goes into a layer: equal key, equal layer. */
#pragma once

#include "base/err.h"

#define BUILD_KEY 65 /* hexadecimal digits of SHA-256, and a NUL */

/* Key of the layer that `script` makes on the layer with the key `base`, with this network. */
int build_key(const char *base, const char *script, const char *network,
              char ret_key[static BUILD_KEY], struct err *e);
