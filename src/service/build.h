/* build: makes the layer of one environment: base, setup script, sealing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct build;
struct environment;
struct environment_service;

/* Queues a build of env (whose record says building).  `fresh`: without taking over an equal layer.
 */
int build_create(struct environment *env, bool fresh, struct err *e);
/* The environment goes away: ends the build and cleans up behind it. */
void build_abandon(struct build *b);
/* "queued", "base", "setup", "sealing". */
const char *build_phase(const struct build *b);
/* 1: the next; 0: it is not queued. */
uint32_t build_queue_place(const struct build *b);

/* Starts what may start. */
void builds_pump(struct environment_service *s);
/* The engine is gone. */
void builds_destroy(struct environment_service *s);
