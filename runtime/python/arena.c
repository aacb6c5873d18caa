/* arena: one contiguous place for the interpreter's small objects, in huge pages.
 *
 * Runs in the zygote, before it imports anything large.  Python takes memory for objects in arenas
 * of 1 MiB, which land anywhere; a fork then copies, and an exit takes down, one page-table entry
 * for every 4 KiB of them.  Laid side by side on a 2 MiB boundary, and collapsed into huge pages
 * when all is imported, most of them cost one entry for 2 MiB (pandas: design, performance.md).
 * Where the kernel has no MADV_COLLAPSE (before 6.1) everything works as without this file. */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "enter/sys.h"

#define EXPORT __attribute__((visibility("default")))

#define REGION_BYTES   ((size_t)2 << 30) /* address space only; what is beyond it is mapped apart */
#define HUGE_BYTES     ((size_t)2 << 20)
#define MADV_COLLAPSE_ 25 /* Linux 6.1 */
#define MAP_FLAGS      (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* PyObjectArenaAllocator of the stable C API. */
struct arena_allocator {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr, size_t size);
};

static struct {
    char *start, *next, *end;
} region;

static void *map_apart(size_t size)
{
    long r = sys(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_FLAGS, -1, 0);

    return r < 0 && r > -4096 ? NULL : (void *)r;
}

static void *arena_alloc(void *ctx, size_t size)
{
    char *at = region.next;

    (void)ctx;
    if (size > (size_t)(region.end - region.next))
        return map_apart(size);
    region.next += size;
    return at;
}

/* Arenas of the region are rarely freed and never reused: their memory goes back, their addresses
 * stay taken. */
static void arena_free(void *ctx, void *ptr, size_t size)
{
    char *at = ptr;

    (void)ctx;
    if (at >= region.start && at < region.end)
        sys(SYS_madvise, at, size, MADV_DONTNEED);
    else
        sys(SYS_munmap, at, size);
}

EXPORT int dunlin_arena_install(void (*set)(struct arena_allocator *));
/* Has every later arena come from one region; `set` is PyObject_SetArenaAllocator.  0, or -1 when
 * there is no room for it: nothing has changed then. */
EXPORT int dunlin_arena_install(void (*set)(struct arena_allocator *))
{
    struct arena_allocator allocator = {NULL, arena_alloc, arena_free};
    char *all = map_apart(REGION_BYTES + HUGE_BYTES);

    if (all == NULL)
        return -1;
    region.start = (char *)(((uintptr_t)all + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
    region.next = region.start;
    region.end = region.start + REGION_BYTES;
    set(&allocator);
    return 0;
}

static void collapse(uintptr_t start, uintptr_t end)
{
    start = (start + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    end &= ~(HUGE_BYTES - 1);
    if (start < end)
        sys(SYS_madvise, start, end - start, MADV_COLLAPSE_);
}

EXPORT void dunlin_arena_collapse(uintptr_t heap_start, uintptr_t heap_end);
/* Turns the filled part of the region, and of libc's heap, into huge pages. */
EXPORT void dunlin_arena_collapse(uintptr_t heap_start, uintptr_t heap_end)
{
    collapse((uintptr_t)region.start, (uintptr_t)region.next);
    collapse(heap_start, heap_end);
}
