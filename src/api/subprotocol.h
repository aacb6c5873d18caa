/* subprotocol: the API key of a WebSocket whose client cannot set headers, as pages in browsers
 * cannot.  It offers two subprotocols: "dunlin", which is the one agreed upon, and "dunlin.key."
 * followed by the key in base64url without padding.  Unlike a key in the query this one is in no
 * log of addresses and no browser history. */
#pragma once

#include <stdbool.h>

#define SUBPROTOCOL         "dunlin"
#define SUBPROTOCOL_KEY_MAX 512 /* bytes of a key, NUL included */

/* The key among the subprotocols that the client offers (Sec-WebSocket-Protocol; NULL: none). */
bool subprotocol_key(const char *offered, char ret[static SUBPROTOCOL_KEY_MAX]);
/* The one to agree upon: SUBPROTOCOL if it is offered, else NULL. */
const char *subprotocol_agreed(const char *offered);
