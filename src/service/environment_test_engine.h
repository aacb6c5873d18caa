/* environment_test_engine: an engine for the tests of environments.  Jobs end when the test says
 * so; layers are numbers in a set. */
#pragma once

#include "base/settings.h"
#include "base/test_support.h"
#include "engine/nest.h"
#include "service/environment.h"

#define FAKE_JOBS   32
#define FAKE_LAYERS 64

/* A job of ours that has been started and has not ended. */
struct fake_job {
    struct run *run;
    struct run_spec *spec;
    struct nest *nest;
};

struct fake {
    uv_loop_t loop;
    struct settings settings;
    struct store *store;
    struct environment_service *service;
    char dir[64];
    int logs;
    struct fake_job jobs[FAKE_JOBS]; /* in order; those that have ended are NULL */
    int njobs;
    uint64_t layers[FAKE_LAYERS]; /* on the disk */
    int nlayers;
    int open_nests, made_host, nests_made;
    bool refuse_nests; /* ERR_UNAVAILABLE */
    bool fail_seal;
    char modules[256]; /* of the last nest of runs */
    struct spawn_nest last;
};

extern struct fake fake;

/* For cmocka: a service on a fresh directory, started. */
int fake_set_up(void **state);
int fake_tear_down(void **state);
/* Ends the service and starts another on the same directory, as after a crash. */
void fake_restart(void);
/* Runs the loop until nothing more happens. */
void fake_settle(void);
/* A job prints something to stderr. */
void fake_print(int i, const char *output);
/* Ends job i: output, exit status, facts.json (or NULL). */
void fake_end_job(int i, const char *output, int status, const char *facts);
/* Makes a nest fail. */
void fake_fail_nest(struct nest *nest, const char *why);
bool fake_has_layer(uint64_t layer);
/* Creates, and asserts that it worked. */
void fake_create(const char *name, const char *script);
/* The record of an environment that exists. */
struct environment_view fake_view(const char *name);
