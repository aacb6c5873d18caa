/* limits: every named bound of the system, each with its reason. */
#pragma once

/* -- requests
 * ----------------------------------------------------------------------------------------------------
 */
#define LIMIT_JSON_DEPTH 64   /* deepest nesting a request may have; ours need 3 */
#define LIMIT_FILE_NAME  255  /* bytes of one path component: the kernel's NAME_MAX (R36) */
#define LIMIT_FILE_PATH  1024 /* bytes of a nested file name */
#define LIMIT_FILE_DEPTH 16   /* components of a nested file name */
#define LIMIT_INPUT_FILES                                                                          \
    1000 /* files in one request: bounds init's work before the deadline starts */
#define LIMIT_OUTPUT_FILES  1000 /* files in one answer; more are reported as skipped (R34) */
#define LIMIT_OUTPUT_BYTES  (64u << 20) /* bytes of all files in one answer (R34) */
#define LIMIT_SKIPPED_FILES 100         /* names in skipped_files; the rest are only counted */
#define LIMIT_ARGS_ENV      (64u << 10) /* bytes of args + env together: one datagram to the run */
#define LIMIT_STDIN         (16u << 20) /* bytes of stdin text */

/* -- HTTP (R81)
 * --------------------------------------------------------------------------------------------------
 */
#define LIMIT_HTTP_POOL                                                                            \
    (32u << 10)                /* libmicrohttpd's memory per connection: request line and headers */
#define LIMIT_HTTP_HEADERS 100 /* header fields in one request */
#define LIMIT_HTTP_HEADER_S                                                                        \
    15 /* seconds from the first byte of a request to the end of its headers */
#define LIMIT_HTTP_BODY_IDLE_S 15    /* seconds without progress in a body */
#define LIMIT_HTTP_BODY_RATE   16384 /* bytes/s a body must keep on average after the first 15 s */
#define LIMIT_HTTP_IDLE_S      75    /* seconds a kept-alive connection may stay silent */
#define LIMIT_HTTP_CONNECTIONS 4096  /* sockets at once; less if RLIMIT_NOFILE is lower */
#define LIMIT_HTTP_TARGET      8000  /* bytes of a request target: what proxies let through */
#define LIMIT_HTTP_METHOD      16    /* bytes of a method; longer ones do not exist */
#define LIMIT_HTTP_SEND_S      60 /* seconds an answer may wait for its reader without progress */
#define LIMIT_HTTP_LINGER_S                                                                        \
    3 /* seconds a refused client may go on sending, so that it reads the refusal, not a reset */
#define LIMIT_HTTP_STREAM        (16u << 20) /* bytes queued in one stream before it is cut */
#define LIMIT_HTTP_BACKLOG       1024        /* connections the kernel holds until we accept them */
#define LIMIT_HTTP_REPLY_HEADERS 32          /* fields that one answer may add */
#define LIMIT_HTTP_FORM_PARTS    1000        /* parts of one form: as LIMIT_INPUT_FILES */
#define LIMIT_HTTP_PART_HEAD     4096        /* bytes of a part's fields: names are at most 1024 */
#define LIMIT_WEBSOCKET_PING_S   30          /* seconds of silence before a client is asked */
#define LIMIT_WEBSOCKET_SILENT_S 120         /* and before it is cut */
#define LIMIT_WEBSOCKET_PONGS    64 /* answers queued before no more is read: they cost memory */

/* -- work
 * --------------------------------------------------------------------------------------------------------
 */
#define LIMIT_INLINE_JSON                                                                          \
    (64u << 10)          /* bodies above this are decoded on the thread pool: 10 ms loop bound */
#define LIMIT_SLOTS 4096 /* sandboxes at once: uids and cgroups of one spawner */
#define LIMIT_NESTS 64   /* environments in use at once */

/* -- sessions
 * -----------------------------------------------------------------------------------------------------
 */
#define LIMIT_SESSION_CALLS     256 /* calls on files in one session at once */
#define LIMIT_SESSION_PROCESSES 128 /* started by clients, in one session, at once */
#define LIMIT_SESSION_TERMINALS 16  /* of them with a terminal: devpts is mounted with as many */
#define LIMIT_PROCESS_OUTPUT                                                                       \
    (1u << 20) /* bytes of each stream that are kept for who listens later */
#define LIMIT_PROCESS_INPUT                                                                        \
    (4u << 20) /* bytes of input that wait for a process to read them, before no more is taken */
#define LIMIT_PROCESSES_KEPT                                                                       \
    256 /* records of processes in one session, the ended ones included                            \
         */
#define LIMIT_OUTPUT_KEPT                                                                          \
    (256u << 20) /* bytes of output that are kept of all processes together: beyond this the       \
                    session with most loses some, of the ended ones first */
#define LIMIT_STREAM_LAG        (256u << 10) /* bytes that a foreground process may be ahead */
#define LIMIT_FILE_ENTRIES      10000        /* of one listing or search */
#define LIMIT_FILE_TREE_DEPTH   64           /* directories beneath each other that a call walks */
#define LIMIT_WEBSOCKET_MESSAGE (1u << 20)   /* bytes of one message of a client */
#define LIMIT_SESSION_LABELS    (4u << 10)   /* bytes of the labels of a session, as JSON */
#define LIMIT_SESSION_ENV       (32u << 10)  /* bytes of its variables, as JSON */
#define LIMIT_SNAPSHOTS         64           /* of one session */
#define LIMIT_FETCHES           16           /* files that are being fetched, in the whole server */
#define LIMIT_FETCH_ITEMS       100          /* of one request */
