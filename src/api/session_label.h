/* session_label: whether the labels of a session are those that a client asks for.  Pure. */
#pragma once

#include <stdbool.h>

/* `labels`: a JSON object of strings, or NULL.  `wanted`: "k=v", or "k" for any value. */
bool session_label_matches(const char *labels, const char *wanted);
