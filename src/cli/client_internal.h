/* client_internal: what client.c has for client_socket.c. */
#pragma once

#include <curl/curl.h>

struct client;
struct err;

/* A connection to the server, TLS included, for curl_easy_send and _recv; curl_easy_cleanup() ends
 * it.  NULL and e. */
CURL *client_connect(struct client *c, curl_socket_t *ret_fd, struct err *e);
/* "localhost:8000", for the Host header; lives as long as the client. */
const char *client_host(const struct client *c);
/* "X-Api-Key: ...", NULL without a key. */
const char *client_key_header(const struct client *c);
