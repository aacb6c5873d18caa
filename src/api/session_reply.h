/* session_reply: what a session, or a call on its files, refused: as status and words. */
#pragma once

#include <stddef.h>

struct err;
struct file_end;
struct http_request;

/* 400 .. 507 for an errno that a call on files ended with (wire/session_file.h). */
int session_status_of_errno(int error);
/* The same for what the service says; ERR_NONE has none. */
int session_status_of_err(const struct err *e);

/* {"detail": ...}; with Retry-After where later may be better. */
void session_reply_error(struct http_request *r, const struct err *e);
/* With the sandbox's words (`text`, hostile), or, when it has none (""), with ours about `path`. */
void session_reply_file_error(struct http_request *r, const struct file_end *end, const char *text,
                              const char *path);
/* 404 {"detail":"session 'x' does not exist"}: of any `kind`, with a name of the client's. */
void session_reply_unknown(struct http_request *r, const char *kind, const char *name);
