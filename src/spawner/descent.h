/* descent: whether a process is one that a nest has made. */
#pragma once

#include <stdbool.h>

/* Whether `pidfd` names the process of a sandbox of the nest whose process is `nest`: one in a pid
 * namespace that was made in the nest's, or one that has ended. */
bool descent_is_sandbox(int pidfd, int nest);
