/* se_reply: answers in the predecessor's shapes, all of them at once (contract B1 and section 10,
 * rows 17 to 21): the fields of the answer at the top, and the same again as `result` and
 * `full_result`; errors with `detail`, `type` and `message` at the top, and as an object `error`.
 */
#pragma once

#include "base/buf.h"

struct err;
struct file_end;
struct http_request;

/* Answers 200 with the JSON object in `value` (taken over); `result` is another value than that
 * object where it is not NULL, JSON too.  `failed`: there was no memory for it. */
void se_reply(struct http_request *r, struct buf *value, const char *result, int failed);

/* Answers an error: `message` says what failed, `detail` why. */
void se_reply_error(struct http_request *r, int status, const char *message, const char *detail);
/* The same for what the service refused. */
void se_reply_err(struct http_request *r, const char *message, const struct err *e);
/* The same for a call on files that ended with an error; `text` is the sandbox's and hostile. */
void se_reply_file_error(struct http_request *r, const char *message, const struct file_end *end,
                         const char *text);

/* Appends the answer that se_reply gives.  0, or -1 when out of memory. */
int se_append_answer(struct buf *out, const struct buf *value, const char *result);
/* Appends the body that se_reply_error gives. */
int se_append_error(struct buf *out, const char *message, const char *detail);
