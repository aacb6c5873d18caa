/* run_options: parses the command line of `dunlin run` into a spec.
 *
 * Runs as the operator, who is trusted; files are read with the operator's rights. */
#include "cli/run_options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/language.h"

#define CODE_MAX    ((size_t)16 << 20)
#define TIMEOUT_MAX 86400 /* seconds; the operator's own machine, so only a sanity bound */

enum {
    OPT_LANGUAGE = 256,
    OPT_TIMEOUT,
    OPT_MEMORY,
    OPT_ENV,
    OPT_FILE,
    OPT_OUTPUT,
    OPT_STDIN,
    OPT_DATA,
    OPT_JSON,
    OPT_HELP
};

static const struct option longs[] = {
    {"language", required_argument, NULL, OPT_LANGUAGE},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"env", required_argument, NULL, OPT_ENV},
    {"file", required_argument, NULL, OPT_FILE},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"stdin", no_argument, NULL, OPT_STDIN},
    {"data", required_argument, NULL, OPT_DATA},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

void run_options_usage(void)
{
    puts("usage: dunlin run [OPTIONS] FILE|- [ARGUMENTS]\n\n"
         "Run a file in a sandbox, without a server. Needs root. With --url URL as the first "
         "option\n"
         "it runs on a server: see dunlin run --url URL --help.\n\n"
         "  --language L   python, shell or javascript (default: by the file's ending)\n"
         "  --timeout S    seconds until it is ended (default 30)\n"
         "  --memory MB    everything it may use\n"
         "  --env N=VALUE  a variable of its environment; may be repeated\n"
         "  --file PATH    a file to put into its workspace; may be repeated\n"
         "  --output DIR   write the files it makes or changes to DIR\n"
         "  --stdin        hand our standard input to it, also when it is neither a pipe nor a "
         "file\n"
         "  --data DIR     state directory (default /var/lib/dunlin)\n"
         "  --json         print one JSON object instead of its output\n\n"
         "The exit status is the run's own; 128 + S when signal S ended it, 124 at its deadline,\n"
         "125 when there was no sandbox.");
}

/* The whole of an open file, at most `max` bytes. */
static char *read_all(int fd, size_t max, const char *name, size_t *ret_len, struct err *e)
{
    _cleanup_buf_ struct buf b;
    char chunk[65536];
    ssize_t n;

    buf_init(&b, max);
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set(e, ERR_INVALID, errno, "read %s", name);
            return NULL;
        }
        if (buf_append(&b, chunk, (size_t)n) < 0) {
            err_set(e, ERR_LIMIT, 0, "%s is larger than %zu bytes", name, max);
            return NULL;
        }
    }
    return buf_steal(&b, ret_len);
}

static char *read_file(const char *path, size_t max, size_t *ret_len, struct err *e)
{
    _cleanup_fd_ int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY);

    if (fd < 0) {
        err_set(e, ERR_INVALID, errno, "open %s", path);
        return NULL;
    }
    return read_all(fd, max, path, ret_len, e);
}

static int add_string(char ***list, size_t *n, const char *text, struct err *e)
{
    char **grown = realloc(*list, (*n + 1) * sizeof **list);

    if (grown == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    *list = grown;
    grown[*n] = strdup(text);
    return grown[(*n)++] != NULL ? 0 : err_set(e, ERR_INTERNAL, 0, "out of memory");
}

static int add_file(struct run_spec *spec, const char *path, struct err *e)
{
    struct run_file *grown = realloc(spec->files, (spec->nfiles + 1) * sizeof *grown);
    char copy[4096];
    struct run_file *f;

    if (grown == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    spec->files = grown;
    f = &grown[spec->nfiles++];
    *f = (struct run_file){0};
    snprintf(copy, sizeof copy, "%s", path);
    f->name = strdup(basename(copy));
    f->data = read_file(path, LIMIT_OUTPUT_BYTES, &f->len, e);
    return f->name != NULL && f->data != NULL ? 0 : -1;
}

static int parse_number(const char *text, long max, const char *what, long *ret, struct err *e)
{
    char *end;

    errno = 0;
    *ret = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *ret < 1 || *ret > max)
        return err_set(e, ERR_INVALID, 0, "%s must be a whole number from 1 to %ld, not '%s'", what,
                       max, text);
    return 0;
}

static int set_language(struct run_spec *spec, const char *name, struct err *e)
{
    spec->language = language_find(name);
    return spec->language != NULL
               ? 0
               : err_set(e, ERR_INVALID, 0, "no language '%s': python, shell, javascript", name);
}

static int take_option(struct run_options *o, int option, const char *value, struct err *e)
{
    struct run_spec *spec = o->spec;
    long number = 0;

    switch (option) {
    case OPT_LANGUAGE:
        return set_language(spec, value, e);
    case OPT_TIMEOUT:
        if (parse_number(value, TIMEOUT_MAX, "--timeout", &number, e) < 0)
            return -1;
        spec->timeout_ms = (uint32_t)number * 1000;
        return 0;
    case OPT_MEMORY:
        if (parse_number(value, 1 << 20, "--memory", &number, e) < 0)
            return -1;
        spec->limits.memory_mb = (uint32_t)number;
        return 0;
    case OPT_ENV:
        if (value[0] == '=' || strchr(value, '=') == NULL)
            return err_set(e, ERR_INVALID, 0, "--env wants NAME=VALUE, not '%s'", value);
        return add_string(&spec->env, &spec->nenv, value, e);
    case OPT_FILE:
        return add_file(spec, value, e);
    case OPT_OUTPUT:
        o->output = value;
        return 0;
    case OPT_STDIN:
        spec->stdin_data = read_all(STDIN_FILENO, LIMIT_STDIN, "stdin", &spec->stdin_len, e);
        return spec->stdin_data != NULL ? 0 : -1;
    case OPT_DATA:
        o->data = value;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case OPT_HELP:
        o->help = true;
        return 0;
    default:
        return err_set(e, ERR_INVALID, 0, "wrong option (see dunlin run --help)");
    }
}

static int guess_language(struct run_spec *spec, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    const char *ending = dot != NULL ? dot + 1 : "py";

    if (spec->language != NULL)
        return 0;
    if (strcmp(path, "-") == 0)
        ending = "py";
    spec->language = language_find(ending);
    return spec->language != NULL
               ? 0
               : err_set(e, ERR_INVALID, 0, "cannot tell the language of %s: use --language", path);
}

/* `producer | dunlin run FILE` and `dunlin run FILE < input` mean what they say. */
static bool wants_stdin(const struct run_spec *spec, const char *path)
{
    struct stat st;

    return spec->stdin_data == NULL && strcmp(path, "-") != 0 && fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e)
{
    int option;

    *o = (struct run_options){.spec = run_spec_create()};
    if (o->spec == NULL)
        return err_set(e, ERR_INTERNAL, 0, "out of memory");
    o->spec->timeout_ms = 30000;
    o->spec->files_mode = RUN_FILES_CHANGED;
    o->spec->max_file_size = LIMIT_OUTPUT_BYTES;
    optind = 1;
    /* '+': what follows the file's name belongs to the program. */
    while ((option = getopt_long(argc, argv, "+", longs, NULL)) >= 0) {
        if (take_option(o, option, optarg, e) < 0)
            return -1;
    }
    if (o->help)
        return 0;
    if (optind == argc)
        return err_set(e, ERR_INVALID, 0, "which file? (see dunlin run --help)");
    if (guess_language(o->spec, argv[optind], e) < 0)
        return -1;
    o->spec->code = read_file(argv[optind], CODE_MAX, &o->spec->code_len, e);
    for (int i = optind + 1; o->spec->code != NULL && i < argc; i++) {
        if (add_string(&o->spec->args, &o->spec->nargs, argv[i], e) < 0)
            return -1;
    }
    if (o->spec->code == NULL)
        return -1;
    return wants_stdin(o->spec, argv[optind]) ? take_option(o, OPT_STDIN, NULL, e) : 0;
}

void run_options_finish(struct run_options *o)
{
    run_spec_destroy(o->spec);
    o->spec = NULL;
}
