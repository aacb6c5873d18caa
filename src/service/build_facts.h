/* build_facts: what a build says about what it has made. */
#pragma once

#include <stddef.h>

struct run_result;

struct build_facts {
    char python[32]; /* "3.13.5", "" */
    char digest[80]; /* "sha256:...", "" */
    char *packages;  /* a JSON list of {"name","version","manager"}, sorted; NULL: not said */
    size_t npackages;
};

/* Reads facts.json and packages.json among the files that a job has left.  Hostile: whatever is
 * not as it should be is taken as not said. */
void build_facts_read(struct build_facts *ret, const struct run_result *result);
void build_facts_finish(struct build_facts *f);

/* The two decoders. */
void build_facts_decode(struct build_facts *f, const char *json, size_t len);
void build_packages_decode(struct build_facts *f, const char *json, size_t len);

/* Files larger than this are not read. */
#define BUILD_FACTS_BYTES (4u << 20)
