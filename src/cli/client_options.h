/* client_options: the command line of the commands that ask a server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct client;
struct client_options;

enum client_option {
    OPTION_DESCRIPTION = 1 << 0,
    OPTION_BASE_IMAGE = 1 << 1,
    OPTION_PYTHON_VERSION = 1 << 2,
    OPTION_WARM = 1 << 3,
    OPTION_NETWORK = 1 << 4,
    OPTION_BUILD_NETWORK = 1 << 5,
    OPTION_WAIT = 1 << 6,
    OPTION_WAIT_TIMEOUT = 1 << 7,
    OPTION_TIMEOUT = 1 << 8,
    OPTION_FOLLOW = 1 << 9,
    OPTION_TAIL = 1 << 10,
    OPTION_YES = 1 << 11,
    OPTION_DATA = 1 << 12,
    OPTION_JSON = 1 << 13,
};

struct client_command {
    const char *name;
    int arguments;    /* how many words it wants: NAME, ... */
    uint32_t options; /* enum client_option */
    /* Does it; the exit status. */
    int (*run)(struct client *c, const struct client_options *o);
};

struct client_options {
    const struct client_command *command; /* NULL: none was given */
    const char *argument[2];
    const char *url, *key; /* with their defaults; key NULL: none */
    bool help, json, wait, follow, yes;
    bool plain; /* a refusal is shown as words, never as the whole body */
    int wait_minutes;
    int tail; /* -1: everything */
    /* NULL: not given. */
    const char *description, *base_image, *python_version, *warm, *network, *build_network, *data;
};

#define CLIENT_WAIT_MINUTES 10

/* Fills *o from the environment and argv (argv[0] is skipped), whose words stay the caller's.
 * Options may stand anywhere.  The commands are a table that ends with a name of NULL.  Also
 * chooses the language.  -1 and e on wrong words. */
int client_options_parse(struct client_options *o, const struct client_command *commands, int argc,
                         char **argv, struct err *e);
