/* msan_calls: what MemorySanitizer has to know of functions that fill memory without its knowledge.
 *
 * Linked into the unit tests of build-memory (tools/dev check_memory) with --wrap for each.  The
 * sanitizer knows most of libc; syscall(2) it takes for one that writes nothing, and clang 14 does
 * not know stat(2) and its kind under the names that they have since glibc 2.33. */
#include <sanitizer/msan_interface.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CAPABILITY_WORDS 6 /* two struct __user_cap_data_struct */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    va_list list;
    long a[6], r;

    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
        __msan_unpoison(&a[i], sizeof a[i]); /* fewer than six may have been given */
    }
    va_end(list);
    r = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_getdents64 && r > 0)
        __msan_unpoison((void *)a[1], (size_t)r);
    if (number == SYS_capget && r == 0)
        __msan_unpoison((void *)a[1], CAPABILITY_WORDS * sizeof(int));
    return r;
}

static int filled(int r, struct stat *st)
{
    if (r == 0)
        __msan_unpoison(st, sizeof *st);
    return r;
}

#define KNOW(name, parameters, arguments)                                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return filled(__real_##name arguments, st);                                                \
    }

KNOW(stat64, (const char *path, struct stat *st), (path, st))
KNOW(lstat64, (const char *path, struct stat *st), (path, st))
KNOW(fstat64, (int fd, struct stat *st), (fd, st))
KNOW(fstatat64, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
