/* session_env: a session's variables, from the JSON object that they are kept as.  Runs in the
 * server; the object was checked when it came. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "service/session_internal.h"

/* Into `out` if it is not NULL; the bytes that the strings take up. */
static size_t write_pairs(json_t *object, char **slots, char *out)
{
    size_t len = 0, i = 0;
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        size_t nname = strlen(name), nvalue = json_string_length(value);

        if (out != NULL) {
            slots[i++] = out + len;
            memcpy(out + len, name, nname);
            out[len + nname] = '=';
            memcpy(out + len + nname + 1, json_string_value(value), nvalue);
            out[len + nname + 1 + nvalue] = '\0';
        }
        len += nname + nvalue + 2;
    }
    return len;
}

static bool has_strings_only(json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value))
            return false;
    }
    return json_is_object(object);
}

char **session_env_parse(const char *json)
{
    json_t *object = json_loads(json, 0, NULL);
    size_t n = has_strings_only(object) ? json_object_size(object) : 0;
    char **env = calloc(1, (n + 1) * sizeof *env + (n > 0 ? write_pairs(object, NULL, NULL) : 0));

    if (env != NULL && n > 0)
        write_pairs(object, env, (char *)(env + n + 1));
    json_decref(object);
    return env;
}
