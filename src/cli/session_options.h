/* session_options: the command line of `dunlin session`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/client_options.h"

#define SESSION_WORDS_MAX 64 /* of --env and of --label */

struct session_options;

struct session_command {
    const char *name;
    const char *words;   /* what it wants behind its name, for messages: "ID -- COMMAND..." */
    int least, most;     /* how many words that is; most -1: any number */
    bool passes_on;      /* what comes behind the first `least` words belongs to a command */
    const char *options; /* names of those that it has besides the common ones: " cwd env " */
    int (*run)(struct client *c, const struct session_options *o);
};

struct session_options {
    struct client_options common; /* url, key, json, yes; for client_json.h */
    const struct session_command *command;
    char **words; /* behind the command's name */
    int nwords;
    bool help, ephemeral, recursive, follow, background, all;
    /* NULL: not given. */
    const char *id, *environment, *size, *network, *snapshot, *cwd, *language, *state;
    const char *env[SESSION_WORDS_MAX], *labels[SESSION_WORDS_MAX]; /* NAME=VALUE */
    size_t nenv, nlabels;
    int timeout, idle, ttl; /* seconds; 0: not given */
};

/* Fills *o; the commands are a table that ends with a name of NULL.  Words stay the caller's.  Also
 * chooses the language.  -1 and e on wrong words. */
int session_options_parse(struct session_options *o, const struct session_command *commands,
                          int argc, char **argv, struct err *e);
