/* etag: lists of entity tags, If-None-Match and If-Match (RFC 9110, 8.8.3). */
#pragma once

#include <stdbool.h>

/* Whether `list` names `etag` (with its quotes), or is "*".  Weak comparison (If-None-Match) does
 * not mind a W/ on either side, strong comparison (If-Match, If-Range) takes no tag that has one. A
 * list that is malformed names what stands before the fault. */
bool etag_list_has(const char *list, const char *etag, bool is_weak);
