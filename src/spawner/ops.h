/* ops: the table of what the server may ask. */
#pragma once

#include <stdint.h>

struct spawner;
struct spawn_reply;

/* Reads and serves one request.  -1 when the server has gone or broken the protocol: the end. */
int ops_serve(struct spawner *s);

/* Sends a reply without descriptors.  -1 when the server is gone. */
int ops_answer(struct spawner *s, const struct spawn_reply *reply);

/* A nest answered a ping: passes it on. */
void ops_pong(struct spawner *s, uint32_t nest, int error);
