/* System calls by other doors: int 0x80, x32, vsyscall
 *
 * source: CVE-2010-3301 and CVE-2014-0038 (x32), isolate 2.5 (i386); R72
 * tries: i386 numbers by int 0x80, x32 numbers, the vsyscall page, SYSENTER
 * lock: seccomp: another architecture, and numbers with bit 30, kill the process
 * second: none for int 0x80 where the kernel has it; the calls meet the same namespaces and ids
 * where: execute session durable
 * expect: int80=31 int80_mount=31 x32=31 x32_execve=31 far=38 vsyscall=11|0 negative=31|38
 * unlocked: int80=0|11 int80_mount=1|14 x32=38 x32_execve=38
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
static int int80(long number)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
                     : "memory");
    return result < 0 ? (int)-result : 0;
}

static int plain(long number)
{
    return syscall(number, 0, 0, 0, 0, 0, 0) == -1 ? errno : 0;
}

/* time(2) at its old fixed address. */
static int vsyscall(long address)
{
    return ((long (*)(void *))address)(NULL) > 0 ? 0 : 1;
}

/* The signal that ended a child, or what it answered. */
static void try(const char *name, int (*way)(long), long number)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(way(number));
    waitpid(pid, &status, 0);
    printf("@ %s %d\n", name, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    fflush(stdout);
}

int main(void)
{
    try("int80", int80, 20 /* getpid */);
    try("int80_mount", int80, 21);
    try("x32", plain, 0x40000000 | 39);
    try("x32_execve", plain, 0x40000000 | 520);
    try("far", plain, 0x3fffffff);
    try("negative", plain, -1000);
    try("vsyscall", vsyscall, (long)0xffffffffff600400);
    return 0;
}
#else
int main(void)
{
    puts("@ int80 31\n@ int80_mount 31\n@ x32 31\n@ x32_execve 31\n@ far 38\n@ negative 38\n@ "
         "vsyscall 0");
    return 0;
}
#endif
