"""Which memory pages a run touches, learned once, so that each child can have them made at one go.

After a fork the first write to a page copies it, and the first look at a page of a file maps it;
each costs a trap into the kernel.  A probe child rehearses a run and reads from /proc/self/pagemap
(Documentation/admin-guide/mm/pagemap.rst) what it holds then.  Every later child asks for the same
pages with madvise(2) before anybody waits for it.
"""
import mmap
import os
import struct

PAGE = 4096
ENTRY = struct.Struct("=Q")
PRESENT = 1 << 63
EXCLUSIVE = 1 << 56  # mapped by this process only: copied since the fork
LARGEST = 64 << 20  # of one mapping, bytes looked at
RANGES_MAX = 1024
MADV_POPULATE_READ = 22  # Linux 5.14
MADV_POPULATE_WRITE = 23
RANGE = struct.Struct("=QQQ")  # struct range in zygote.c: address, bytes, advice


def mappings():
    """(start, end, permissions, is a file) of each mapping that a program can touch."""
    with open("/proc/self/maps") as f:
        for line in f:
            words = line.split()
            if words[1][0] == "r" and not words[-1].startswith("[v"):
                start, end = (int(word, 16) for word in words[0].split("-"))
                yield start, end, words[1], words[-1].startswith("/")


def wanted_pages(entries, start, permissions, is_file):
    """(page number, advice) of each page of one mapping that the process has made its own."""
    for i, (entry,) in enumerate(ENTRY.iter_unpack(entries)):
        if not entry & PRESENT:
            continue
        if entry & EXCLUSIVE and permissions[1] == "w":
            yield start // PAGE + i, MADV_POPULATE_WRITE
        elif is_file:
            yield start // PAGE + i, MADV_POPULATE_READ


def pack(pages):
    """Packed ranges of the (page number, advice) pairs, at most RANGES_MAX."""
    ranges = []
    for page, advice in pages:
        if ranges and ranges[-1][0] + ranges[-1][1] == page and ranges[-1][2] == advice:
            ranges[-1][1] += 1
        else:
            ranges.append([page, 1, advice])
    return b"".join(RANGE.pack(a * PAGE, n * PAGE, advice) for a, n, advice in ranges[:RANGES_MAX])


def learn(rehearse):
    """Packed ranges that a child touches when it calls ``rehearse``; empty if that cannot be told.

    The child copies its page map to memory that was laid out before the fork, so that looking
    touches as little as possible; what it means is worked out here.
    """
    looked_at = [(a, min(b, a + LARGEST), *rest) for a, b, *rest in mappings()]
    sizes = [(end - start) // PAGE * ENTRY.size for start, end, *_ in looked_at]
    shared = mmap.mmap(-1, sum(sizes))
    view = memoryview(shared)
    parts = []
    for size in sizes:
        parts.append(view[:size])
        view = view[size:]
    reads = [([part], m[0] // PAGE * ENTRY.size) for part, m in zip(parts, looked_at)]
    pid = os.fork()
    if pid == 0:
        try:
            rehearse()
            pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
            for buffers, offset in reads:
                os.preadv(pagemap, buffers, offset)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    ranges = pack(
        page
        for part, (start, _, permissions, is_file) in zip(parts, looked_at)
        for page in wanted_pages(part, start, permissions, is_file)
    )
    view.release()
    del reads
    for part in parts:
        part.release()
    shared.close()  # a zygote has no writable shared memory (R95)
    return ranges
