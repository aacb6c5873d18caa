/* origin: compares Origin with Host.  Runs in the server's loop thread; both are hostile. */
#include "api/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

bool origin_is_own(const char *origin, const char *host)
{
    if (!origin)
        return true;
    const char *authority = strstr(origin, "://");
    return authority && host && *host && strcasecmp(authority + 3, host) == 0;
}
