/* session_label: filters by label.  Runs in the server's loop thread; labels were checked when they
 * came, the question is hostile. */
#include "api/session_label.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

bool session_label_matches(const char *labels, const char *wanted)
{
    const char *equals = strchr(wanted, '=');
    size_t len = equals ? (size_t)(equals - wanted) : strlen(wanted);
    json_t *all = labels ? json_loads(labels, 0, NULL) : NULL;
    bool found = false;
    for (void *i = json_object_iter(all); i && !found; i = json_object_iter_next(all, i)) {
        const char *name = json_object_iter_key(i);
        const char *value = json_string_value(json_object_iter_value(i));
        found = strlen(name) == len && memcmp(name, wanted, len) == 0 &&
                (!equals || (value && strcmp(value, equals + 1) == 0));
    }
    json_decref(all);
    return found;
}
