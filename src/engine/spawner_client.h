/* spawner_client: asking the spawner, without waiting for it. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "wire/spawn.h"

struct spawner_client;

/* The answer.  Descriptors are the callee's: SPAWN_OPEN_FDS with SPAWN_OPEN, SPAWN_JOIN_FDS with
 * SPAWN_JOIN, SPAWN_ATTACH_FDS with SPAWN_WORKSPACE_ATTACH; none when reply->error != 0. */
typedef void spawner_answer(void *data, const struct spawn_reply *reply, int *fds);

/* Takes over `sock`.  `gone` is called once, when the spawner is no more; no answer comes after. */
struct spawner_client *spawner_client_create(uv_loop_t *loop, int sock, void (*gone)(void *data),
                                             void *data, struct err *e);
void spawner_client_destroy(struct spawner_client *c);

/* Sends a request; `answer` is called later, in the order of the requests (SPAWN_PING, SPAWN_START
 * with a network, and all that concerns nests, layers and workspaces:
 * when it comes).  NULL for requests
 * without an answer.  A request to a spawner that is gone is lost. */
void spawner_request(struct spawner_client *c, const struct spawn_request *req,
                     spawner_answer *answer, void *data);

/* The same with a descriptor that goes along, which it takes over; -1: none. */
void spawner_request_fd(struct spawner_client *c, const struct spawn_request *req, int fd,
                        spawner_answer *answer, void *data);

/* What a reply with an error says: its text or, if it has none, `what` was asked for and why that
 * failed.  e->errnum is the reply's in any case. */
void spawner_reply_error(struct err *e, const struct spawn_reply *reply, const char *what);

/* Forgets every answer that is still to come for `data`: the asker is going away.  Descriptors that
 * come with such an answer are closed, and its slot is closed at the spawner. */
void spawner_forget(struct spawner_client *c, const void *data);

/* The version of control groups in use, 0 before the first answer. */
uint32_t spawner_cgroup_version(const struct spawner_client *c);
