/* clock: time in microseconds. */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC, microseconds. */
uint64_t clock_now_us(void);
/* CLOCK_BOOTTIME, microseconds: goes on while the machine is suspended. */
uint64_t clock_boot_us(void);
/* CLOCK_REALTIME, microseconds since 1970. */
uint64_t clock_wall_us(void);
/* Writes "2026-11-20T15:35:55.744442Z" and a NUL to out. */
void clock_format_utc(uint64_t wall_us, char out[static 32]);
