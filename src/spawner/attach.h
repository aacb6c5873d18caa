/* attach: from SPAWN_START to the reply, for a sandbox that gets a network. */
#pragma once

#include "spawner/spawner.h"

/* Gets ready for networks if anybody may have one.  Where there can be none, every start that asks
 * for it is answered with the reason. */
void attach_open(struct spawner *s);

/* The slot's limits are in force; it shall have a link.  The reply follows, once. */
int attach_begin(struct spawner *s, uint32_t number);

/* The slot's sandbox is there now. */
void attach_built(struct spawner *s, uint32_t number);

/* The slot's sandbox has ended, or is not wanted any more: a start that waits is answered. */
void attach_end(struct spawner *s, uint32_t number);

/* The network process has said something.  -1 when the server is gone. */
int attach_read(struct spawner *s);
