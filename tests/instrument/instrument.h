/* instrument: a page of memory that all processes of an instrumented build share with a test.
 *
 * The test says there which external call is to fail, and how; the processes count their calls
 * there and mark which of their code has run.  The layout is read by page.py: change both.
 *
 * The page is a file.  A program maps the one that DUNLIN_INSTRUMENT names and keeps it open as
 * descriptor INSTRUMENT_FD, through which the spawner, the builders of nests and their warm
 * interpreters, whose environment is empty, find it; sandboxes have it by inheritance.  A build
 * without the page behaves like any other. */
#pragma once

#include <stdint.h>

#define INSTRUMENT_MAGIC    0x3154534e494e5544ull /* "DUNINST1" */
#define INSTRUMENT_FD       200
#define INSTRUMENT_CALLS    256       /* entries of calls.def, at most */
#define INSTRUMENT_NUMBERS  512       /* numbers of system calls */
#define INSTRUMENT_CODE_MAX (8 << 20) /* bytes of a program's image */
#define INSTRUMENT_PLACES   (1 << 20) /* hashes of places that call */

/* Who calls.  A child is any process forked from it that has not executed another program. */
enum instrument_role {
    INSTRUMENT_SERVER,
    INSTRUMENT_SERVER_CHILD, /* on its way to another program */
    INSTRUMENT_SPAWNER,
    INSTRUMENT_SPAWNER_CHILD, /* workers, network process, nests before dunlin-init */
    INSTRUMENT_BUILDER,       /* pid 1 of a nest */
    INSTRUMENT_BUILDER_CHILD, /* the zygote before it is one */
    INSTRUMENT_INIT,          /* pid 1 of a sandbox */
    INSTRUMENT_INIT_CHILD,    /* file calls, keepers, programs before they are executed */
    INSTRUMENT_ZYGOTE,        /* _zygote.so in the warm interpreter, middle processes too */
    INSTRUMENT_RUN,           /* a warm run until its code starts */
    INSTRUMENT_ROLES,
};

enum instrument_action {
    INSTRUMENT_FAIL = 1, /* the call fails with `error` and is not made; close() is made */
    INSTRUMENT_SHORT,    /* READS calls move one byte at most; others succeed as ever */
    INSTRUMENT_DIE,      /* the process ends at once, by a signal that pid 1 cannot refuse */
    INSTRUMENT_HANG,     /* the thread does nothing until `hang` is 0 */
};

struct instrument_page {
    uint64_t magic;
    /* The plan; written by the test, `armed` last. */
    uint32_t armed;
    uint32_t roles;      /* 1u << role */
    int32_t call;        /* place in calls.def; -1: any */
    int32_t number;      /* of syscall(2); -1: any */
    int64_t countdown;   /* the call that makes it 0 is the one; below 0 nothing */
    uint32_t action;     /* enum instrument_action */
    int32_t error;       /* errno; 0: the kind's usual one */
    uint32_t repeat;     /* every call from that one on */
    uint32_t hang;       /* hung threads wait while 1 */
    uint32_t fresh;      /* only calls from places that have not failed yet count */
    int64_t realtime_ns; /* added to the time of day */
    /* What happened, the last one. */
    uint32_t hits;
    int32_t hit_role;
    int32_t hit_call;
    int32_t hit_number;
    int32_t hit_pid; /* as the process sees itself */
    int32_t hit_program;
    uint64_t hit_offset; /* of the return address in the program's image */
    uint64_t calls[INSTRUMENT_ROLES][INSTRUMENT_CALLS];
    uint64_t numbers[INSTRUMENT_ROLES][INSTRUMENT_NUMBERS];
    uint8_t code[4][INSTRUMENT_CODE_MAX]; /* 1 at each return address of a basic block's mark */
    int64_t heap_blocks, heap_bytes;      /* of malloc in `dunlin`: in use now */
    uint8_t failed[INSTRUMENT_PLACES]; /* 1 at each place that has failed while `fresh` was set */
};

#define INSTRUMENT_UNMARKED __attribute__((no_sanitize_coverage))

/* The arguments of a call in registers; rax takes the answer of one that is not made. */
struct instrument_registers {
    uint64_t rdi, rsi, rdx, rcx, r8, r9, rax;
};

/* Decides on one call.  `which` is number | kind << 16, `caller` its return address.  Returns 0
 * when the real call is to be made, with the registers as they are then, and 1 when rax is the
 * answer. Called by trampolines.c. */
int instrument_call(uint32_t which, struct instrument_registers *regs, uint64_t caller);

/* Called by the compiler's marks (-fsanitize-coverage=trace-pc), one for each basic block. */
void __sanitizer_cov_trace_pc(void);

/* Shows the test how much of malloc is in use.  Called by heap.c. */
void instrument_heap(const int64_t *blocks, const int64_t *bytes);
