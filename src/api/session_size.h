/* session_size: sizes of workspaces as clients write them (contract section 10 row 24). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "100M", "64k", "2G", "50%" (of `whole`) or bytes: digits and at most one of k, m, g, K, M, G
 * (powers of 1024) and %.  No sign, no blank, no fraction, nothing else; not 0; at most 100 %. 0,
 * or -1. */
int session_size_parse(const char *text, size_t len, uint64_t whole, uint64_t *ret);
#define SESSION_SIZE_PATTERN "^[0-9]+[kKmMgG%]?$"
