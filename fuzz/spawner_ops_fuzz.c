/* sources: src/spawner/ops.c src/spawner/slot.c src/spawner/policy.c src/spawner/nest_process.c
 * src/spawner/work.c src/spawner/workspace_orders.c src/spawner/workspace.c
 * src/spawner/workspace_size.c src/spawner/image.c src/spawner/world.c src/spawner/layer.c
 * src/spawner/loop.c src/spawner/idmap.c src/spawner/pidfd.c src/spawner/attach.c
 * src/spawner/linger.c src/spawner/execute.c src/spawner/cgroup.c src/spawner/cgroup_v1.c
 * src/spawner/cgroup_v2.c src/spawner/cgroup_file.c src/enter/stage.c src/base/child.c
 * src/base/fd.c src/base/err.c src/base/clock.c */
/* share: 6 */
/* Fuzzes the root process between a server and nests that have all been taken over: whatever they
 * say and whenever, no slot serves two sandboxes at once, none is free while its group has members,
 * no limit passes its ceiling, no layer is removed from under a nest, no two orders on a workspace
 * are carried out at once, every request has its one reply, and no descriptor is lost.
 *
 * The input is a list of steps, each a byte and what it needs. */
#include <stdint.h>
#include <sys/stat.h>

#include "spawner/attach.h"
#include "spawner/nest_process.h"
#include "spawner/ops.h"
#include "spawner/slot.h"
#include "spawner/test_support.h"
#include "spawner/work.h"
#include "spawner/world.h"
#include "wire/nest.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { SLOTS = 6, NESTS = 4, FDS_SEEN = 192, OPS = SPAWN_WORKSPACE_REMOVE + 1, WORKSPACES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t len;
};

/* What the server believes: which slots it was given and has not seen free since. */
static bool given[SLOTS], closed[SLOTS];
static uint32_t renewed[SLOTS]; /* when it was given */
static uint32_t last_built;     /* the slot a nest was last told to build in, */
static uint32_t builder;        /* and that nest */
static int owed[OPS];           /* replies */
static char stage[] = "/tmp/dunlin-fuzz.XXXXXX";

static uint8_t take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static void take_bytes(struct input *in, void *out, size_t len)
{
    size_t n = in->len < len ? in->len : len;

    memset(out, 0, len);
    memcpy(out, in->data, n);
    in->data += n;
    in->len -= n;
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < FDS_SEEN; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* -- the server -------------------------------------------------------------------------------- */

static void on_reply(const struct spawn_reply *reply, size_t nfds)
{
    CHECK(reply->op < OPS && owed[reply->op]-- > 0);
    if (reply->op == SPAWN_START && reply->error == ERANGE)
        CHECK(reply->slot < SLOTS);
    if (reply->op == SPAWN_JOIN && reply->error == 0) {
        CHECK(nfds == SPAWN_JOIN_FDS && test_spawner.slots[reply->slot].lent);
        return;
    }
    if (reply->op != SPAWN_OPEN || reply->error != 0) {
        CHECK(nfds == 0);
        return;
    }
    CHECK(nfds == SPAWN_OPEN_FDS && reply->slot < SLOTS && !given[reply->slot]);
    given[reply->slot] = true;
    closed[reply->slot] = false;
    renewed[reply->slot] = test_groups[reply->slot].renewed;
}

static void hear_replies(void)
{
    struct spawn_reply reply;
    int fds[SPAWN_FDS_MAX];
    size_t nfds;

    fd_set_nonblock(test_server, NULL);
    while (fd_recv(test_server, &reply, sizeof reply, fds, SPAWN_FDS_MAX, &nfds, NULL) ==
           sizeof reply) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        on_reply(&reply, nfds);
    }
}

static int ask(const void *req, size_t len)
{
    struct spawn_request copy;

    CHECK(send(test_server, req, len, 0) == (ssize_t)len);
    if (ops_serve(&test_spawner) < 0)
        return -1;
    CHECK(len == sizeof copy);
    memcpy(&copy, req, sizeof copy);
    owed[copy.op] += copy.op != SPAWN_CLOSE;
    if (copy.op == SPAWN_CLOSE) {
        CHECK(copy.slot < SLOTS && given[copy.slot] && !closed[copy.slot]);
        closed[copy.slot] = true;
    }
    return 0;
}

static int ask_anything(struct input *in)
{
    char bytes[sizeof(struct spawn_request) + 1];
    size_t len = take_byte(in) % 8 == 0 ? sizeof bytes : sizeof(struct spawn_request);

    take_bytes(in, bytes, len);
    return ask(bytes, len);
}

static int ask_sensibly(struct input *in)
{
    struct spawn_request req = {.op = take_byte(in) % 5u + SPAWN_OPEN,
                                .slot = take_byte(in) % SLOTS,
                                .nest = take_byte(in) % NESTS,
                                .kind = take_byte(in) & 1u,
                                .network = take_byte(in) % 3,
                                .limits = {.memory_mb = take_byte(in) * 8u,
                                           .cpu_milli = take_byte(in) * 16u,
                                           .processes = take_byte(in) * 2u}};

    return ask(&req, sizeof req);
}

static int ask_about_layers(struct input *in)
{
    struct spawn_request req = {.op = take_byte(in) % 6u + SPAWN_NEST_OPEN,
                                .nest = take_byte(in) % NESTS,
                                .layer = take_byte(in) % 4,
                                .kind = take_byte(in) % 2};
    bool is_run = req.kind == 0;

    req.make = (struct spawn_nest){.kind = is_run ? SPAWN_NEST_RUN : SPAWN_NEST_BUILD,
                                   .network = take_byte(in) % 2,
                                   .nlayers = 1 + take_byte(in) % 2u,
                                   .layers = {1, 2},
                                   .target = is_run ? 0 : 3,
                                   .target_mb = is_run ? 0 : 1};
    return ask(&req, sizeof req);
}

static int ask_about_workspaces(struct input *in)
{
    uint8_t choice = take_byte(in);
    struct spawn_request req = {.op = choice % (OPS - SPAWN_JOIN) + SPAWN_JOIN,
                                .slot = take_byte(in) % SLOTS,
                                .layer = 1 + (choice >> 4) % WORKSPACES,
                                .bytes = (uint64_t)take_byte(in) << 13};

    if (req.op == SPAWN_WORKSPACE_COPY)
        req.other = 1 + take_byte(in) % WORKSPACES;
    return ask(&req, sizeof req);
}

/* -- the workers and the network ----------------------------------------------------------------
 */

static void check_removal(void)
{
    for (uint32_t n = 1; n < NESTS; n++) {
        const struct nest_process *nest = &test_spawner.nests[n];

        if (nest->state != NEST_UP && nest->state != NEST_CLOSING)
            continue;
        for (uint32_t i = 0; i < nest->make.nlayers; i++)
            CHECK(nest->make.layers[i] != test_work.reply.layer);
    }
}

static int finish_work(uint8_t choice)
{
    if (test_spawner.lanes[LANE_LAYERS].pid == 0)
        return 0;
    if (test_work.reply.op == SPAWN_LAYER_REMOVE)
        check_removal();
    test_worker_fails = choice % 8 == 7;
    test_birth_fails = choice % 8 == 6;
    test_result.error = choice & 0x10 ? EIO : 0;
    test_result.made_target = choice & 0x20;
    test_result.value = choice;
    return work_done(&test_spawner, LANE_LAYERS);
}

/* Of several orders that are begun no two are about the same workspace, and what is worked on is
 * worked on as it was when the order was begun. */
static void check_orders(void)
{
    const struct workspaces *all = &test_spawner.workspaces;

    for (uint32_t a = LANE_WAKE; a < LANES; a++) {
        const struct work *w = &test_works[a];

        for (uint32_t b = a + 1; b < LANES && test_spawner.lanes[a].pid > 0; b++) {
            const struct work *v = &test_works[b];

            if (test_spawner.lanes[b].pid == 0)
                continue;
            CHECK(w->reply.layer != v->reply.layer && w->reply.layer != v->other);
            CHECK(w->other == 0 || (w->other != v->reply.layer && w->other != v->other));
        }
    }
    for (uint32_t i = 0; i < all->count; i++) {
        CHECK(all->open[i] != 0 && all->open[i] < SPAWN_NUMBER);
        for (uint32_t j = 0; j < i; j++)
            CHECK(all->open[i] != all->open[j]);
    }
}

static int finish_order(uint8_t choice)
{
    enum lane lane = LANE_WAKE + choice % 3;
    struct work_result *result = &test_results[lane];

    if (test_spawner.lanes[lane].pid == 0)
        return 0;
    test_worker_fails = choice % 8 == 7;
    result->error = choice & 0x30 ? EIO : 0;
    result->lost = choice & 0x20;
    result->value = choice;
    return work_done(&test_spawner, lane);
}

static int answer_about_links(uint8_t choice)
{
    test_network_works = choice % 4 != 0;
    test_link_error = choice & 0x10 ? EMFILE : 0;
    return attach_read(&test_spawner);
}

/* -- the nest ---------------------------------------------------------------------------------- */

static void hear_requests_of(uint32_t nest, int sock)
{
    int fds[NEST_BUILD_FDS(NEST_GROUPS_MAX)];
    struct nest_request req;
    size_t nfds;

    while (fd_recv(sock, &req, sizeof req, fds, NEST_BUILD_FDS(NEST_GROUPS_MAX), &nfds, NULL) ==
           sizeof req) {
        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        CHECK(nfds == (req.op == NEST_BUILD  ? NEST_BUILD_FDS(req.groups)
                       : req.op == NEST_JOIN ? NEST_JOIN_FDS(req.groups)
                                             : 0));
        if (req.op == NEST_BUILD)
            last_built = req.slot;
        if (req.op == NEST_BUILD)
            builder = nest;
    }
}

static void hear_requests(void)
{
    hear_requests_of(0, test_nest);
    for (uint32_t n = 1; n < NESTS; n++) {
        if (test_socks[n] > 0)
            hear_requests_of(n, test_socks[n]);
    }
}

/* Descriptors as a nest may send them: something that can be watched, and something that cannot. */
static size_t make_descriptors(uint8_t choice, int fds[static 2])
{
    size_t n = choice % 4 == 3 ? 2 : choice % 4 == 2 ? 0 : 1;

    for (size_t i = 0; i < n; i++)
        fds[i] = choice & 0x10 ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC) : dup(test_server);
    return n;
}

static void answer(const void *reply, size_t len, uint8_t choice)
{
    uint32_t n = choice & 0x04 ? builder : choice % NESTS;
    int fds[2] = {-1, -1}, sock = n == 0 ? test_nest : test_socks[n];
    size_t nfds = make_descriptors(choice, fds);

    if (sock > 0)
        fd_send(sock, reply, len, fds, nfds, NULL);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    if (test_spawner.nests[n].sock >= 0)
        nest_process_read(&test_spawner, n);
}

static void answer_anything(struct input *in)
{
    char bytes[sizeof(struct nest_reply) + 1];
    uint8_t choice = take_byte(in);
    size_t len = choice & 0x20 ? sizeof bytes : sizeof(struct nest_reply);

    take_bytes(in, bytes, len);
    answer(bytes, len, choice);
}

static void answer_sensibly(struct input *in)
{
    uint8_t choice = take_byte(in);
    struct nest_reply reply = {.op = choice & 0x80 ? NEST_PING : NEST_BUILD,
                               .slot = choice & 0x40 ? take_byte(in) % SLOTS : last_built,
                               .error = choice % 4 == 2 ? ENOMEM : 0};

    answer(&reply, sizeof reply, choice);
}

static void restart_nest(void)
{
    int pair[2];

    nest_process_died(&test_spawner, 0);
    fd_close(&test_nest);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    test_spawner.nests[0].sock = pair[0];
    test_spawner.nests[0].pid = 1;
    test_nest = pair[1];
}

/* -- what must hold ---------------------------------------------------------------------------- */

static void check_slot(uint32_t i)
{
    const struct slot *slot = &test_spawner.slots[i];
    const struct spawn_limits *l = &test_groups[i].limits, *c = &test_spawner.config.ceilings;

    CHECK((slot->pidfd >= 0) == (slot->state == SLOT_OPEN));
    CHECK(l->memory_mb <= c->memory_mb && l->cpu_milli <= c->cpu_milli);
    CHECK(l->processes <= c->processes);
    if (slot->state == SLOT_DRAINING)
        CHECK(closed[i]);
    CHECK(!slot->starting || slot->state == SLOT_OPENING || slot->state == SLOT_OPEN);
    if (slot->state == SLOT_FREE && given[i]) {
        CHECK(closed[i] && test_groups[i].processes == 0);
        CHECK(test_groups[i].renewed > renewed[i]);
        given[i] = false;
    }
}

static void check_nest(uint32_t n)
{
    const struct nest_process *nest = &test_spawner.nests[n];

    CHECK((nest->pid == 0) == (nest->pidfd < 0) || n == 0);
    CHECK(nest->pid == 0 || nest->state == NEST_UP || nest->state == NEST_CLOSING);
    if (nest->state == NEST_FREE)
        CHECK(nest->modules < 0 && nest->target < 0 && nest->retry_us == UINT64_MAX);
}

static void check_all(void)
{
    uint32_t nfree = 0, ndraining = 0;

    for (uint32_t n = 1; n < NESTS; n++)
        check_nest(n);
    for (size_t i = 0; i < LANES; i++) {
        CHECK(test_spawner.lanes[i].count <= WORKS_MAX);
        CHECK((test_spawner.lanes[i].pid > 0) == (test_spawner.lanes[i].count > 0));
    }
    check_orders();
    for (uint32_t i = 0; i < test_spawner.nslots; i++) {
        check_slot(i);
        nfree += test_spawner.slots[i].state == SLOT_FREE;
        ndraining += test_spawner.slots[i].state == SLOT_DRAINING;
    }
    CHECK(ndraining == test_spawner.ndraining);
    for (uint32_t i = test_spawner.first_free; i != SLOT_NONE; i = test_spawner.slots[i].next_free)
        CHECK(test_spawner.slots[i].state == SLOT_FREE && nfree-- > 0);
    CHECK(nfree == 0);
}

static int take_step(struct input *in)
{
    uint8_t step = take_byte(in), number = step >> 4;
    struct slot *slot = &test_spawner.slots[number % SLOTS];

    switch (step % 16) {
    case 0:
        return ask_anything(in);
    case 1:
    case 2:
        return ask_sensibly(in);
    case 3:
        answer_anything(in);
        break;
    case 4:
    case 5:
        answer_sensibly(in);
        break;
    case 6:
        if (slot->state == SLOT_OPEN)
            slot_died(&test_spawner, number % SLOTS);
        break;
    case 7:
        /* Only where somebody lives can somebody enter. */
        if (slot->state != SLOT_FREE)
            test_groups[number % SLOTS].processes = (int)(take_byte(in) % 3) - 1;
        break;
    case 8:
        slot_drain(&test_spawner);
        break;
    case 9:
    case 10:
        return ask_about_layers(in);
    case 11:
        return finish_work(take_byte(in));
    case 12:
        return answer_about_links(take_byte(in));
    case 14:
        return ask_about_workspaces(in);
    case 15:
        return finish_order(take_byte(in));
    default:
        test_create_fails = number == 1;
        test_limit_fails = number == 2;
        test_renew_fails = number == 3;
        test_watch_fails = number == 4;
        if (number == 5)
            restart_nest();
        if (number > 6 && test_spawner.nests[number % NESTS].pid > 0 && number % NESTS != 0) {
            test_spawner.nests[number % NESTS].pid = 0; /* there is nobody to wait for */
            nest_process_died(&test_spawner, number % NESTS);
        }
        if (number == 6)
            test_spawner.nests[0].pid = test_spawner.nests[0].pid == 0;
    }
    return 0;
}

static void remove_stage(void)
{
    char path[sizeof stage + 8];

    for (uint32_t n = 0; n < NESTS; n++) {
        snprintf(path, sizeof path, "%s/t%u", stage, n);
        rmdir(path);
    }
    rmdir(stage);
}

/* Where targets would be mounted; once. */
static void make_stage(void)
{
    static bool made;
    char path[sizeof stage + 8];

    if (made)
        return;
    CHECK(mkdtemp(stage) != NULL);
    for (uint32_t n = 0; n < NESTS; n++) {
        snprintf(path, sizeof path, "%s/t%u", stage, n);
        CHECK(mkdir(path, 0700) == 0);
    }
    made = true;
    atexit(remove_stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    int before = (make_stage(), count_open()), r = 0;

    memset(given, 0, sizeof given);
    memset(closed, 0, sizeof closed);
    memset(owed, 0, sizeof owed);
    builder = 0;
    last_built = 0;
    test_spawner_init(SLOTS);
    strcpy(test_spawner.stage, stage);
    test_spawner.config.network = SPAWN_NETWORK_BRIDGE;
    test_spawner.config.build_ceilings = test_spawner.config.ceilings;
    test_spawner.config.workspace_bytes_max = 1 << 20;
    test_spawner.nests[0].make.warm = 1;
    test_attached = 0;
    test_worker_fails = test_birth_fails = false;
    while (in.len > 0 && r == 0) {
        r = take_step(&in);
        hear_replies();
        hear_requests();
        check_all();
    }
    test_spawner_finish();
    CHECK(count_open() == before);
    return 0;
}
