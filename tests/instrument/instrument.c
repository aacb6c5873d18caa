/* instrument: makes external calls of an instrumented build fail as a test asks, and marks the code
 * that has run.
 *
 * Runs in every process of such a build, root's too, under every lock they put on: it makes no call
 * of libc (all are wrapped) and, once a process is started, no system call but getpid(2).  It
 * trusts the page, which the test writes.  It is in no build that anyone installs. */
/* Before the headers: the caller's vector registers stay as they are. */
#pragma GCC target("general-regs-only")

#include "instrument.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define UNMARKED INSTRUMENT_UNMARKED

#define ERROR_SQLITE 10 /* SQLITE_IOERR */
#define ERROR_GNUTLS -25

/* What trampolines.c says of a call. */
enum kind { POSIX, READS, NULLED, MAPPED, NUMBER, LIBUV, SQLITE, GNUTLS, JANSSON };

/* Places in calls.def. */
enum {
#define CALL(symbol, kind) CALL_##symbol,
#include "calls.def"
#undef CALL
    CALLS
};

_Static_assert(CALLS <= INSTRUMENT_CALLS, "calls.def has outgrown the page");

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static struct instrument_page *page;
static volatile uint32_t *born; /* 0 in a process that has just been forked */
static int generation;

UNMARKED static long raw6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long answer;

    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return answer;
}

UNMARKED static long raw(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return raw6(nr, a, b, c, d, e, 0);
}

UNMARKED static struct instrument_page *map_page(long fd)
{
    long at = raw(SYS_mmap, 0, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, (uint64_t)fd);
    struct instrument_page *mapped =
        (struct instrument_page *)at; // NOLINT(performance-no-int-to-ptr)

    if (at < 0 && at > -4096)
        return NULL;
    if (mapped->magic == INSTRUMENT_MAGIC)
        return mapped;
    raw(SYS_munmap, (uint64_t)at, sizeof *page, 0, 0, 0);
    return NULL;
}

/* A file that is shorter than the page would end us by SIGBUS: the descriptor is looked at first.
 */
UNMARKED static bool holds_page(long fd)
{
    return raw(SYS_lseek, (uint64_t)fd, 0, 2 /* SEEK_END */, 0, 0) == (long)sizeof *page;
}

UNMARKED static const char *page_name(void)
{
#if INSTRUMENT_PROGRAM == 3 /* has no libc */
    return NULL;
#else
    return getenv("DUNLIN_INSTRUMENT");
#endif
}

UNMARKED __attribute__((constructor)) static void find_page(void)
{
    const char *name = page_name();
    long at, fd;

    if (name != NULL) {
        fd = raw(SYS_open, (uint64_t)(uintptr_t)name, O_RDWR | O_CLOEXEC, 0, 0, 0);
        if (fd < 0 || raw(SYS_dup3, (uint64_t)fd, INSTRUMENT_FD, 0, 0, 0) < 0)
            __builtin_trap();
        raw(SYS_close, (uint64_t)fd, 0, 0, 0, 0);
    }
    if (!holds_page(INSTRUMENT_FD))
        return;
    at = raw(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1);
    if (at < 0 || raw(SYS_madvise, (uint64_t)at, 4096, MADV_WIPEONFORK, 0, 0) < 0)
        __builtin_trap();
    born = (volatile uint32_t *)at; // NOLINT(performance-no-int-to-ptr)
    *born = 1;
    page = map_page(INSTRUMENT_FD);
    /* Nothing that is executed from here on could use it, and runs must not have it. */
    if (INSTRUMENT_PROGRAM == 3)
        raw(SYS_close, INSTRUMENT_FD, 0, 0, 0, 0);
}

UNMARKED static enum instrument_role who(void)
{
    if (*born == 0) {
        *born = 1;
        generation++;
    }
    if (INSTRUMENT_PROGRAM == 0)
        return generation == 0 ? INSTRUMENT_SERVER : INSTRUMENT_SERVER_CHILD;
    if (INSTRUMENT_PROGRAM == 1)
        return generation == 0 ? INSTRUMENT_SPAWNER : INSTRUMENT_SPAWNER_CHILD;
    if (INSTRUMENT_PROGRAM == 3)
        return generation == 0 ? INSTRUMENT_ZYGOTE : INSTRUMENT_RUN;
    if (generation == 0)
        return INSTRUMENT_BUILDER;
    if (generation > 1)
        return INSTRUMENT_INIT_CHILD;
    return raw(SYS_getpid, 0, 0, 0, 0, 0) == 1 ? INSTRUMENT_INIT : INSTRUMENT_BUILDER_CHILD;
}

/* The page's descriptor outlives what closes all descriptors, but not in what runs in a sandbox:
 * INSTRUMENT_FD is left out. */
UNMARKED static void spare_page(enum instrument_role role, struct instrument_registers *r)
{
    if (role > INSTRUMENT_BUILDER_CHILD || (uint32_t)r->rdi > INSTRUMENT_FD ||
        (uint32_t)r->rsi < INSTRUMENT_FD)
        return;
    if ((uint32_t)r->rdi < INSTRUMENT_FD)
        raw(SYS_close_range, r->rdi, INSTRUMENT_FD - 1, r->rdx, 0, 0);
    r->rdi = INSTRUMENT_FD + 1;
}

/* A place is a call in the code and, where our frames can be followed, its callers two up: the ways
 * in which one helper's failure is taken are several places.  `frame` is the caller's.  Libraries
 * keep no frames: their callers' registers may hold anything, and only the stack is looked at. */
UNMARKED static uint8_t *find_place(uint64_t caller, const uint64_t *frame)
{
    const uint64_t *here = __builtin_frame_address(0);
    uint64_t hash = INSTRUMENT_PROGRAM + caller - (uint64_t)(uintptr_t)__ehdr_start;

    for (int i = 0; i < 2 && INSTRUMENT_PROGRAM != 0; i++) {
        if (frame <= here || frame - here > 4096 || ((uintptr_t)frame & 7) != 0)
            break;
        if (frame[1] - (uint64_t)(uintptr_t)__ehdr_start >= INSTRUMENT_CODE_MAX)
            break; /* main() was called from elsewhere each time */
        hash = hash * 0x9e3779b97f4a7c15ull + frame[1] - (uint64_t)(uintptr_t)__ehdr_start;
        frame = (const uint64_t *)frame[0]; // NOLINT(performance-no-int-to-ptr)
    }
    hash *= 0x9e3779b97f4a7c15ull;
    return &page->failed[(hash >> 40) % INSTRUMENT_PLACES];
}

UNMARKED static bool is_planned(enum instrument_role role, int call, long nr, uint8_t *failed)
{
    int64_t left;

    if (__atomic_load_n(&page->armed, __ATOMIC_ACQUIRE) == 0 || (page->roles & (1u << role)) == 0 ||
        (page->call >= 0 && page->call != call) || (page->number >= 0 && page->number != nr) ||
        (page->fresh != 0 && *failed != 0))
        return false;
    left = __atomic_sub_fetch(&page->countdown, 1, __ATOMIC_RELAXED);
    if (page->fresh != 0 && left == 0)
        *failed = 1;
    return left == 0 || (left < 0 && page->repeat != 0);
}

UNMARKED static void tell(enum instrument_role role, int call, long nr, uint64_t caller)
{
    page->hit_role = (int32_t)role;
    page->hit_call = call;
    page->hit_number = (int32_t)nr;
    page->hit_pid = (int32_t)raw(SYS_getpid, 0, 0, 0, 0, 0);
    page->hit_program = INSTRUMENT_PROGRAM;
    page->hit_offset = caller - (uint64_t)(uintptr_t)__ehdr_start;
    __atomic_add_fetch(&page->hits, 1, __ATOMIC_RELEASE);
}

/* What is not a failure: the call is made afterwards. */
UNMARKED static void act_otherwise(enum kind kind, struct instrument_registers *r)
{
    if (page->action == INSTRUMENT_DIE)
        __builtin_trap();
    if (page->action == INSTRUMENT_SHORT && kind == READS && r->rdx > 1)
        r->rdx = 1;
    while (page->action == INSTRUMENT_HANG && __atomic_load_n(&page->hang, __ATOMIC_ACQUIRE) != 0)
        __builtin_ia32_pause();
}

#if INSTRUMENT_PROGRAM != 3 /* which has no libc, and makes its calls by sys_call6() alone */
/* The time of day as the test wants it.  Returns true when rax is the answer. */
UNMARKED static bool jump_clock(int call, struct instrument_registers *r)
{
    int64_t offset = __atomic_load_n(&page->realtime_ns, __ATOMIC_RELAXED);
    struct timespec now;
    int64_t ns;

    if (offset == 0 || (call == CALL_clock_gettime && r->rdi != CLOCK_REALTIME))
        return false;
    if (raw(SYS_clock_gettime, CLOCK_REALTIME, (uint64_t)(uintptr_t)&now, 0, 0, 0) < 0)
        return false;
    ns = now.tv_sec * 1000000000 + now.tv_nsec + offset;
    if (call == CALL_clock_gettime) {
        struct timespec *out = (struct timespec *)r->rsi; // NOLINT(performance-no-int-to-ptr)

        out->tv_sec = ns / 1000000000;
        out->tv_nsec = ns % 1000000000;
        r->rax = 0;
        return true;
    }
    r->rax = (uint64_t)(ns / 1000000000);
    if (r->rdi != 0)
        *(time_t *)r->rdi = ns / 1000000000; // NOLINT(performance-no-int-to-ptr)
    return true;
}

UNMARKED static uint64_t failure(enum kind kind)
{
    int error = page->error;

    switch (kind) {
    case POSIX:
    case READS:
    case MAPPED:
        errno = error != 0 ? error : EIO;
        return (uint64_t)-1;
    case NULLED:
        errno = error != 0 ? error : ENOMEM;
        return 0;
    case NUMBER:
        return (uint64_t)(error != 0 ? error : EAGAIN);
    case LIBUV:
        return (uint64_t)(int64_t)(error != 0 ? -error : -ENOMEM);
    case SQLITE:
        return (uint64_t)(error != 0 ? error : ERROR_SQLITE);
    case GNUTLS:
        return (uint64_t)(int64_t)ERROR_GNUTLS;
    case JANSSON:
        break;
    }
    return (uint64_t)-1;
}

/* Returns 1 when the call is not to be made. */
UNMARKED static int act(int call, enum kind kind, struct instrument_registers *r)
{
    if (page->action != INSTRUMENT_FAIL) {
        act_otherwise(kind, r);
        return 0;
    }
    if (call == CALL_close) /* as Linux does it: gone, whatever it says */
        raw(SYS_close, r->rdi, 0, 0, 0, 0);
    r->rax = failure(kind);
    return 1;
}

UNMARKED int instrument_call(uint32_t which, struct instrument_registers *r, uint64_t caller)
{
    int call = which & 0xffff;
    long nr = call == CALL_syscall ? (long)r->rdi : -1;
    const uint64_t *frame = *(const uint64_t **)__builtin_frame_address(0);
    enum instrument_role role;

    if (page == NULL)
        return 0;
    role = who();
    if (call == CALL_close_range)
        spare_page(role, r);
    __atomic_add_fetch(&page->calls[role][call], 1, __ATOMIC_RELAXED);
    if (nr >= 0 && nr < INSTRUMENT_NUMBERS)
        __atomic_add_fetch(&page->numbers[role][nr], 1, __ATOMIC_RELAXED);
    if (is_planned(role, call, nr, find_place(caller, frame))) {
        tell(role, call, nr, caller);
        if (act(call, (enum kind)(which >> 16), r) != 0)
            return 1;
    }
    return (call == CALL_clock_gettime || call == CALL_time) && jump_clock(call, r);
}

/* Two processes would write over each other: only the server has heap.c. */
UNMARKED void instrument_heap(const int64_t *blocks, const int64_t *bytes)
{
    if (page == NULL || generation != 0)
        return;
    __atomic_store_n(&page->heap_blocks, *blocks, __ATOMIC_RELAXED);
    __atomic_store_n(&page->heap_bytes, *bytes, __ATOMIC_RELAXED);
}

#endif

/* sys(2) of src/enter, which goes by no name that a linker could wrap: the same with the kernel's
 * own way to tell of errors.  tests/instrument/shadow leads here. */
long sys_call6(long nr, long a, long b, long c, long d, long f, long g);
UNMARKED long sys_call6(long nr, long a, long b, long c, long d, long f, long g)
{
    struct instrument_registers r = {(uint64_t)a, (uint64_t)b, (uint64_t)c, 0, 0, 0, 0};
    uint64_t caller = (uint64_t)(uintptr_t)__builtin_return_address(0);
    const uint64_t *frame = *(const uint64_t **)__builtin_frame_address(0);
    enum instrument_role role;

    if (page != NULL) {
        role = who();
        if (nr == SYS_close_range)
            spare_page(role, &r);
        __atomic_add_fetch(&page->calls[role][CALL_syscall], 1, __ATOMIC_RELAXED);
        if (nr < INSTRUMENT_NUMBERS)
            __atomic_add_fetch(&page->numbers[role][nr], 1, __ATOMIC_RELAXED);
        if (is_planned(role, CALL_syscall, nr, find_place(caller, frame))) {
            tell(role, CALL_syscall, nr, caller);
            if (page->action == INSTRUMENT_FAIL)
                return page->error != 0 ? -page->error : -EIO;
            act_otherwise(nr == SYS_read || nr == SYS_write ? READS : POSIX, &r);
        }
    }
    return raw6(nr, r.rdi, r.rsi, r.rdx, (uint64_t)d, (uint64_t)f, (uint64_t)g);
}

UNMARKED void __sanitizer_cov_trace_pc(void)
{
    uint64_t offset =
        (uint64_t)(uintptr_t)__builtin_return_address(0) - (uint64_t)(uintptr_t)__ehdr_start;

    if (page != NULL && offset < INSTRUMENT_CODE_MAX)
        page->code[INSTRUMENT_PROGRAM][offset] = 1;
}
