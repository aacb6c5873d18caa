/* heap: malloc of an instrumented `dunlin`, which counts what is in use.
 *
 * Runs in the server, in place of the libc's names and on top of its allocator, so that libraries
 * are counted too.  Trusts nothing; must never allocate itself. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "instrument.h"

/* glibc's own, under the names that it keeps for replacements like this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static int64_t blocks, bytes;

INSTRUMENT_UNMARKED static void *count(void *p)
{
    if (p != NULL) {
        __atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&bytes, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
    }
    instrument_heap(&blocks, &bytes);
    return p;
}

INSTRUMENT_UNMARKED static void uncount(void *p)
{
    if (p == NULL)
        return;
    __atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&bytes, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
}

INSTRUMENT_UNMARKED void *malloc(size_t size)
{
    return count(__libc_malloc(size));
}

INSTRUMENT_UNMARKED void *calloc(size_t n, size_t size)
{
    return count(__libc_calloc(n, size));
}

INSTRUMENT_UNMARKED void *realloc(void *old, size_t size)
{
    void *grown;

    uncount(old);
    grown = __libc_realloc(old, size);
    if (grown == NULL && size != 0)
        count(old);
    return count(grown);
}

INSTRUMENT_UNMARKED void *memalign(size_t alignment, size_t size)
{
    return count(__libc_memalign(alignment, size));
}

INSTRUMENT_UNMARKED void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

INSTRUMENT_UNMARKED int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = memalign(alignment, size);

    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}

INSTRUMENT_UNMARKED void free(void *p)
{
    uncount(p);
    __libc_free(p);
    instrument_heap(&blocks, &bytes);
}
