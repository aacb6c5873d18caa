/* The sys.h of an instrumented build: its system calls are counted, and fail, as those of
 * syscall(2) do.  Found before the real one, which it has under another name. */
#pragma once

#define sys_call6 sys_call6_uncounted
#include_next "enter/sys.h"
#undef sys_call6

/* The kernel's answer, or a negative errno that the page asks for.  In instrument.c. */
long sys_call6(long nr, long a, long b, long c, long d, long f, long g);
