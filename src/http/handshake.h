/* handshake: the opening handshake of a WebSocket (RFC 6455, 4.2). */
#pragma once

#include <stdbool.h>

#define HANDSHAKE_ACCEPT_SIZE 29 /* of a Sec-WebSocket-Accept, with its NUL */

/* Whether a comma-separated list (NULL: absent) has this token, in whatever case. */
bool handshake_list_has(const char *list, const char *token);
/* Whether a Sec-WebSocket-Key (NULL: absent) is 16 bytes in base64. */
bool handshake_key_is_valid(const char *key);
/* Computes the answer to a valid key.  -1: out of memory. */
int handshake_accept(const char *key, char out[static HANDSHAKE_ACCEPT_SIZE]);
