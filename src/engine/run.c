/* run: life of the plain data that describes a run and its result.  Runs in the server, in the
 * command line, and on the server's thread pool (a request is decoded there), so it must not touch
 * anything shared.  Trusts its callers for the ownership rules in run.h. */
#include "engine/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_BYTES 11 /* 88 random bits: not to be guessed, and 22 characters fit struct run_spec */

static int fill_id(char id[static 2 * ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[ID_BYTES];
    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        return -1;
    for (size_t i = 0; i < sizeof raw; i++) {
        id[2 * i] = digits[raw[i] >> 4];
        id[2 * i + 1] = digits[raw[i] & 15];
    }
    id[2 * ID_BYTES] = '\0';
    return 0;
}

struct run_spec *run_spec_create(void)
{
    struct run_spec *spec = calloc(1, sizeof *spec);
    if (spec && fill_id(spec->id) < 0) {
        free(spec);
        return NULL;
    }
    return spec;
}

/* Frees memory that is not part of the arena. */
static void free_outside(const struct run_spec *spec, char *data)
{
    uintptr_t at = (uintptr_t)data, arena = (uintptr_t)spec->arena;
    if (spec->arena && at >= arena && at - arena <= spec->arena_len)
        return;
    free(data);
}

void run_spec_free_file(const struct run_spec *spec, struct run_file *file)
{
    free(file->name);
    free_outside(spec, file->data);
    *file = (struct run_file){0};
}

static void free_strings(char **strings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(strings[i]);
    free(strings);
}

void run_spec_destroy(struct run_spec *spec)
{
    if (!spec)
        return;
    free_outside(spec, spec->code);
    free_outside(spec, spec->stdin_data);
    for (size_t i = 0; i < spec->nfiles; i++)
        run_spec_free_file(spec, &spec->files[i]);
    free(spec->files);
    free_strings(spec->args, spec->nargs);
    free_strings(spec->env, spec->nenv);
    free_strings(spec->program, spec->nprogram);
    free(spec->allowed_modules);
    free(spec->arena);
    free(spec);
}

void run_result_finish(struct run_result *r)
{
    buf_finish(&r->out);
    buf_finish(&r->err);
    for (size_t i = 0; i < r->nfiles; i++) {
        free(r->files[i].name);
        free(r->files[i].data);
    }
    free(r->files);
    for (size_t i = 0; i < r->nskipped; i++)
        free(r->skipped[i].name);
    free(r->skipped);
    free(r->bad_file);
    free(r->message);
    free(r->modules);
    memset(r, 0, sizeof *r);
}
