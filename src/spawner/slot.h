/* slot: a place for one sandbox at a time: its group, its ids, and who lives in it. */
#pragma once

#include "spawner/spawner.h"

struct nest_reply;

/* Takes a free slot for a nest, or makes a new one.  Its number, or SLOT_NONE and e. */
uint32_t slot_take(struct spawner *s, uint32_t nest, struct err *e);

/* Whether the nest has, or has just had, a sandbox in some slot. */
bool slot_is_in(const struct spawner *s, uint32_t nest);

/* Has the nest build a sandbox in a slot that was just taken.  The three descriptors for the server
 * go to ret_fds (the caller's).  On failure the slot is free again. */
int slot_build(struct spawner *s, uint32_t number, const struct spawn_request *req, int *ret_fds,
               struct err *e);

/* Has the zygote's child join the sandbox of an open slot.  The SPAWN_JOIN_FDS descriptors for the
 * server go to ret_fds (the caller's). */
int slot_join(struct spawner *s, uint32_t number, int *ret_fds, struct err *e);

/* A nest's answer; takes over pidfd.  -1 when it makes no sense: the nest is hostile. */
int slot_built(struct spawner *s, uint32_t nest, const struct nest_reply *reply, int pidfd);

/* The init of the slot's sandbox is dead. */
void slot_died(struct spawner *s, uint32_t number);

/* The server wants it gone. */
void slot_close(struct spawner *s, uint32_t number);

/* The nest is gone and so are its sandboxes: slots that waited for its answer die with it. */
void slot_nest_died(struct spawner *s, uint32_t nest);

/* Looks after the draining slots; called every few milliseconds while there are any. */
void slot_drain(struct spawner *s);
