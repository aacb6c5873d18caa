/* sys: raw system calls, without libc.
 *
 * The steps that lock a run in are executed in two places: in dunlin-init (static, musl) and inside
 * a warm interpreter of whatever libc an environment brings.  So they use no libc at all: every
 * call returns the kernel's answer, a negative errno on failure. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long sys_call6(long nr, long a, long b, long c, long d, long f, long g)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = f;
    register long r9 __asm__("r9") = g;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#elif defined(__aarch64__)
static inline long sys_call6(long nr, long a, long b, long c, long d, long f, long g)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = f;
    register long x5 __asm__("x5") = g;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8)
                     : "memory", "cc");
    return x0;
}
#else
#error "sys.h knows x86-64 and arm64"
#endif

#define SYS_PICK_(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define SYS_0_(nr)                                       sys_call6(nr, 0, 0, 0, 0, 0, 0)
#define SYS_1_(nr, a)                                    sys_call6(nr, (long)(a), 0, 0, 0, 0, 0)
#define SYS_2_(nr, a, b)                                 sys_call6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS_3_(nr, a, b, c)                              sys_call6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS_4_(nr, a, b, c, d)                           sys_call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS_5_(nr, a, b, c, d, f)                                                                  \
    sys_call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(f), 0)
#define SYS_6_(nr, a, b, c, d, f, g)                                                               \
    sys_call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(f), (long)(g))
/* sys(SYS_close, fd): the kernel's answer. */
#define sys(...)                                                                                   \
    SYS_PICK_(__VA_ARGS__, SYS_6_, SYS_5_, SYS_4_, SYS_3_, SYS_2_, SYS_1_, SYS_0_)(__VA_ARGS__)
