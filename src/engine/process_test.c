/* Tests of process, file_call and spare, with an init that does what the test wants. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "engine/internal.h"
#include "engine/live_test_support.h"
#include "engine/process_internal.h"

enum { SPARE = 1u << 31 };

static void say_started(struct played *s, uint32_t id)
{
    const struct session_started started = {.pid = 40 + id};

    say_op(s, SESSION_STARTED, id, &started, sizeof started, NULL);
}

static void close_fds(struct played *s)
{
    for (size_t i = 0; i < s->nfds; i++)
        fd_close(&s->fds[i]);
    turn(s->x);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_program_is_started_heard_and_ends(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct session_exec exec;
    const char *strings[8];
    struct stat st;

    bring_up(s);
    spec.cwd = "src";
    start_process(s, &spec);
    assert_int_equal(hear_op(s, SESSION_EXEC).id, 1);
    memcpy(&exec, s->heard + sizeof(struct session_head), sizeof exec);
    assert_int_equal(exec.nargv, 3);
    assert_int_equal(exec.nenv, 1);
    assert_int_equal(exec.flags, SESSION_FOREGROUND);
    assert_int_equal(session_strings(s->heard + sizeof(struct session_head) + sizeof exec,
                                     s->len - sizeof(struct session_head) - sizeof exec, strings,
                                     8),
                     6);
    assert_string_equal(strings[0], "src");
    assert_string_equal(strings[2], "sh");
    assert_string_equal(strings[5], "A=1");
    assert_int_equal(s->nfds, 3);
    assert_int_equal(fstat(s->fds[1], &st), 0);
    assert_int_equal(st.st_mode & 07777, 0222);
    say_started(s, 1);
    assert_int_equal(s->pid, 41);
    put(s->fds[1], "out");
    put(s->fds[2], "err");
    say_ended(s, 1, 3 << 8);
    assert_int_equal(s->nends, 0);
    close_fds(s);
    assert_int_equal(s->nends, 1);
    assert_string_equal(s->out, "out");
    assert_string_equal(s->err, "err");
    assert_int_equal(s->result.exit_code, 3);
    assert_int_equal(s->result.cpu_us, 3);
    assert_false(s->result.lost || s->result.timed_out);
    assert_int_equal(live_busy(s->live), 0);
    close_live(s);
}

static void a_second_end_costs_the_session(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);

    bring_up(s);
    start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    say_ended(s, 1, 0);
    say_ended(s, 1, 0);
    assert_int_equal(s->nlost, 1);
    assert_int_equal(s->nends, 1);
    assert_false(s->result.lost);
    close_live(s);
}

static void outputs_that_are_held_are_not_waited_for(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);

    bring_up(s);
    start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    put(s->fds[1], "last words");
    say_ended(s, 1, 0);
    for (int i = 0; i < TURNS && s->nends == 0; i++)
        turn(s->x);
    assert_int_equal(s->nends, 1);
    assert_string_equal(s->out, "last words");
    close_live(s);
}

static void what_is_paused_ends_when_it_has_been_read(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;

    bring_up(s);
    p = start_process(s, &spec);
    process_pause(p, true);
    hear_op(s, SESSION_EXEC);
    put(s->fds[1], "later");
    say_ended(s, 1, 0);
    for (int i = 0; i < 30; i++)
        turn(s->x);
    assert_int_equal(s->nends, 0);
    assert_string_equal(s->out, "");
    process_pause(p, false);
    turn(s->x);
    assert_int_equal(s->nends, 1);
    assert_string_equal(s->out, "later");
    close_live(s);
}

static void a_start_that_fails_says_why(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    const struct session_ended ended = {.error = ENOENT};

    bring_up(s);
    start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    say_op(s, SESSION_ENDED, 1, &ended, sizeof ended, "sh: not\tfound");
    close_fds(s);
    assert_string_equal(s->error, "sh: not?found");
    close_live(s);
}

static void a_deadline_kills_all_that_was_started(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct session_signal sig;
    struct process *p;

    bring_up(s);
    spec.timeout_ms = 20;
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    usleep(25000);
    turn(s->x);
    close_fds(s);
    assert_int_equal(hear_op(s, SESSION_SIGNAL).id, 1);
    memcpy(&sig, s->heard + sizeof(struct session_head), sizeof sig);
    assert_int_equal(sig.signal, SIGKILL);
    assert_int_equal(sig.scope, SCOPE_GROUP);
    assert_in_range(uv_timer_get_due_in(&p->timer), 9000, 10000);
    say_ended(s, 1, SIGKILL);
    assert_true(s->result.timed_out);
    assert_int_equal(s->result.signal, SIGKILL);
    close_live(s);
}

/* The dead are taken apart on their own share of the CPU; the session was lost by then. */
static void with_little_cpu_the_dead_have_more_time(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;

    bring_up(s);
    s->live->config.limits.cpu_milli = 10;
    spec.timeout_ms = 20;
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    usleep(25000);
    turn(s->x);
    close_fds(s);
    assert_int_equal(hear_op(s, SESSION_SIGNAL).id, 1);
    assert_in_range(uv_timer_get_due_in(&p->timer), 110000, 120000);
    say_ended(s, 1, SIGKILL);
    assert_true(s->result.timed_out && !s->result.lost);
    close_live(s);
}

static void who_leaves_hears_nothing_more(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;

    bring_up(s);
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    process_leave(p, false);
    put(s->fds[1], "nobody");
    say_started(s, 1);
    assert_int_equal(live_busy(s->live), 1);
    say_ended(s, 1, 0);
    close_fds(s);
    assert_int_equal(s->nends + s->nstarts, 0);
    assert_int_equal(live_busy(s->live), 0);
    close_live(s);
}

static void input_is_written_as_it_is_taken(void **state)
{
    static char big[200000];
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;
    size_t got = 0;
    ssize_t n;

    bring_up(s);
    spec.stdin_open = true;
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    assert_int_equal(process_write(p, "a", 1), 0);
    assert_true(process_write(p, big, sizeof big) > 0);
    assert_int_equal(process_write_last(p, "", 0), 0);
    fd_set_nonblock(s->fds[0], NULL);
    for (int i = 0; i < TURNS && (n = read(s->fds[0], big, sizeof big)) != 0; i++) {
        got += n > 0 ? (size_t)n : 0;
        turn(s->x);
    }
    assert_int_equal(got, sizeof big + 1);
    assert_int_equal(s->nwritable, 1);
    say_ended(s, 1, 0);
    close_fds(s);
    close_live(s);
}

static void input_for_which_there_is_no_room_is_refused_whole(void **state)
{
    static char big[LIMIT_STDIN + 2 * LIMIT_PROCESS_INPUT + (1 << 20)];
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;

    bring_up(s);
    spec.stdin_open = true;
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    assert_int_equal(process_write(p, "a", 1), 0);
    assert_int_equal(process_write(p, big, sizeof big), -1);
    assert_int_equal(process_write_last(p, "b", 1), 0);
    assert_int_equal(read(s->fds[0], big, sizeof big), 2);
    assert_memory_equal(big, "ab", 2);
    say_ended(s, 1, 0);
    close_fds(s);
    close_live(s);
}

static void a_terminal_is_one_socket_both_ways(void **state)
{
    static const char most[LIMIT_STDIN + 2 * LIMIT_PROCESS_INPUT];
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    struct process *p;
    char keys[8];

    bring_up(s);
    spec.terminal = true;
    spec.rows = 24;
    spec.columns = 80;
    spec.stdin_data = "w\r";
    spec.stdin_len = 2;
    p = start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    assert_int_equal(s->nfds, 1);
    turn(s->x);
    assert_int_equal(recv(s->fds[0], keys, sizeof keys, 0), 2);
    assert_int_equal(process_write(p, "ls\r", 3), 0);
    assert_int_equal(recv(s->fds[0], keys, sizeof keys, 0), 3);
    assert_int_equal(process_write_last(p, most, sizeof most), -1); /* no room for the end */
    assert_int_equal(process_write_last(p, "x", 1), 0);
    assert_int_equal(recv(s->fds[0], keys, sizeof keys, 0), 2);
    assert_memory_equal(keys, "x\4", 2);
    put(s->fds[0], "$ ");
    say_ended(s, 1, 0);
    close_fds(s);
    assert_string_equal(s->out, "$ ");
    assert_int_equal(s->nends, 1);
    close_live(s);
}

static void a_script_and_input_travel_as_files_in_memory(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_program(1);
    char bytes[16] = "";

    bring_up(s);
    spec.script = "/tmp/x/main.py";
    spec.script_data = "print()";
    spec.script_len = 7;
    spec.stdin_data = "in";
    spec.stdin_len = 2;
    start_process(s, &spec);
    hear_op(s, SESSION_EXEC);
    assert_int_equal(s->nfds, 4);
    assert_int_equal(read(s->fds[0], bytes, sizeof bytes), 2);
    assert_int_equal(read(s->fds[3], bytes, sizeof bytes), 7);
    assert_string_equal(bytes, "print()");
    assert_int_equal(write(s->fds[3], "x", 1), -1);
    say_ended(s, 1, 0);
    close_fds(s);
    close_live(s);
}

/* -- warm Python ------------------------------------------------------------------------------- */

static struct process_spec a_python(uint32_t id)
{
    static const char *const argv[] = {"python3", "/workspace/main.py", "x", NULL};
    struct process_spec spec = a_program(id);

    spec.argv = argv;
    spec.is_python = true;
    return spec;
}

/* Plays all that brings an interpreter into the session. */
static void bring_interpreter(struct played *s, uint32_t id, int out[2], int err[2])
{
    struct spawn_reply r = {.op = SPAWN_JOIN, .slot = s->slot};
    const struct session_started ready = {.pid = 90};
    int job[2], status[2], fds[SPAWN_JOIN_FDS];

    assert_int_equal(hear_op(s, SESSION_ADMIT).id, id);
    say_op(s, SESSION_ADMITTED, id, NULL, 0, NULL);
    hear(s->x, SPAWN_JOIN, 0);
    assert_int_equal(s->x->req.slot, s->slot);
    assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(status, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, job), 0);
    memcpy(fds, (int[]){out[0], err[0], job[0], status[0]}, sizeof fds);
    assert_int_equal(fd_send(s->x->spawner, &r, sizeof r, fds, SPAWN_JOIN_FDS, NULL), 0);
    close(out[0]);
    close(err[0]);
    close(job[0]);
    close(job[1]);
    close(status[0]);
    close(status[1]);
    assert_int_equal(hear_op(s, SESSION_CHILD).id, id);
    assert_int_equal(s->nfds, 2);
    say_op(s, SESSION_READY, id, &ready, sizeof ready, NULL);
}

static void python_runs_in_a_copy_of_the_zygote(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_python(1);
    int out[2], err[2];

    s->x->engine->nests[0]->pools[SPAWN_WARM].made = true;
    bring_up(s);
    start_process(s, &spec);
    bring_interpreter(s, SPARE | 1, out, err);
    assert_int_equal(hear_op(s, SESSION_RUN).id, SPARE | 1);
    assert_int_equal(s->nfds, 1);
    assert_int_equal(s->nstarts, 1);
    assert_int_equal(s->pid, 90);
    put(out[1], "hello");
    say_ended(s, SPARE | 1, 0);
    close(out[1]);
    close(err[1]);
    turn(s->x);
    assert_int_equal(s->nends, 1);
    assert_true(s->result.warm);
    assert_string_equal(s->out, "hello");
    /* The next one is made ahead, and used. */
    bring_interpreter(s, SPARE | 2, out, err);
    hear_no_op(s);
    spec.id = 2;
    start_process(s, &spec);
    assert_int_equal(hear_op(s, SESSION_RUN).id, SPARE | 2);
    close(out[1]);
    close(err[1]);
    close_live(s);
    assert_int_equal(s->nends, 2);
}

static void python_starts_cold_when_no_copy_comes(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_python(1);
    struct spawn_reply none = {.op = SPAWN_JOIN, .slot = s->slot, .error = EAGAIN};

    s->x->engine->nests[0]->pools[SPAWN_WARM].made = true;
    bring_up(s);
    start_process(s, &spec);
    hear_op(s, SESSION_ADMIT);
    say_op(s, SESSION_ADMITTED, SPARE | 1, NULL, 0, NULL);
    hear(s->x, SPAWN_JOIN, 0);
    none.slot = s->slot;
    reply(s->x, &none);
    assert_int_equal(hear_op(s, SESSION_SIGNAL).id, SPARE | 1);
    assert_int_equal(hear_op(s, SESSION_EXEC).id, 1);
    say_ended(s, SPARE | 1, 0);
    assert_int_equal(s->nlost, 0);
    say_ended(s, 1, 0);
    close_fds(s);
    assert_int_equal(s->nends, 1);
    assert_false(s->result.warm);
    close_live(s);
}

static void python_that_is_ended_while_it_waits_never_starts(void **state)
{
    struct played *s = *state;
    struct process_spec spec = a_python(1);
    struct process *p;

    s->x->engine->nests[0]->pools[SPAWN_WARM].made = true;
    bring_up(s);
    p = start_process(s, &spec);
    process_signal(p, SIGTERM, true);
    turn(s->x);
    assert_int_equal(s->nends, 1);
    assert_int_equal(s->result.signal, SIGTERM);
    hear_op(s, SESSION_ADMIT);
    hear_no_op(s);
    close_live(s);
}

/* -- calls on files ---------------------------------------------------------------------------- */

static void say_frame(int fd, uint32_t type, const void *fixed, size_t len, const char *text)
{
    uint32_t head[2] = {type, (uint32_t)(len + strlen(text))};
    char frame[512];

    memcpy(frame, head, sizeof head);
    memcpy(frame + sizeof head, fixed, len);
    memcpy(frame + sizeof head + len, text, strlen(text));
    assert_int_equal(write(fd, frame, sizeof head + head[1]), sizeof head + head[1]);
}

static void say_end(int fd, int error, const char *text)
{
    const struct file_end end = {.error = error, .bytes = 5};

    say_frame(fd, FILE_END, &end, sizeof end, text);
}

static void a_file_is_read(void **state)
{
    struct played *s = *state;
    const struct file_info info = {.type = TYPE_FILE, .size = 5};
    const struct file_bytes bytes = {.size = 5};

    bring_up(s);
    start_call(s, FILE_READ);
    hear_op(s, SESSION_FILE);
    assert_int_equal(s->nfds, 1);
    say_frame(s->fds[0], FILE_INFO, &info, sizeof info, "a/b");
    turn(s->x);
    assert_int_equal(s->nframes, 1);
    assert_int_equal(s->last.info.size, 5);
    say_frame(s->fds[0], FILE_BYTES, &bytes, sizeof bytes, "");
    put(s->fds[0], "he");
    turn(s->x);
    assert_string_equal(s->bytes_read, "he");
    put(s->fds[0], "llo");
    say_end(s->fds[0], 0, "");
    turn(s->x);
    assert_string_equal(s->bytes_read, "hello");
    assert_int_equal(s->ncalls_ended, 1);
    assert_int_equal(s->end.bytes, 5);
    assert_int_equal(live_busy(s->live), 0);
    close_live(s);
}

static void a_paused_call_hands_nothing_on(void **state)
{
    struct played *s = *state;
    const struct file_bytes bytes = {.size = 2};
    struct file_call *c;

    bring_up(s);
    c = start_call(s, FILE_READ);
    hear_op(s, SESSION_FILE);
    file_call_pause(c, 1);
    say_frame(s->fds[0], FILE_BYTES, &bytes, sizeof bytes, "");
    put(s->fds[0], "ab");
    say_end(s->fds[0], 0, "");
    turn(s->x);
    assert_int_equal(s->nframes + s->ncalls_ended, 0);
    file_call_pause(c, 0);
    turn(s->x);
    assert_string_equal(s->bytes_read, "ab");
    assert_int_equal(s->ncalls_ended, 1);
    close_live(s);
}

static void what_is_written_is_taken_as_there_is_room(void **state)
{
    static char big[1 << 20];
    struct played *s = *state;
    struct file_call *c;
    size_t taken, got = 0;
    ssize_t n = 1;

    bring_up(s);
    c = start_call(s, FILE_WRITE);
    hear_op(s, SESSION_FILE);
    taken = file_call_write(c, big, sizeof big);
    assert_true(taken > 0 && taken < sizeof big);
    fd_set_nonblock(s->fds[0], NULL);
    file_call_finish(c);
    for (int i = 0; i < TURNS && n != 0; i++) {
        n = read(s->fds[0], big, sizeof big);
        got += n > 0 ? (size_t)n : 0;
    }
    turn(s->x);
    assert_int_equal(got, taken);
    assert_int_equal(s->nwritable, 1);
    say_end(s->fds[0], ENOSPC, "full");
    turn(s->x);
    assert_int_equal(s->end.error, ENOSPC);
    assert_string_equal(s->text, "full");
    close_live(s);
}

static void a_call_that_breaks_off_or_lies_ends(void **state)
{
    struct played *s = *state;

    bring_up(s);
    start_call(s, FILE_STAT);
    hear_op(s, SESSION_FILE);
    close_fds(s);
    assert_int_equal(s->ncalls_ended, 1);
    assert_int_equal(s->end.error, EIO);
    start_call(s, FILE_STAT);
    hear_op(s, SESSION_FILE);
    put(s->fds[0], "this is no frame at all");
    turn(s->x);
    assert_int_equal(s->ncalls_ended, 2);
    assert_int_equal(s->end.error, EIO);
    assert_true(live_is_up(s->live));
    close_live(s);
}

static void a_cancelled_call_is_not_heard_of_again(void **state)
{
    struct played *s = *state;
    char byte;

    bring_up(s);
    file_call_cancel(start_call(s, FILE_READ));
    hear_op(s, SESSION_FILE);
    assert_int_equal(read(s->fds[0], &byte, 1), 0);
    assert_int_equal(s->ncalls_ended, 0);
    close_live(s);
}

#define PLAYED(f) cmocka_unit_test_setup_teardown(f, setup_played, teardown_played)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAYED(a_program_is_started_heard_and_ends),
        PLAYED(a_second_end_costs_the_session),
        PLAYED(outputs_that_are_held_are_not_waited_for),
        PLAYED(what_is_paused_ends_when_it_has_been_read),
        PLAYED(a_start_that_fails_says_why),
        PLAYED(a_deadline_kills_all_that_was_started),
        PLAYED(with_little_cpu_the_dead_have_more_time),
        PLAYED(who_leaves_hears_nothing_more),
        PLAYED(input_is_written_as_it_is_taken),
        PLAYED(input_for_which_there_is_no_room_is_refused_whole),
        PLAYED(a_terminal_is_one_socket_both_ways),
        PLAYED(a_script_and_input_travel_as_files_in_memory),
        PLAYED(python_runs_in_a_copy_of_the_zygote),
        PLAYED(python_starts_cold_when_no_copy_comes),
        PLAYED(python_that_is_ended_while_it_waits_never_starts),
        PLAYED(a_file_is_read),
        PLAYED(a_paused_call_hands_nothing_on),
        PLAYED(what_is_written_is_taken_as_there_is_room),
        PLAYED(a_call_that_breaks_off_or_lies_ends),
        PLAYED(a_cancelled_call_is_not_heard_of_again),
    };

    signal(SIGPIPE, SIG_IGN); /* as the server does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
