/* session_walk: what becomes of images of workspaces that no record names.
 *
 * Runs in the server, at its start (session_walk_read: while it is root still).  The store
 * remembers a number from when it is given out until its image is gone.  One that it remembers and
 * that no record names is of an image that was being removed, or never finished, when the last
 * server ended: it is removed.  Any other image was not made by this database, which is new or was
 * restored from a backup: it is never touched, and numbers that are given out are above all of
 * them, so that no session takes one over. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/settings.h"
#include "engine/nest.h"
#include "service/session_internal.h"

#define FOLDER "workspaces"
#define SUFFIX ".img"

void session_walk_destroy(struct session_service *s)
{
    free(s->walk.on_disk.numbers);
    free(s->walk.unnamed.numbers);
    s->walk = (struct session_walk){0};
}

static int add(struct session_numbers *all, uint64_t number)
{
    if (all->n == all->room) {
        size_t room = all->room > 0 ? 2 * all->room : 64;
        uint64_t *more = realloc(all->numbers, room * sizeof *more);

        if (more == NULL)
            return -1;
        all->numbers = more;
        all->room = room;
    }
    all->numbers[all->n++] = number;
    return 0;
}

/* -- what is there ----------------------------------------------------------------------------- */

/* 0: it is no image. */
static uint64_t number_of(const char *name)
{
    char *end;
    unsigned long long number;

    if (name[0] < '1' || name[0] > '9')
        return 0;
    errno = 0;
    number = strtoull(name, &end, 10);
    return errno == 0 && number < SPAWN_NUMBER && strcmp(end, SUFFIX) == 0 ? number : 0;
}

/* Takes the descriptor over. */
static int read_folder(struct session_service *s, int fd, struct err *e)
{
    DIR *stream = fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (stream == NULL) {
        close(fd);
        return err_set(e, ERR_INTERNAL, errno, "list " FOLDER);
    }
    while (r == 0 && (entry = readdir(stream)) != NULL) {
        uint64_t number = number_of(entry->d_name);

        if (number > s->walk.highest)
            s->walk.highest = number;
        if (number > 0 && add(&s->walk.on_disk, number) < 0)
            r = err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    }
    closedir(stream);
    return r;
}

int session_walk_read(struct session_service *s, struct err *e)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof path, "%s/" FOLDER, s->config.settings->data);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    return fd < 0 ? err_set(e, ERR_INTERNAL, errno, "open %.150s", path) : read_folder(s, fd, e);
}

/* -- what it means ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int note_unnamed(void *data, uint64_t number)
{
    struct session_service *s = data;

    return add(&s->walk.unnamed, number);
}

/* Those that records name and that the store remembers, in order; NULL: out of memory. */
static uint64_t *known(const struct session_service *s, size_t *ret)
{
    size_t n = 0;
    uint64_t *all = calloc((size_t)s->count + s->nsnapshots + s->walk.unnamed.n + 1, sizeof *all);

    if (all == NULL)
        return NULL;
    for (const struct session *one = s->first; one != NULL; one = one->next)
        all[n++] = one->record.workspace;
    for (const struct snapshot *one = s->snapshots; one != NULL; one = one->next)
        all[n++] = one->record.workspace;
    for (size_t i = 0; i < s->walk.unnamed.n; i++)
        all[n++] = s->walk.unnamed.numbers[i];
    qsort(all, n, sizeof *all, compare);
    *ret = n;
    return all;
}

static int tell_strangers(struct session_service *s, struct err *e)
{
    const struct session_numbers *on_disk = &s->walk.on_disk;
    uint64_t first = UINT64_MAX, last = 0;
    size_t nknown, strangers = 0;
    uint64_t *all = known(s, &nknown);

    if (all == NULL)
        return err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
    for (size_t i = 0; i < on_disk->n; i++) {
        uint64_t number = on_disk->numbers[i];

        if (bsearch(&number, all, nknown, sizeof *all, compare) != NULL)
            continue;
        strangers++;
        first = number < first ? number : first;
        last = number > last ? number : last;
    }
    free(all);
    if (strangers > 0)
        log_event(LOG_WARNING, "workspaces.unknown", LOG_INT("images", (int64_t)strangers),
                  LOG_INT("first", (int64_t)first), LOG_INT("last", (int64_t)last),
                  LOG_STR("advice", "this database did not make them, so they are kept: put the "
                                    "database back that did, or remove workspaces/NUMBER.img "
                                    "(docs/operations.md)"));
    return 0;
}

/* -- what is left to remove -------------------------------------------------------------------- */

/* One after the other, so that who falls asleep or is deleted does not wait for all of them. */
static void drop_next(void *data)
{
    struct session_service *s = data;
    struct session_numbers *left = &s->walk.unnamed;

    if (left->n > 0)
        workspace_drop(s, left->numbers[--left->n], drop_next, s);
}

int session_walk_start(struct session_service *s, struct err *e)
{
    size_t n;

    if (store_workspaces_above(s->store, s->walk.highest, e) < 0 ||
        store_workspaces_unnamed(s->store, note_unnamed, s, e) < 0 || tell_strangers(s, e) < 0)
        return -1;
    n = s->walk.unnamed.n;
    if (n > 0)
        log_event(LOG_INFO, "workspaces.unfinished", LOG_INT("workspaces", (int64_t)n));
    drop_next(s);
    return 0;
}
