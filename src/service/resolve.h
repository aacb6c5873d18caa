/* resolve: which root file systems can be the base of an environment (docs/environments.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define RESOLVE_NAME       256 /* bytes of the name of an image, its NUL included */
#define RESOLVE_CANDIDATES 5

enum base_kind {
    BASE_HOST,        /* packages of this host */
    BASE_IMAGE,       /* one that we have */
    BASE_PULL,        /* an OCI reference, from its registry */
    BASE_DEBOOTSTRAP, /* "debootstrap:SUITE", from Debian's mirror */
};

struct base_candidate {
    enum base_kind kind;
    char name[RESOLVE_NAME]; /* of the image, "" for the host's base */
};

struct resolve_question {
    const char *base_image, *python_version; /* as the client said, "" where it said nothing */
    const char *host_python;                 /* "3.11", "" without one */
    bool (*has_image)(void *data, const char *name);
    void *data;
};

struct resolve_answer {
    struct base_candidate candidates[RESOLVE_CANDIDATES]; /* to be tried in this order */
    size_t n;
    char looked[512]; /* what was looked at and does not fit, for people; "" */
};

/* Pure.  ERR_INVALID when the words of the client mean nothing, or contradict each other. */
int resolve_base(const struct resolve_question *q, struct resolve_answer *ret, struct err *e);

/* Whether the registry that `reference` is pulled from, or the mirror in its place ("" without
 * one), is in the operator's comma-separated list of hosts. */
bool resolve_is_listed(const char *reference, const char *mirror, const char *listed);

/* A name that an image may be given, as in "mine" or "team/tools:1". */
bool resolve_is_image_name(const char *name);
