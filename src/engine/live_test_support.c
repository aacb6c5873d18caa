/* live_test_support: plays the init of a session's sandbox. */
#include "engine/live_test_support.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

int setup_played(void **state)
{
    struct played *s = calloc(1, sizeof *s);

    assert_int_equal(setup((void **)&s->x), 0);
    s->init = s->mount = -1;
    *state = s;
    return 0;
}

static void close_heard(struct played *s)
{
    for (size_t i = 0; i < s->nfds; i++)
        fd_close(&s->fds[i]);
    s->nfds = 0;
}

int teardown_played(void **state)
{
    struct played *s = *state;

    teardown((void **)&s->x);
    close_heard(s);
    fd_close(&s->init);
    fd_close(&s->mount);
    free(s);
    return 0;
}

/* -- the owner --------------------------------------------------------------------------------- */

static void on_up(void *data)
{
    struct played *s = data;

    s->nup++;
}

static void on_lost(void *data, const struct err *e)
{
    struct played *s = data;

    s->nlost++;
    s->lost = *e;
}

static void on_live_closed(void *data, uint64_t bytes)
{
    struct played *s = data;

    s->nclosed++;
    s->bytes = bytes;
    s->live = NULL;
}

void open_live(struct played *s, struct live_config config)
{
    config.on_up = on_up;
    config.on_lost = on_lost;
    config.data = s;
    s->live = live_open(s->x->engine, &config, NULL);
    assert_non_null(s->live);
}

void close_live(struct played *s)
{
    live_close(s->live, on_live_closed, s);
    assert_int_equal(s->nclosed, 0);
    turn(s->x);
}

static void on_start(void *data, uint32_t pid)
{
    struct played *s = data;

    s->nstarts++;
    s->pid = pid;
}

static void on_output(void *data, int stream, const char *bytes, size_t len)
{
    struct played *s = data;

    strncat(stream == 1 ? s->out : s->err, bytes, len);
}

static void on_end(void *data, const struct process_result *result)
{
    struct played *s = data;

    s->nends++;
    s->result = *result;
    if (result->error != NULL)
        snprintf(s->error, sizeof s->error, "%s", result->error);
}

static void on_writable(void *data)
{
    struct played *s = data;

    s->nwritable++;
}

struct process_spec a_program(uint32_t id)
{
    static const char *const argv[] = {"sh", "-c", "true", NULL};
    static const char *const env[] = {"A=1", NULL};

    return (struct process_spec){.id = id, .argv = argv, .env = env};
}

struct process *start_process(struct played *s, const struct process_spec *spec)
{
    const struct process_events events = {.on_start = on_start,
                                          .on_output = on_output,
                                          .on_end = on_end,
                                          .on_writable = on_writable,
                                          .data = s};
    struct process *p = process_start(s->live, spec, &events, NULL);

    assert_non_null(p);
    return p;
}

static void on_frame(void *data, const struct file_message *m)
{
    struct played *s = data;

    s->nframes++;
    s->last = *m;
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
    struct played *s = data;

    strncat(s->bytes_read, bytes, len);
}

static void on_call_end(void *data, const struct file_end *end, const char *text)
{
    struct played *s = data;

    s->ncalls_ended++;
    s->end = *end;
    snprintf(s->text, sizeof s->text, "%s", text);
}

struct file_call *start_call(struct played *s, uint32_t op)
{
    const struct session_file what = {.op = op};
    const struct file_call_events events = {.on_frame = on_frame,
                                            .on_bytes = on_bytes,
                                            .on_writable = on_writable,
                                            .on_end = on_call_end,
                                            .data = s};
    struct file_call *c = file_call_start(s->live, &what, "a/b", NULL, &events, NULL);

    assert_non_null(c);
    return c;
}

/* -- init -------------------------------------------------------------------------------------- */

void greet_live(struct played *s)
{
    char frame[FRAME_HEADER + sizeof(struct frame_session)];
    int fds[2] = {-1, -1};
    size_t nfds = 0;

    turn(s->x);
    assert_int_equal(
        fd_recv(s->x->boxes[s->slot].control, frame, sizeof frame, fds, 2, &nfds, NULL),
        sizeof frame);
    fd_close(&s->init);
    fd_close(&s->mount);
    s->init = fds[0];
    s->mount = nfds == 2 ? fds[1] : -1;
    fd_set_nonblock(s->init, NULL);
}

void bring_up(struct played *s)
{
    open_live(s, (struct live_config){.workspace = 0});
    s->slot = make_box(s->x, 0, SPAWN_COLD);
    reply_start(s->x, s->slot);
    greet_live(s);
    say_op(s, SESSION_UP, 0, NULL, 0, NULL);
    assert_int_equal(s->nup, 1);
}

struct session_head hear_op(struct played *s, uint32_t op)
{
    struct session_head head = {0};
    ssize_t n;

    close_heard(s);
    turn(s->x);
    n = fd_recv(s->init, s->heard, sizeof s->heard, s->fds, SESSION_FDS_MAX, &s->nfds, NULL);
    assert_true(n >= (ssize_t)sizeof head);
    s->len = (size_t)n;
    memcpy(&head, s->heard, sizeof head);
    assert_int_equal(head.op, op);
    return head;
}

void hear_no_op(struct played *s)
{
    char byte;

    turn(s->x);
    assert_int_equal(recv(s->init, &byte, 1, MSG_PEEK), -1);
}

void say_op(struct played *s, uint32_t op, uint32_t id, const void *fixed, size_t len,
            const char *text)
{
    struct session_head head = {.op = op, .id = id};
    char m[512];
    size_t n = text != NULL ? strlen(text) : 0;

    memcpy(m, &head, sizeof head);
    if (len > 0)
        memcpy(m + sizeof head, fixed, len);
    if (n > 0)
        memcpy(m + sizeof head + len, text, n);
    n += sizeof head + len;
    assert_int_equal(send(s->init, m, n, 0), n);
    turn(s->x);
}

void say_ended(struct played *s, uint32_t id, int wait_status)
{
    const struct session_ended ended = {.wait_status = wait_status, .cpu_us = 3, .wall_us = 4};

    say_op(s, SESSION_ENDED, id, &ended, sizeof ended, NULL);
}

void end_init(struct played *s)
{
    fd_close(&s->init);
    fd_close(&s->x->boxes[s->slot].control);
    turn(s->x);
}
