/* work: what waits for the disk, from the server's request to the reply, by way of the workers. */
#pragma once

#include "spawner/spawner.h"

/* Whether a request makes sense now; what does not is the end of the server. */
bool work_permits_open(const struct spawner *s, const struct spawn_request *req);
bool work_permits_close(const struct spawner *s, const struct spawn_request *req);
bool work_permits_layer(const struct spawner *s, const struct spawn_request *req);

/* Permitted requests.  `fd` is the descriptor that came along, now theirs, or -1.  -1 when the
 * server is gone. */
int work_open_nest(struct spawner *s, const struct spawn_request *req, int fd);
int work_close_nest(struct spawner *s, const struct spawn_request *req, int fd);
int work_on_layer(struct spawner *s, const struct spawn_request *req, int fd);

/* The process of a nest that is being closed is dead. */
void work_nest_gone(struct spawner *s, uint32_t n);

/* The worker of a lane has reported, or has died.  -1 when the server is gone. */
int work_done(struct spawner *s, enum lane lane);

/* For those who make orders of their own (workspace_orders.c). */

/* An order, and with it its reply. */
struct work work_for(const struct spawner *s, uint32_t op, uint32_t nest, uint64_t number);
/* The errno that the server is told of a failure.  By ENOENT and EEXIST it knows a workspace that
 * is gone or there already, and acts on it; a step that failed for another reason may have the
 * same. */
int work_errno(const struct err *e);
/* Makes it a reply to what has failed.  A text that is too long loses its end, and no half of a
 * character is left. */
void work_fail(struct spawn_reply *reply, int error, const char *text);
/* Puts it at the end of a lane that has room.  -1 when the server is gone. */
int work_push(struct spawner *s, enum lane lane, const struct work *work);
