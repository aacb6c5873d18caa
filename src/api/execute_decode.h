/* execute_decode: what the parts of execute_request share while one body is decoded. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/execute_request.h"
#include "api/fields.h"

struct decode {
    struct fields fields;
    const struct request_rules *rules;
    struct execute_request *out;
    struct run_spec *spec;
    struct json_slice code, environment, stdin_text;
    json_t *files;         /* object of strings, or NULL */
    size_t args_env_bytes; /* so far */
    bool out_of_memory;
};

struct decode_input {
    char *body; /* malloc'ed, taken over */
    size_t len;
};
/* Reads the members of the body; what is wrong with them is in the violations. */
typedef void decode_model(struct decode *d, const json_t *body);
/* Judges what is well-formed: REQUEST_RUN to go on. */
typedef enum request_verdict decode_check(struct decode *d);

/* Decodes a body: JSON, then the model, then the checks in turn (NULL-terminated). */
void decode_body(struct execute_request *ret, const struct request_rules *rules,
                 struct decode_input input, decode_model *model, decode_check *const *checks);

/* Reads "code". */
void decode_code(struct decode *d, const json_t *body);
/* The code's length in characters. */
decode_check decode_check_length;
/* Gives the run its code, stdin and settings. */
decode_check decode_fill_spec;

/* Decodes the members that the predecessor does not know (execute_extras.c). */
void decode_extras(struct decode *d, const json_t *body);

/* Checks names and contents of the input files and gives them to the run (execute_files.c).  The
 * language is known by now. */
enum request_verdict decode_file_contents(struct decode *d);

/* Sets *ret to `s` if it lies in the run's arena, else to a copy.  0, or -1 when out of memory. */
int decode_own(struct decode *d, struct json_slice s, char **ret);
