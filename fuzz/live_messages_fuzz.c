/* sources: src/engine/engine.c src/engine/feed.c src/engine/file_call.c src/engine/file_reader.c
 * src/engine/language.c src/engine/launch.c src/engine/launch_config.c src/engine/layer.c
 * src/engine/live.c src/engine/live_session.c src/engine/live_test_support.c src/engine/nest.c
 * src/engine/nest_test_support.c src/engine/pool.c src/engine/process.c
 * src/engine/process_message.c src/engine/process_start.c src/engine/reader.c src/engine/run.c
 * src/engine/running.c src/engine/sandbox.c src/engine/spare.c src/engine/spawner_client.c
 * src/engine/stream.c src/wire/frame.c src/wire/session.c src/wire/session_file.c src/base/buf.c
 * src/base/clock.c src/base/err.c src/base/fd.c src/base/log.c src/base/str.c */
/* libs: libuv jansson cmocka */
/* longest: 512 */
/* share: 6 */
/* Fuzzes the server's side of a session between an owner, who starts programs and calls on files,
 * and an init that has been taken over: whatever it says and whenever, each program and each call
 * is told its end exactly once, the session ends, and no descriptor or memory is lost.
 *
 * The input is a list of steps, each a byte and what it needs. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"
#include "engine/live_test_support.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { THINGS_MAX = 6, FDS_KEPT = 32, FDS_SEEN = 256, SAID_MAX = 200, STEPS_MAX = 24 };

struct input {
    const uint8_t *data;
    size_t len;
};

static int kept[FDS_KEPT]; /* what init was given */
static size_t nkept;
static int nprograms, ncalls;

/* Whom turn() leaves time is this process itself. */
int usleep(useconds_t us)
{
    return 0;
}

static uint8_t take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static size_t take_bytes(struct input *in, void *out, size_t len)
{
    size_t n = in->len < len ? in->len : len;

    memcpy(out, in->data, n);
    in->data += n;
    in->len -= n;
    return n;
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < FDS_SEEN; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Takes what the server has said, and keeps the descriptors. */
static void hear_all(struct played *s)
{
    size_t nfds = 0;

    turn(s->x);
    while (s->init >= 0 && nkept + SESSION_FDS_MAX <= FDS_KEPT &&
           fd_recv(s->init, s->heard, sizeof s->heard, kept + nkept, SESSION_FDS_MAX, &nfds, NULL) >
               0)
        nkept += nfds;
}

static void begin(struct played *s, uint8_t choice)
{
    if (s->nlost > 0 || s->init < 0)
        return;
    if (choice % 2 == 0 && nprograms < THINGS_MAX) {
        struct process_spec spec = a_program((uint32_t)++nprograms);

        spec.terminal = choice & 0x10;
        spec.background = choice & 0x20;
        spec.is_python = choice & 0x40;
        start_process(s, &spec);
    } else if (ncalls < THINGS_MAX) {
        ncalls++;
        start_call(s, 1 + choice / 2 % FILE_USAGE);
    }
}

/* Something of init's: most often a message that could be right. */
static void say(struct played *s, struct input *in, uint8_t choice)
{
    static const uint8_t sizes[] = {0,
                                    sizeof(struct session_started),
                                    0,
                                    sizeof(struct session_started),
                                    sizeof(struct session_ended),
                                    0,
                                    0,
                                    0};
    uint8_t kind = choice % 8;
    struct session_head head = {.op = SESSION_UP + kind, .id = take_byte(in) % (THINGS_MAX + 2)};
    char m[sizeof head + SAID_MAX] = {0};
    size_t n = choice & 0x80 ? take_byte(in) % SAID_MAX : sizes[kind];

    memcpy(m, &head, sizeof head);
    take_bytes(in, m + sizeof head, n);
    if (s->init >= 0)
        (void)!send(s->init, m, sizeof head + n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Bytes through something that it was given: a file call's stream, an output, a terminal. */
static void write_kept(struct input *in, uint8_t choice)
{
    char bytes[SAID_MAX];
    size_t n = take_bytes(in, bytes, take_byte(in) % SAID_MAX);

    if (nkept > 0 && kept[choice % nkept] >= 0)
        (void)!write(kept[choice % nkept], bytes, n);
}

static void take_step(struct played *s, struct input *in)
{
    uint8_t step = take_byte(in), choice = take_byte(in);

    switch (step % 8) {
    case 0:
    case 1:
        begin(s, choice);
        break;
    case 2:
    case 3:
    case 4:
        say(s, in, choice);
        break;
    case 5:
        write_kept(in, choice);
        break;
    case 6:
        if (nkept > 0)
            fd_close(&kept[choice % nkept]);
        break;
    default:
        if (choice % 8 == 0)
            fd_close(&s->init);
    }
    hear_all(s);
}

static void on_closed_at_last(void *data, uint64_t bytes)
{
    struct played *s = data;

    s->live = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct played *s = NULL;
    static uv_loop_t first; /* libuv keeps two descriptors for all loops */
    int before;

    if (first.data == NULL) {
        CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        CHECK(uv_loop_init(&first) == 0);
        first.data = &first;
    }
    before = count_open();
    nkept = 0;
    nprograms = ncalls = 0;
    CHECK(setup_played((void **)&s) == 0);
    bring_up(s);
    for (int i = 0; in.len > 0 && i < STEPS_MAX; i++)
        take_step(s, &in);
    CHECK(s->nlost <= 1 && s->nup == 1);
    CHECK(s->nends <= nprograms && s->ncalls_ended <= ncalls);
    live_close(s->live, on_closed_at_last, s);
    for (size_t i = 0; i < nkept; i++)
        fd_close(&kept[i]);
    end_init(s);
    CHECK(s->nends == nprograms && s->ncalls_ended == ncalls);
    teardown_played((void **)&s);
    CHECK(count_open() == before);
    return 0;
}
