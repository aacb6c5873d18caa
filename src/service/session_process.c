/* session_process: the registry of processes in sessions, and who listens to them.
 *
 * Runs in the server, on the loop.  Output is hostile bytes that are kept and handed on, never
 * looked at.  A record is reachable through its session until it is forgotten; its memory stays
 * while somebody listens.
 *
 * Commands in sessions take none of the slots of /execute (service/admission.h), whose queue is for
 * runs that each bring a sandbox of their own.  Memory stays bounded without it: a session has one
 * sandbox with one limit on memory and on processes for everything in it, SESSION_LIVE_LIMIT
 * sessions are awake, fewer when the machine runs short (session_relieve), a session has
 * LIMIT_SESSION_PROCESSES processes and LIMIT_PROCESSES_KEPT records, and the output that is kept
 * of all of them is LIMIT_OUTPUT_KEPT. */
#include "service/session_process.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "service/session_internal.h"
#include "service/session_output.h"

#define NAME_MAX_BYTES 1024
#define KEEP_SHORT     (64u << 10) /* bytes of a stream that are kept when all together are many */

#define TELL_MORE     (1u << 0)
#define TELL_WRITABLE (1u << 1)

struct listener {
    struct output_reader reader; /* first: a reader is cast to its listener */
    struct session_process *process;
    struct listener_events events;
    unsigned pending; /* TELL_... */
};

struct session_process {
    struct session_service *service;
    struct session *session; /* NULL: forgotten */
    struct session_process *prev, *next;
    struct session_process *ended_prev, *ended_next; /* in order of their end */
    struct session_process *notify_next;
    struct session_visit *visit;
    struct process *process; /* NULL: ended */
    struct session_output output;
    struct session_process_view view; /* but offset, first, listeners */
    char *name, *error;
    uint64_t ended_us;
    uint32_t nlisteners, busy; /* busy: somebody is being told */
    bool is_paused, in_notify;
};

/* -- memory ------------------------------------------------------------------------------------ */

static void free_if_unused(struct session_process *p)
{
    if (p->session != NULL || p->nlisteners > 0 || p->busy > 0)
        return;
    p->service->output_kept -= output_kept(&p->output);
    output_finish(&p->output);
    free(p->name);
    free(p->error);
    free(p);
}

static void remove_from_ended(struct session_process *p)
{
    struct session_service *s = p->service;

    *(p->ended_prev != NULL ? &p->ended_prev->ended_next : &s->ended_first) = p->ended_next;
    *(p->ended_next != NULL ? &p->ended_next->ended_prev : &s->ended_last) = p->ended_prev;
}

static void unlink_process(struct session *session, struct session_process *p)
{
    *(p->prev != NULL ? &p->prev->next : &session->processes) = p->next;
    *(p->next != NULL ? &p->next->prev : &session->processes_last) = p->prev;
    session->nprocesses--;
    session->output_kept -= output_kept(&p->output);
    if (p->view.ended)
        remove_from_ended(p);
    p->session = NULL;
}

void session_process_forget(struct session_process *p)
{
    if (p->session == NULL || !p->view.ended)
        return;
    unlink_process(p->session, p);
    free_if_unused(p);
}

void session_processes_forget(struct session *session)
{
    struct session_process *p;

    while ((p = session->processes) != NULL) {
        unlink_process(session, p);
        free_if_unused(p);
    }
}

void session_processes_expire(struct session_service *s)
{
    uint64_t now = clock_now_us();

    while (s->ended_first != NULL &&
           now - s->ended_first->ended_us >= UINT64_C(1000000) * PROCESS_KEPT_S)
        session_process_forget(s->ended_first);
}

/* What is kept of its output was so much before. */
static void count_kept(struct session_process *p, size_t before)
{
    size_t now = output_kept(&p->output);

    p->service->output_kept += now - before;
    if (p->session != NULL)
        p->session->output_kept += now - before;
}

static void shorten(struct session_process *p)
{
    size_t before = output_kept(&p->output);

    output_trim(&p->output, KEEP_SHORT);
    count_kept(p, before);
}

static struct session *find_largest(const struct session_service *s)
{
    struct session *found = s->first;

    for (struct session *one = s->first; one != NULL; one = one->next) {
        if (one->output_kept > found->output_kept)
            found = one;
    }
    return found;
}

/* Makes a session keep less: of those that have ended and that nobody reads the oldest goes, else
 * all are shortened.  False: there was nothing to take. */
static bool take_from(struct session *session)
{
    size_t before = session->output_kept;

    for (struct session_process *p = session->processes; p != NULL; p = p->next) {
        if (p->view.ended && p->nlisteners == 0 && output_kept(&p->output) > 0) {
            session_process_forget(p);
            return true;
        }
    }
    for (struct session_process *p = session->processes; p != NULL; p = p->next)
        shorten(p);
    return session->output_kept < before;
}

/* The session that keeps most makes room, so that what one writes never costs others theirs. */
static void note_kept(struct session_process *p, size_t before)
{
    struct session_service *s = p->service;
    struct session *largest;

    count_kept(p, before);
    while (s->output_kept > LIMIT_OUTPUT_KEPT && (largest = find_largest(s)) != NULL &&
           take_from(largest))
        ;
    if (s->output_kept > LIMIT_OUTPUT_KEPT)
        shorten(p);
}

/* -- telling listeners ------------------------------------------------------------------------- */

static struct listener *next_pending(const struct session_process *p)
{
    struct output_reader *r = p->output.readers;

    while (r != NULL && ((struct listener *)r)->pending == 0)
        r = r->next;
    return (struct listener *)r;
}

/* Whoever is told may close any of them: look anew after each. */
static void tell_pending(struct session_process *p)
{
    struct listener *l;

    p->busy++;
    while ((l = next_pending(p)) != NULL) {
        unsigned pending = l->pending;

        if (pending & TELL_MORE) {
            l->pending &= ~TELL_MORE;
            l->events.on_more(l->events.data);
        } else {
            l->pending = 0;
            if (l->events.on_writable != NULL)
                l->events.on_writable(l->events.data);
        }
    }
    p->busy--;
    free_if_unused(p);
}

static void tell(struct session_process *p, unsigned what)
{
    for (struct output_reader *r = p->output.readers; r != NULL; r = r->next)
        ((struct listener *)r)->pending |= what;
    tell_pending(p);
}

void session_processes_notify(struct session_service *s)
{
    struct session_process *p;

    while ((p = s->notify) != NULL) {
        s->notify = p->notify_next;
        p->in_notify = false;
        p->busy--;
        tell_pending(p);
    }
}

void session_processes_finish(struct session_service *s)
{
    struct session_process *p;

    while ((p = s->notify) != NULL) {
        s->notify = p->notify_next;
        p->in_notify = false;
        p->busy--;
        free_if_unused(p);
    }
}

static void tell_soon(struct listener *l)
{
    struct session_process *p = l->process;

    l->pending |= TELL_MORE;
    if (p->in_notify)
        return;
    p->in_notify = true;
    p->busy++;
    p->notify_next = p->service->notify;
    p->service->notify = p;
    session_soon(p->service);
}

/* -- what the process says --------------------------------------------------------------------- */

static void on_start(void *data, uint32_t pid)
{
    struct session_process *p = data;

    p->view.pid = pid;
    tell(p, TELL_MORE);
}

/* How far behind those are that the process waits for. */
static uint64_t worst_lag(const struct session_process *p)
{
    uint64_t worst = 0;

    for (const struct output_reader *r = p->output.readers; r != NULL; r = r->next) {
        uint64_t lag = r->holds ? output_lag(&p->output, r) : 0;

        worst = lag > worst ? lag : worst;
    }
    return worst;
}

static void set_pace(struct session_process *p)
{
    uint64_t lag;

    if (p->process == NULL)
        return;
    lag = worst_lag(p);
    if (p->is_paused ? lag > LIMIT_STREAM_LAG / 2 : lag < LIMIT_STREAM_LAG)
        return;
    p->is_paused = !p->is_paused;
    process_pause(p->process, p->is_paused);
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct session_process *p = data;
    size_t before = output_kept(&p->output);

    output_append(&p->output, stream - 1, bytes, len);
    note_kept(p, before);
    set_pace(p);
    tell(p, TELL_MORE);
}

static void on_writable(void *data)
{
    tell(data, TELL_WRITABLE);
}

static void on_end(void *data, const struct process_result *result)
{
    struct session_process *p = data;
    struct session_service *s = p->service;
    struct session_visit *visit = p->visit;

    p->process = NULL;
    p->visit = NULL;
    p->view.ended = true;
    p->view.ended_ms = session_now_ms(s);
    p->view.result = *result;
    if (result->error != NULL) {
        p->error = strdup(result->error);
        p->view.result.error = p->error != NULL ? p->error : "it could not be started";
    }
    output_settle(&p->output);
    p->ended_us = clock_now_us();
    p->ended_next = NULL;
    p->ended_prev = s->ended_last;
    *(s->ended_last != NULL ? &s->ended_last->ended_next : &s->ended_first) = p;
    s->ended_last = p;
    p->session->running--;
    p->session->terminals -= p->view.terminal;
    p->busy++;
    session_left(visit); /* a session that is deleted may go with it */
    p->busy--;
    tell(p, TELL_MORE);
}

/* -- starting ---------------------------------------------------------------------------------- */

static int check_room(struct session *session, const struct process_spec *spec, struct err *e)
{
    struct session_process *oldest = session->processes;

    if (session->running >= LIMIT_SESSION_PROCESSES)
        return err_set(e, ERR_LIMIT, 0, "%u processes are in progress in session '%.128s' already",
                       session->running, session->record.id);
    if (spec->terminal && session->terminals >= LIMIT_SESSION_TERMINALS)
        return err_set(e, ERR_LIMIT, 0, "session '%.128s' has %u terminals already",
                       session->record.id, session->terminals);
    if (session->nprocesses < LIMIT_PROCESSES_KEPT)
        return 0;
    while (!oldest->view.ended) /* there are more records than may be in progress */
        oldest = oldest->next;
    session_process_forget(oldest);
    return 0;
}

static char *short_name(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES);

    return strndup(name, utf8_valid_prefix(name, len, NULL));
}

static void link_process(struct session_process *p)
{
    struct session *session = p->session;

    p->prev = session->processes_last;
    *(session->processes_last != NULL ? &session->processes_last->next : &session->processes) = p;
    session->processes_last = p;
    session->nprocesses++;
}

static struct session_process *new_process(struct session *session, const struct process_spec *spec,
                                           const char *name, uint32_t keep)
{
    struct session_process *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->service = session->service;
    p->session = session;
    p->name = short_name(name);
    output_init(&p->output, keep < LIMIT_PROCESS_OUTPUT ? keep : LIMIT_PROCESS_OUTPUT);
    p->view = (struct session_process_view){.id = spec->id,
                                            .name = p->name,
                                            .terminal = spec->terminal,
                                            .background = spec->background,
                                            .started_ms = session_now_ms(p->service),
                                            .rows = spec->rows,
                                            .columns = spec->columns};
    if (p->name != NULL)
        return p;
    free(p);
    return NULL;
}

struct session_process *session_process_start(struct session_visit *v, struct process_spec *spec,
                                              const char *name, uint32_t keep, struct err *e)
{
    struct session *session = v->session;
    struct live *live = session_visit_live(v);
    struct process_events events = {
        .on_start = on_start, .on_output = on_output, .on_end = on_end, .on_writable = on_writable};
    struct session_process *p;

    if (live == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "the sandbox of session '%.128s' has ended",
                session->record.id);
        return NULL;
    }
    if (check_room(session, spec, e) < 0)
        return NULL;
    spec->id = session_process_id(session);
    p = new_process(session, spec, name, keep);
    if (p == NULL) {
        err_set(e, ERR_UNAVAILABLE, 0, "out of memory");
        return NULL;
    }
    link_process(p);
    events.data = p;
    p->process = process_start(live, spec, &events, e);
    if (p->process == NULL) {
        unlink_process(session, p);
        free_if_unused(p);
        return NULL;
    }
    p->visit = v;
    session->running++;
    session->terminals += spec->terminal;
    session_visit_use(v, false);
    return p;
}

/* -- looking ----------------------------------------------------------------------------------- */

struct session_process *session_process_find(struct session *session, uint32_t id)
{
    struct session_process *p = session->processes;

    while (p != NULL && p->view.id != id)
        p = p->next;
    return p;
}

struct session_process *session_process_next(struct session *session,
                                             const struct session_process *after)
{
    return after != NULL ? after->next : session->processes;
}

struct session *session_process_session(const struct session_process *p)
{
    return p->session;
}

void session_process_view(const struct session_process *p, struct session_process_view *ret)
{
    *ret = p->view;
    for (int i = 0; i < 2; i++) {
        ret->offset[i] = p->output.stream[i].total;
        ret->first[i] = output_first(&p->output, i);
    }
    ret->listeners = p->nlisteners;
}

/* -- listening --------------------------------------------------------------------------------- */

struct listener *session_process_listen(struct session_process *p, uint64_t offset_out,
                                        uint64_t offset_err, bool holds,
                                        const struct listener_events *events)
{
    const uint64_t offset[2] = {offset_out, offset_err};
    struct listener *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    *l = (struct listener){.reader.holds = holds, .process = p, .events = *events};
    output_listen(&p->output, &l->reader, offset);
    if (p->nlisteners++ == 0 && p->visit != NULL)
        session_visit_use(p->visit, true);
    if (p->view.ended || p->view.pid != 0 || output_lag(&p->output, &l->reader) > 0)
        tell_soon(l);
    return l;
}

int listener_read(struct listener *l, struct listener_piece *ret)
{
    bool some = output_read(&l->reader, ret);

    if (some)
        set_pace(l->process);
    return some ? 1 : l->process->view.ended ? -1 : 0;
}

void listener_close(struct listener *l)
{
    struct session_process *p = l->process;
    size_t before = output_kept(&p->output);

    output_unlisten(&p->output, &l->reader);
    free(l);
    output_trim(&p->output, p->output.keep);
    count_kept(p, before);
    set_pace(p);
    if (--p->nlisteners == 0 && p->visit != NULL)
        session_visit_use(p->visit, false);
    free_if_unused(p);
}

/* -- acting ------------------------------------------------------------------------------------ */

void session_process_kill(struct session_process *p, int signal, bool group)
{
    if (p->process != NULL)
        process_signal(p->process, signal, group);
}

ssize_t session_process_write(struct session_process *p, const char *bytes, size_t len)
{
    return p->process != NULL ? process_write(p->process, bytes, len) : 0;
}

int session_process_write_last(struct session_process *p, const char *bytes, size_t len)
{
    return p->process != NULL ? process_write_last(p->process, bytes, len) : 0;
}

bool session_process_is_full(const struct session_process *p)
{
    return p->process != NULL && process_is_full(p->process);
}

bool session_process_takes_input(const struct session_process *p)
{
    return p->process != NULL && process_takes_input(p->process);
}

void session_process_resize(struct session_process *p, uint16_t rows, uint16_t columns)
{
    if (p->process == NULL || !p->view.terminal)
        return;
    p->view.rows = rows;
    p->view.columns = columns;
    process_resize(p->process, rows, columns);
}
