/* fetch_request: the body that asks for files from the network. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "api/json_body.h"
#include "service/fetch.h"

struct fetch_request {
    struct json_body body;
    struct fetch_item *items; /* strings of theirs are the body's, or in `names` */
    size_t nitems;
    struct fetch_header **headers; /* of each item */
    char **names;                  /* made up for those that have none */
    uint32_t timeout_ms;           /* 0: not said */
};

/* Reads q->body, which has been parsed. fetch_request_finish in any case. */
void fetch_request_decode(struct fetch_request *q, uint32_t seconds_max);
void fetch_request_finish(struct fetch_request *q);

/* What a file is called that a URL names: the last segment of its path, decoded, or "download".
 * To be freed; NULL: out of memory. */
char *fetch_default_name(const char *url);
