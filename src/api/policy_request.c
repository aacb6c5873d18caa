/* policy_request: decoder of POST /policy/check.  Runs in the server, on the loop or on the thread
 * pool; the body is hostile. */
#include "api/policy_request.h"

#include <string.h>

#include "api/execute_decode.h"
#include "engine/language.h"

#define CHECK_TIMEOUT_MS 10000 /* parsing the longest code takes well under a second */

/* Reads {code, level} into the run; level is strict when absent. */
static void decode_members(struct decode *d, const json_t *body)
{
    const json_t *level = field_optional(body, "level");
    size_t index = POLICY_STRICT;
    decode_code(d, body);
    if (level)
        field_choice(&d->fields, PLACE("level"), level, policy_level_names, &index);
    d->spec->policy = (enum policy_level)index;
    d->spec->check_only = true;
    d->spec->timeout_ms = CHECK_TIMEOUT_MS;
    d->spec->limits = d->rules->usual;
    d->spec->language = language_find("python");
}

void policy_request_decode(struct execute_request *ret, const struct request_rules *rules,
                           char *body, size_t len)
{
    static decode_check *const checks[] = {decode_check_length, decode_fill_spec, NULL};
    decode_body(ret, rules, (struct decode_input){body, len}, decode_members, checks);
}
