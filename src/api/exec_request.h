/* exec_request: the bodies that have programs and code run in sessions. */
#pragma once

#include "api/json_body.h"
#include "api/rules.h"
#include "api/session_launch.h"
#include "base/buf.h"

#define EXEC_SCRIPT_SIZE 320 /* bytes of a script's path */

struct exec_request {
    struct json_body body;
    struct session_program program; /* points into what is here */
    size_t output_max;              /* bytes of each stream in an answer */
    const char **args;              /* as sent, or NULL */
    const char **argv;              /* of the program; NULL: `shell` is used */
    const char *shell[4];
    struct buf env_text, name;
    const char **env;
    char script[EXEC_SCRIPT_SIZE];
};

/* Reads q->body, which has been parsed, as that of .../exec.  Any thread.  exec_request_finish in
 * any case; the request must not be moved in between. */
void exec_request_decode(struct exec_request *q, const struct request_rules *rules);
/* The same of .../run.  `nonce`: unguessable, of letters and digits, for the name of a directory.
 */
void exec_request_decode_code(struct exec_request *q, const struct request_rules *rules,
                              const char *nonce);
void exec_request_finish(struct exec_request *q);
