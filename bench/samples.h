/* samples: a growing list of latencies in microseconds, shared by the bench programs. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct samples {
    uint32_t *us;
    size_t len, cap;
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* Adds a latency given in nanoseconds.  Ends the program when memory is short. */
void samples_add(struct samples *s, uint64_t ns);
void samples_append(struct samples *s, const struct samples *from);
void samples_finish(struct samples *s);

/* Sorts the samples and prints `"latency_us":{"min":…,"p50":…,…,"max":…}`, all 0 when empty. */
void samples_print(struct samples *s, FILE *out);

/* Writes the samples as they are, 32-bit native integers, so that a driver can merge several runs.
 * Ends the program when the file cannot be written. */
void samples_write(const struct samples *s, const char *path);
