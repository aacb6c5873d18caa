/* internal: what the files of src/http share.
 *
 * Theory of operation.  We accept connections ourselves and give each one a libmicrohttpd of its
 * own (no listening socket, no thread), whose epoll descriptor our loop watches.  libmicrohttpd is
 * small enough for that, and it buys what one common instance cannot give: everything it reports,
 * parse errors included, is known to concern this connection (so every refusal gets our JSON body
 * instead of its HTML), and one connection can be run, timed or ended without touching another.
 * A second watch, on the socket itself, tells when the client has gone while libmicrohttpd does not
 * look (request suspended).  libmicrohttpd only ever runs from connection_run() and
 * connection_close(), so no callback of ours is entered from inside an http_* call. */
#pragma once

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "base/limits.h"
#include "http/http.h"
#include "http/target.h"
#include "http/upload.h"

/* -- connection.c: one socket and its libmicrohttpd */
enum connection_phase {
    CONNECTION_IDLE,    /* between requests */
    CONNECTION_HEAD,    /* a request line or headers are arriving */
    CONNECTION_BODY,    /* a body is arriving */
    CONNECTION_WORKING, /* the handler has the request */
    CONNECTION_REPLY,   /* an answer is being sent */
};

struct connection {
    struct http_server *server;
    TAILQ_ENTRY(connection) all;
    TAILQ_ENTRY(connection) queue; /* of connections to run; valid while `is_queued` */
    struct MHD_Daemon *daemon;
    struct MHD_Connection *mhd;
    int fd;          /* libmicrohttpd's; -1 once it is about to close it */
    uv_poll_t ready; /* libmicrohttpd has something to do */
    uv_poll_t watch; /* the client has gone */
    int open_handles;
    enum connection_phase phase;
    uint64_t phase_ms;    /* when the phase began */
    uint64_t progress_ms; /* when bytes last moved */
    int unsent;           /* bytes in the kernel's send queue when last looked at */
    bool is_queued;
    bool has_sent_bytes; /* the client, ever */
    bool is_cut;         /* to be closed as soon as libmicrohttpd does not run */
    bool is_closed;      /* libmicrohttpd has let go of the socket */
    bool lingers;        /* the client may still be sending: see straggler.c */
    bool client_gone;
    struct http_request *request; /* the one in progress, or NULL */
    char peer[INET6_ADDRSTRLEN];
};

/* Takes over an accepted socket; closes it on failure. */
void connection_open(struct http_server *s, int fd, const struct sockaddr_storage *peer);
/* Lets libmicrohttpd work on what is ready; may end the connection. */
void connection_run(struct connection *c);
/* Has connection_run() called soon, never from inside this call. */
void connection_wake(struct connection *c);
/* Ends the connection soon, never from inside this call. */
void connection_cut(struct connection *c);
/* Ends the connection now.  Not from a callback of libmicrohttpd. */
void connection_close(struct connection *c);
void connection_enter(struct connection *c, enum connection_phase phase);
/* Ends the connection if it has used up the time that its phase allows. */
void connection_check_deadline(struct connection *c, uint64_t now_ms);

/* -- request.c: from the first header to the handler */
#define REQUEST_EXTRA_HEADERS LIMIT_HTTP_REPLY_HEADERS

struct stream {
    struct buf queue;
    size_t consumed; /* bytes at the front of `queue` that have been given away */
    size_t low_water;
    void (*on_writable)(void *data);
    void *writable_data;
    uint64_t size; /* of all of it, 0: not known before its end */
    bool is_above; /* the queue has reached low_water */
    bool ended;
    bool is_broken; /* by its end it is not complete */
};

struct http_request {
    struct connection *connection; /* NULL once it is gone and the caller has not answered yet */
    char method[LIMIT_HTTP_METHOD];
    struct target target;
    int refusal;    /* status that the target earned, 0 if it is fine */
    bool judged;    /* the headers have been looked at */
    bool handed;    /* the handler has been called */
    bool suspended; /* libmicrohttpd waits for MHD_resume_connection */
    bool answered;  /* dead for the caller */
    bool has_close; /* the answer says Connection: close */
    bool is_http_1_1;
    bool has_body;
    size_t body_length; /* as announced; 0 when it was not */
    size_t body_limit;
    struct upload upload;
    struct buf body;
    size_t charged; /* bytes counted against the server's budget */
    void (*on_gone)(void *data);
    void *gone_data;
    struct request_field {
        char *name, *value;
    } fields[REQUEST_EXTRA_HEADERS]; /* of the answer */
    size_t nfields;
    struct MHD_Response *response; /* to be queued */
    int status;
    struct stream stream;
    struct websocket *websocket; /* that this request becomes, until it is one */
};

/* Callbacks of libmicrohttpd; cls is the struct connection. */
void *request_begin(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result request_receive(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *len, void **context);
void request_complete(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_RequestTerminationCode how);
/* Frees a request that neither libmicrohttpd nor the caller knows any more. */
void request_destroy(struct http_request *r);

/* -- reply.c */
/* Makes `response` (taken over; NULL: out of memory, cuts the connection) the answer. */
void reply_set(struct http_request *r, int status, const char *content_type,
               struct MHD_Response *response);
/* Answers with an error body and Connection: close. */
void reply_refusal(struct http_request *r, int status);
/* Writes an error straight to the socket, where libmicrohttpd cannot send one or would send its
 * own, and half-closes it. */
void reply_raw_error(struct connection *c, int status);

/* -- stream.c */
/* Nobody waits for the stream any more, but its writer does not know: lets him run to the end.  May
 * free the request. */
void stream_abandon(struct http_request *r);

/* -- straggler.c */
struct straggler;
/* Reads and drops what still comes in on fd (taken over), so that the kernel does not answer it
 * with a reset that would destroy the refusal on its way. */
void straggler_start(struct http_server *s, int fd);
void straggler_close(struct straggler *l);
/* Closes those that have had their time. */
void straggler_check_deadlines(struct http_server *s, uint64_t now_ms);
