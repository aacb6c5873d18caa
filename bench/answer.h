/* answer: one HTTP/1.1 answer as it comes in, for bench/load. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Zeroed is empty.  The buffer is kept from one answer to the next. */
struct answer {
    char *buf;
    size_t len, cap; /* bytes received; of buf */
    size_t head;     /* length of the head, 0: not complete yet.  What follows is valid with it. */
    size_t body;     /* length of the body so far, chunk sizes taken out; it starts at buf + head */
    size_t raw;      /* chunked: where the next chunk starts */
    size_t expected; /* not chunked: length of head and body */
    bool is_chunked;
    bool is_ok;  /* status 200 */
    bool closes; /* the server closes the connection after it */
};

enum answer_state { ANSWER_BAD = -1, ANSWER_PARTIAL = 0, ANSWER_WHOLE = 1 };

/* Makes room and returns where to put the next bytes; *ret_room is how many fit.  NULL when out of
 * memory. */
char *answer_room(struct answer *a, size_t *ret_room);

/* Takes note of `n` bytes put there. */
enum answer_state answer_add(struct answer *a, size_t n);

/* Says whether the body holds the text. */
bool answer_holds(const struct answer *a, const char *text);

void answer_reset(struct answer *a); /* ready for the next one */
void answer_finish(struct answer *a);
