/* nest_process: starting, hearing and replacing the nest. */
#pragma once

#include "spawner/spawner.h"

/* Makes the stage and the nest's group; once, before the first start. */
int nest_process_prepare(struct spawner *s, struct err *e);

/* Starts the builder in its own seven namespaces. */
int nest_process_start(struct spawner *s, struct err *e);

/* Reads one answer.  A nest that talks nonsense is killed. */
void nest_process_read(struct spawner *s);

/* It is dead: everything in it is too.  Plans the next start. */
void nest_process_died(struct spawner *s);

/* Asks whether it and its zygote are alive; ops_pong() follows.  -1 if it cannot be asked. */
int nest_process_ping(struct spawner *s);

/* Ends it and waits for that. */
void nest_process_stop(struct spawner *s);
