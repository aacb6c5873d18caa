/* script_lint: literal search, in the order in which the predecessor looked.  Pure. */
#include "service/script_lint.h"

#include <stddef.h>
#include <string.h>

static const char *const forbidden[] = {
    "rm -rf /", "dd if=", "mkfs", ":(){ :|:& };:", "curl | sh", "wget | sh",
};

const char *script_lint(const char *script)
{
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (strstr(script, forbidden[i]) != NULL)
            return forbidden[i];
    }
    return NULL;
}
