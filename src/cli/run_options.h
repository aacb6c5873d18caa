/* run_options: the command line of `dunlin run`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/run.h"

struct run_options {
    struct run_spec *spec; /* language, code, args, env, files, stdin, limits; owned */
    const char *output;    /* directory for the files the run leaves, or NULL */
    const char *data;      /* state directory, or NULL for the settings' */
    bool json;
    bool help;
};

/* Fills *o from argv; reads the files it names.  -1 and e on wrong words or unreadable files. */
int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e);
void run_options_finish(struct run_options *o);
void run_options_usage(void);
