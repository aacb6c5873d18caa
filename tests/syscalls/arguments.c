/* arguments: what a hostile program hands to the kernel.
 *
 * Runs in a child of syscall_fuzz. */
#define _GNU_SOURCE
#include "arguments.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PAGE     4096
#define FDS_MAX  40
#define PLACES   9
#define KERNEL   0xffffffff81000000UL
#define DIRECT   0xffff888000000000UL
#define CROOKED  0x8000000000000000UL /* not canonical */
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct arguments {
    int fds[FDS_MAX];
    size_t nfds;
    char *page;      /* two pages; behind them nothing is mapped */
    char *read_only; /* one page */
    pid_t self, parent, grandparent;
};

static const char *const paths[] = {".",
                                    "..",
                                    "/",
                                    "",
                                    "file",
                                    "dir",
                                    "fifo",
                                    "link",
                                    "/tmp",
                                    "/tmp/x",
                                    "/dev/null",
                                    "/dev/ptmx",
                                    "/dev/shm/x",
                                    "/proc/self/stat",
                                    "/proc/self/fd",
                                    "/proc/self/maps",
                                    "/proc/1/mem",
                                    "/proc/self/ns/user",
                                    "/usr/bin/env",
                                    "/etc/passwd",
                                    "/proc/self/exe",
                                    "/../../..",
                                    "user.x",
                                    "security.capability",
                                    "tmpfs",
                                    "overlay",
                                    "lowerdir=/,upperdir=/tmp,workdir=/tmp"};

static const uint64_t numbers[] = {0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   8,
                                   15,
                                   16,
                                   63,
                                   64,
                                   127,
                                   128,
                                   255,
                                   256,
                                   511,
                                   512,
                                   1023,
                                   1024,
                                   4095,
                                   4096,
                                   4097,
                                   65535,
                                   65536,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x100000000,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   (uint64_t)-1,
                                   (uint64_t)-2,
                                   (uint64_t)-22,
                                   (uint64_t)AT_FDCWD,
                                   (uint64_t)-4095,
                                   (uint64_t)-4096};

/* splitmix64 */
uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t random_below(struct random *r, uint64_t limit)
{
    return random_next(r) % limit;
}

static void keep(struct arguments *args, int fd)
{
    if (fd >= 0 && args->nfds < FDS_MAX)
        args->fds[args->nfds++] = fd;
}

static void keep_pair(struct arguments *args, const int pair[2])
{
    keep(args, pair[0]);
    keep(args, pair[1]);
}

static void open_files(struct arguments *args)
{
    mkdir("dir", 0755);
    mkfifo("fifo", 0644);
    symlink("/etc/passwd", "link");
    keep(args, open("file", O_RDWR | O_CREAT, 0644));
    keep(args, open("dir", O_RDONLY | O_DIRECTORY));
    keep(args, open("/", O_PATH));
    keep(args, open("/tmp", O_RDWR | O_TMPFILE, 0600));
    keep(args, open("fifo", O_RDWR | O_NONBLOCK));
    keep(args, open("/usr/bin/env", O_RDONLY));
    keep(args, open("/dev/null", O_RDWR));
    keep(args, open("/dev/zero", O_RDWR));
    keep(args, open("/dev/urandom", O_RDONLY));
    keep(args, open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
    keep(args, open("/proc/self/stat", O_RDONLY));
    keep(args, open("/proc/self/mem", O_RDONLY));
    keep(args, open("/proc", O_RDONLY | O_DIRECTORY));
    keep(args, open("/proc/self/ns/user", O_RDONLY));
}

static void open_sockets(struct arguments *args)
{
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    static const int kinds[][3] = {{AF_INET, SOCK_STREAM, 0},  {AF_INET, SOCK_DGRAM, 0},
                                   {AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_DGRAM, 0},
                                   {AF_UNIX, SOCK_STREAM, 0},  {AF_UNIX, SOCK_DGRAM, 0},
                                   {AF_NETLINK, SOCK_RAW, 0}};
    int pair[2];

    for (size_t i = 0; i < COUNT(kinds); i++)
        keep(args, socket(kinds[i][0], kinds[i][1] | SOCK_NONBLOCK, kinds[i][2]));
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listening, (struct sockaddr *)&loopback, sizeof loopback) == 0)
        listen(listening, 4);
    keep(args, listening);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0)
        keep_pair(args, pair);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0)
        keep_pair(args, pair);
}

static void open_others(struct arguments *args)
{
    sigset_t set;
    int pair[2];

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    if (pipe2(pair, O_NONBLOCK) == 0)
        keep_pair(args, pair);
    keep(args, epoll_create1(0));
    keep(args, eventfd(0, EFD_NONBLOCK));
    keep(args, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    keep(args, signalfd(-1, &set, SFD_NONBLOCK));
    keep(args, memfd_create("fuzz", MFD_ALLOW_SEALING));
    keep(args, (int)syscall(SYS_pidfd_open, getpid(), 0));
}

struct arguments *arguments_create(struct random *r)
{
    struct arguments *args = calloc(1, sizeof *args);
    int null = open("/dev/null", O_RDWR);

    if (args == NULL || null < 0)
        _exit(1);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    args->self = getpid();
    args->parent = getppid();
    args->grandparent = getpgid(args->parent);
    args->page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    args->read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (args->page == MAP_FAILED || args->read_only == MAP_FAILED ||
        mprotect(args->page + 2 * PAGE, PAGE, PROT_NONE) < 0)
        _exit(1);
    if (random_below(r, 2) == 0)
        chdir("/tmp");
    open_files(args);
    open_sockets(args);
    open_others(args);
    return args;
}

static int pick_fd(struct arguments *args, struct random *r)
{
    uint64_t way = random_below(r, 16);

    if (way == 0)
        return (int)random_below(r, 70);
    if (way == 1)
        return -1;
    return args->fds[random_below(r, args->nfds)];
}

static uint64_t pick_number(struct random *r)
{
    uint64_t value = numbers[random_below(r, COUNT(numbers))];

    switch (random_below(r, 6)) {
    case 0:
        return random_next(r);
    case 1:
        return UINT64_C(1) << random_below(r, 64);
    case 2:
        return random_below(r, 64);
    case 3:
        return (UINT64_C(1) << random_below(r, 32)) | (UINT64_C(1) << random_below(r, 32));
    default:
        return value;
    }
}

/* Fills a buffer with what kernel structures are made of. */
static void fill(struct arguments *args, struct random *r, char *at, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word = 0;

        switch (random_below(r, 6)) {
        case 0:
            word = pick_number(r);
            break;
        case 1:
            word = (uint64_t)(uintptr_t)(args->page + random_below(r, 2 * PAGE));
            break;
        case 2:
            word = (uint32_t)pick_fd(args, r) | random_below(r, 65536) << 32;
            break;
        case 3:
            word = random_below(r, 32) | random_below(r, 32) << 32;
            break;
        case 4:
            word = size;
            break;
        default:
            break;
        }
        memcpy(at + i, &word, 8);
    }
}

static uint64_t pick_pointer(struct arguments *args, struct random *r)
{
    char *good = args->page + random_below(r, 8) * 128;

    switch (random_below(r, 12)) {
    case 0:
        return 0;
    case 1:
        return KERNEL + random_below(r, 1 << 24);
    case 2:
        return DIRECT + (random_next(r) & 0xffffffff);
    case 3:
        return CROOKED | random_next(r);
    case 4:
        return (uintptr_t)args->page + 2 * PAGE - random_below(r, 24); /* runs off the end */
    case 5:
        return (uintptr_t)args->read_only + random_below(r, PAGE);
    case 6:
        return (uintptr_t)good + 1 + random_below(r, 7);
    case 7:
        return (uintptr_t)paths[random_below(r, COUNT(paths))];
    default:
        fill(args, r, good, random_below(r, 40) * 8);
        return (uintptr_t)good;
    }
}

static uint64_t pick(struct arguments *args, struct random *r)
{
    switch (random_below(r, 8)) {
    case 0:
    case 1:
    case 2:
        return (uint64_t)pick_fd(args, r);
    case 3:
    case 4:
    case 5:
        return pick_pointer(args, r);
    default:
        return pick_number(r);
    }
}

static int names_a_process(long number)
{
    static const long calls[] = {SYS_kill,
                                 SYS_tkill,
                                 SYS_tgkill,
                                 SYS_rt_sigqueueinfo,
                                 SYS_rt_tgsigqueueinfo,
                                 SYS_prlimit64,
                                 SYS_setpriority,
                                 SYS_setpgid,
                                 SYS_sched_setattr,
                                 SYS_sched_setparam,
                                 SYS_sched_setscheduler,
                                 SYS_sched_setaffinity,
                                 SYS_pidfd_open,
                                 SYS_ptrace,
                                 SYS_fcntl,
                                 SYS_ioctl};

    for (size_t i = 0; i < COUNT(calls); i++) {
        if (calls[i] == number)
            return 1;
    }
    return 0;
}

/* Everything of the sandbox has the same user: a signal to all or to the parent would end the
 * campaign, which is no news. */
static void spare_the_parents(const struct arguments *args, long number, long a[6])
{
    if (!names_a_process(number))
        return;
    for (int i = 0; i < 3; i++) {
        int pid = (int)a[i];

        if (pid == args->parent || pid == args->grandparent || -pid == args->parent ||
            -pid == args->grandparent || pid == -1 || (pid < 0 && i == 0))
            a[i] = args->self;
    }
}

long arguments_make(struct arguments *args, struct random *r, long ret_args[6])
{
    long number = (long)random_below(r, ARGUMENTS_NUMBERS);
    uint64_t way = random_below(r, 64);

    if (way == 0)
        number = (long)pick_number(r) & ~0x40000000L; /* with that bit it would be x32's */
    else if (way < 40)
        number = (long)random_below(r, 470); /* those that exist */
    if (number == SYS_exit || number == SYS_exit_group || number == SYS_pause)
        number = SYS_getpid;
    for (int i = 0; i < 6; i++)
        ret_args[i] = (long)pick(args, r);
    spare_the_parents(args, number, ret_args);
    return number;
}
