/* environment_request: the bodies that ask for environments and images, from bytes to what the
 * service is told.
 *
 * Words and types are those of the predecessor's model (contract A1, A1.1) where it has the member.
 */
#pragma once

#include <stddef.h>

#include "api/rules.h"
#include "base/buf.h"
#include "service/environment.h"
#include "service/image.h"

#define ENVIRONMENT_TEXTS 8 /* strings in struct environment_wanted */

enum environment_verdict {
    ENVIRONMENT_REQUEST_VALID,
    ENVIRONMENT_REQUEST_INVALID, /* 422: answer is the whole body */
    ENVIRONMENT_REQUEST_FAILED,  /* out of memory */
};

struct environment_request {
    enum environment_verdict verdict;
    struct environment_wanted wanted; /* its strings belong to the request */
    struct image_wanted image;        /* the same */
    char *texts[ENVIRONMENT_TEXTS];
    size_t ntexts;
    struct buf answer;
};

/* Each decodes `body`, which it may overwrite.  environment_request_finish in any case. */

/* POST /environments. */
void environment_request_decode(struct environment_request *ret, const struct request_rules *rules,
                                char *body, size_t len);
/* PATCH /environments/{name}. */
void environment_patch_decode(struct environment_request *ret, const struct request_rules *rules,
                              char *body, size_t len);
/* POST /images/import. */
void image_request_decode(struct environment_request *ret, char *body, size_t len);

/* Turns a valid request into an invalid one: the service has refused the member `name` (NULL: the
 * request as a whole) with these words. */
void environment_request_refuse(struct environment_request *q, const char *name, const char *words);

void environment_request_finish(struct environment_request *q);
