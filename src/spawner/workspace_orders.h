/* workspace_orders: workspaces from the server's request to the reply. */
#pragma once

#include "spawner/spawner.h"

/* Whether a request makes sense; what does not is the end of the server. */
bool workspace_permits(const struct spawner *s, const struct spawn_request *req);
bool workspace_permits_attach(const struct spawner *s, const struct spawn_request *req);

/* Permitted requests.  -1 when the server is gone. */
int workspace_order(struct spawner *s, const struct spawn_request *req, int fd);
int workspace_attach(struct spawner *s, const struct spawn_request *req, int fd);

/* Whether it is mounted.  True in a worker, too, for what its order is about. */
bool workspace_is_open(const struct spawner *s, uint64_t number);

/* Whether work that has failed may have left something. */
bool workspace_needs_undo(const struct spawner *s, const struct work *w,
                          const struct work_result *r);

/* An order is finished, before its reply. */
void workspace_settled(struct spawner *s, const struct work *w);
