/* session_parts: the parts of a session's init beside its processes. */
#pragma once

#include <poll.h>

#include "init/session_state.h"

/* -- session_group.c --------------------------------------------------------------------------- */

/* Signals the process's session and all descendants of its main process or, where it has one, of
 * its keeper.  Returns how many were alive. */
size_t group_signal(struct session *s, const struct process *p, int signal);
/* Signals every process of clients. */
void group_signal_all(struct session *s, int signal);
/* How many processes there are beside us. */
size_t group_count(struct session *s);
/* A process that came from outside and is not known yet; 0 if there is none or more than one. */
pid_t group_stranger(struct session *s);

/* -- session_join.c ---------------------------------------------------------------------------- */

void join_admit(struct session *s, uint32_t id);
void join_child(struct session *s, struct session_request *r);
void join_run(struct session *s, struct session_request *r);
/* A joining child, or the parent of a warm one, says something. */
void join_hear(struct session *s, struct process *p);
/* Gives up who comes too late, and lets the next in.  Milliseconds until it wants to be called
 * again, or -1. */
int join_keep(struct session *s);

/* -- session_terminal.c ------------------------------------------------------------------------ */

/* Opens a terminal for process `id` and takes the stream (then *stream is -1).  Returns the
 * descriptor of the process's side, which the caller closes, or a negative errno. */
int terminal_open(struct session *s, uint32_t id, int *stream, const struct session_size *size);
void terminal_resize(struct session *s, uint32_t id, const struct session_size *size);
/* The process has ended: the terminal goes when nobody has it open any more. */
void terminal_ended(struct session *s, uint32_t id);
/* What each waits for: at most two descriptors of each.  Returns how many. */
nfds_t terminal_poll(const struct session *s, struct pollfd *fds);
/* Moves what can be moved, and hangs up what is over. */
void terminal_move(struct session *s);

/* -- session_call.c ---------------------------------------------------------------------------- */

void call_start(struct session *s, struct session_request *r);
/* A child has died. */
void call_died(struct session *s, pid_t pid);
