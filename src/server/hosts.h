/* hosts: the list of addresses to listen on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HOSTS_MAX 16

/* Splits "a, b" into its names (to be freed with hosts_free). */
int hosts_split(const char *text, char **ret_hosts, size_t *ret_n, struct err *e);
void hosts_free(char **hosts, size_t n);

/* Whether none of them can be reached from another machine. */
bool hosts_are_loopback(char *const *hosts, size_t n);
