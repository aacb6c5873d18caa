/* samples: latencies of a bench program, kept one by one so that percentiles are exact.
 *
 * Runs in bench/load and bench/control, as the user who benches.  Trusts its callers.  A failure
 * ends the program: a bench with a part of its samples must never print a figure. */
#include "samples.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void reserve(struct samples *s, size_t more)
{
    size_t cap = s->cap ? s->cap : 4096;

    while (cap - s->len < more)
        cap *= 2;
    if (cap == s->cap)
        return;
    s->us = reallocarray(s->us, cap, sizeof *s->us);
    if (!s->us)
        err(1, "samples");
    s->cap = cap;
}

void samples_add(struct samples *s, uint64_t ns)
{
    uint64_t us = ns / 1000;

    reserve(s, 1);
    s->us[s->len++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void samples_append(struct samples *s, const struct samples *from)
{
    if (!from->len)
        return;
    reserve(s, from->len);
    memcpy(s->us + s->len, from->us, from->len * sizeof *from->us);
    s->len += from->len;
}

void samples_finish(struct samples *s)
{
    free(s->us);
    *s = (struct samples){0};
}

static int compare_us(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the smallest sample that at least `permille` thousandths do not exceed. */
static uint32_t quantile(const struct samples *s, unsigned permille)
{
    size_t rank = (s->len * permille + 999) / 1000;
    return s->len ? s->us[rank ? rank - 1 : 0] : 0;
}

void samples_print(struct samples *s, FILE *out)
{
    if (s->len)
        qsort(s->us, s->len, sizeof *s->us, compare_us);
    fprintf(out,
            "\"latency_us\":{\"min\":%u,\"p50\":%u,\"p90\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u}",
            quantile(s, 0), quantile(s, 500), quantile(s, 900), quantile(s, 990), quantile(s, 999),
            quantile(s, 1000));
}

void samples_write(const struct samples *s, const char *path)
{
    FILE *f = fopen(path, "we");

    if (!f)
        err(1, "%s", path);
    if (fwrite(s->us, sizeof *s->us, s->len, f) != s->len || fclose(f) != 0)
        err(1, "%s", path);
}
