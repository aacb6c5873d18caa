"""Pipes that take notifications of the kernel

source: CVE-2022-0995
tries: makes a notification pipe
lock: seccomp: pipe2 without O_NOTIFICATION_PIPE
second: none where the kernel is built with it
where: execute fresh session build
expect: pipe=ENOSYS
unlocked: pipe=ENOPKG|ok
"""
found("pipe", call("pipe2", (ctypes.c_int * 2)(), os.O_EXCL))
