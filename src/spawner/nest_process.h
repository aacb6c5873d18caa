/* nest_process: starting, hearing and replacing the nests. */
#pragma once

#include "spawner/spawner.h"

#define NEST_DIR (SPAWN_PATH + 32)

/* Makes the place for all stages, and nest 0's stage and group; once, before the first start. */
int nest_process_prepare(struct spawner *s, struct err *e);

/* Where the tree of nest n is. */
void nest_process_dir(const struct spawner *s, uint32_t n, char out[static NEST_DIR]);

/* A file with the modules of a comma-separated list, one a line.  Its descriptor, or -1. */
int nest_process_list(const char *commas, struct err *e);

/* A group of its own, made when it is first needed and kept: removed groups linger (cgroup.h). */
int nest_process_make_group(struct spawner *s, uint32_t n, struct err *e);

/* Starts the builder in its own seven namespaces.  When it could not be, nest_process_died() has
 * been called. */
int nest_process_start(struct spawner *s, uint32_t n, struct err *e);

/* Reads one answer.  A nest that talks nonsense is killed. */
void nest_process_read(struct spawner *s, uint32_t n);

/* Ends it, without waiting. */
void nest_process_kill(const struct spawner *s, uint32_t n);

/* It is dead: everything in it is too.  Plans the next start of a RUN nest; goes on with the taking
 * down of one that is being closed. */
void nest_process_died(struct spawner *s, uint32_t n);

/* Whether it is dead and will not be started again. */
bool nest_process_is_lost(const struct spawner *s, uint32_t n);

/* Asks whether it and its zygote are alive; ops_pong() follows.  -1 if it cannot be asked. */
int nest_process_ping(struct spawner *s, uint32_t n);

/* Something was asked of it.  When it must have been answered. */
uint64_t nest_process_await(struct nest_process *nest);

/* When nest_process_keep() has something to do again, UINT64_MAX: nothing until something else
 * happens. */
uint64_t nest_process_next_us(const struct spawner *s);

/* Starts the dead ones whose time has come, and ends those that owe an answer for too long. */
void nest_process_keep(struct spawner *s);

/* Ends it and waits for that; nest_process_died() is the caller's. */
void nest_process_stop(struct spawner *s, uint32_t n);
void nest_process_stop_all(struct spawner *s);
