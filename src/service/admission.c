/* admission: the queue in front of the sandboxes; the rules are in the header.
 *
 * Runs on the server's loop thread.  Client keys are hostile only in their choice (a flood of
 * addresses): the number of clients is bounded by the length of the queue, and the hash is seeded.
 */
#include "service/admission.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS         256
#define RETRY_MIN_S     1
#define RETRY_MAX_S     30
#define FIRST_GUESS_US  1000000 /* duration of a run before any has been seen */
#define AVERAGE_WEIGHT  8       /* the average moves by 1/8 of the difference with each run */
#define MICROS_A_SECOND 1000000

/* A client with waiting requests; it exists only while it has some. */
struct admission_client {
    struct admission_client *before, *after; /* ring of all clients, in the order of turns */
    struct admission_client *chain;          /* same bucket */
    struct admission_ticket *first, *last;
    uint32_t hash;
    char key[ADMISSION_CLIENT_KEY];
};

struct admission {
    struct admission_config config;
    struct admission_client *buckets[BUCKETS];
    struct admission_client *turn;     /* who is asked first; NULL when nobody waits */
    struct admission_ticket *reserved; /* ran out of patience: next for sure */
    uint32_t waiting, running;
    uint64_t memory_used_mb;
    uint64_t average_us;
};

struct admission *admission_create(const struct admission_config *config)
{
    struct admission *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->config = *config;
    a->average_us = FIRST_GUESS_US;
    return a;
}

void admission_destroy(struct admission *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct admission_client *c = a->buckets[i];
        while (c) {
            struct admission_client *chain = c->chain;
            free(c);
            c = chain;
        }
    }
    free(a);
}

/* FNV-1a over the key, from a secret start. */
static uint32_t hash_key(const struct admission *a, const char *key)
{
    uint32_t h = 2166136261u ^ a->config.hash_seed;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

static struct admission_client *find_client(const struct admission *a, const char *key,
                                            uint32_t hash)
{
    struct admission_client *c = a->buckets[hash % BUCKETS];
    while (c && (c->hash != hash || strcmp(c->key, key) != 0))
        c = c->chain;
    return c;
}

/* A new client comes last in the round: just before the one whose turn it is. */
static struct admission_client *add_client(struct admission *a, const char *key, uint32_t hash)
{
    struct admission_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    strcpy(c->key, key);
    c->hash = hash;
    c->chain = a->buckets[hash % BUCKETS];
    a->buckets[hash % BUCKETS] = c;
    if (a->turn) {
        c->before = a->turn->before;
        c->after = a->turn;
        c->before->after = c;
        c->after->before = c;
    } else {
        c->before = c->after = c;
        a->turn = c;
    }
    return c;
}

static void remove_client(struct admission *a, struct admission_client *c)
{
    struct admission_client **link = &a->buckets[c->hash % BUCKETS];
    while (*link != c)
        link = &(*link)->chain;
    *link = c->chain;
    if (a->turn == c)
        a->turn = c->after == c ? NULL : c->after;
    c->before->after = c->after;
    c->after->before = c->before;
    free(c);
}

static bool fits(const struct admission *a, const struct admission_ticket *t)
{
    return a->running < a->config.slots && t->memory_mb <= a->config.memory_mb - a->memory_used_mb;
}

int admission_enter(struct admission *a, const char *client, struct admission_ticket *t,
                    struct err *e)
{
    if (t->memory_mb > a->config.memory_mb)
        return err_set(e, ERR_LIMIT, 0,
                       "%u MB of memory are more than the %llu MB that all runs share",
                       (unsigned)t->memory_mb, (unsigned long long)a->config.memory_mb);
    /* A ticket that starts at once does not use the queue, so a queue of 0 is possible. */
    bool starts_now = a->waiting == 0 && fits(a, t);
    if (!starts_now && a->waiting >= a->config.queue_max)
        return err_set(e, ERR_UNAVAILABLE, 0, "%u requests wait already", (unsigned)a->waiting);

    char key[ADMISSION_CLIENT_KEY] = {0};
    memcpy(key, client, strnlen(client, sizeof key - 1));
    uint32_t hash = hash_key(a, key);
    struct admission_client *c = find_client(a, key, hash);
    if (!c)
        c = add_client(a, key, hash);
    if (!c)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");

    t->client = c;
    t->next = NULL;
    t->prev = c->last;
    t->passed_over = 0;
    t->state = TICKET_WAITING;
    if (c->last)
        c->last->next = t;
    else
        c->first = t;
    c->last = t;
    a->waiting++;
    return 0;
}

/* Takes a waiting ticket out of its client's queue. */
static void unlink_ticket(struct admission *a, struct admission_ticket *t)
{
    struct admission_client *c = t->client;
    if (t->prev)
        t->prev->next = t->next;
    else
        c->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        c->last = t->prev;
    t->prev = t->next = NULL;
    t->client = NULL;
    t->state = TICKET_OUT;
    a->waiting--;
    if (a->reserved == t)
        a->reserved = NULL;
    if (!c->first)
        remove_client(a, c);
}

/* Everyone between the one whose turn it was and `chosen` has been passed over. */
static void note_passed_over(struct admission *a, const struct admission_client *chosen)
{
    for (struct admission_client *c = a->turn; c != chosen; c = c->after) {
        struct admission_ticket *t = c->first;
        if (++t->passed_over >= ADMISSION_PATIENCE && !a->reserved)
            a->reserved = t;
    }
}

/* The client whose first request starts next, or NULL. */
static struct admission_client *choose(const struct admission *a)
{
    if (a->reserved)
        return fits(a, a->reserved) ? a->reserved->client : NULL;
    struct admission_client *c = a->turn;
    do {
        if (fits(a, c->first))
            return c;
        c = c->after;
    } while (c != a->turn);
    return NULL;
}

struct admission_ticket *admission_next(struct admission *a)
{
    if (!a->turn || a->running >= a->config.slots)
        return NULL;
    struct admission_client *c = choose(a);
    if (!c)
        return NULL;
    struct admission_ticket *t = c->first;
    /* The round goes on behind the one that is served; who has been passed over is remembered by
     * its count only. */
    if (!a->reserved) {
        note_passed_over(a, c);
        a->turn = c->after;
    } else if (a->turn == c) {
        a->turn = c->after;
    }
    unlink_ticket(a, t);
    t->state = TICKET_ADMITTED;
    a->running++;
    a->memory_used_mb += t->memory_mb;
    return t;
}

void admission_leave(struct admission *a, struct admission_ticket *t)
{
    if (t->state == TICKET_WAITING) {
        unlink_ticket(a, t);
    } else if (t->state == TICKET_ADMITTED) {
        a->running--;
        a->memory_used_mb -= t->memory_mb;
        t->state = TICKET_OUT;
    }
}

void admission_note_duration(struct admission *a, uint64_t run_us)
{
    if (run_us >= a->average_us)
        a->average_us += (run_us - a->average_us) / AVERAGE_WEIGHT;
    else
        a->average_us -= (a->average_us - run_us) / AVERAGE_WEIGHT;
}

unsigned admission_retry_after(const struct admission *a)
{
    uint64_t wait_us = a->average_us * (a->waiting + 1) / a->config.slots;
    uint64_t seconds = (wait_us + MICROS_A_SECOND - 1) / MICROS_A_SECOND;
    if (seconds < RETRY_MIN_S)
        return RETRY_MIN_S;
    return seconds > RETRY_MAX_S ? RETRY_MAX_S : (unsigned)seconds;
}

uint32_t admission_waiting(const struct admission *a)
{
    return a->waiting;
}

uint32_t admission_running(const struct admission *a)
{
    return a->running;
}
