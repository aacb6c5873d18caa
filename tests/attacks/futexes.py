"""Futexes with priority inheritance

source: CVE-2014-3153 (Towelroot), CVE-2021-3347
tries: requeues and locks with priority inheritance
lock: seccomp: plain futex operations only; ENOSYS, as a kernel without them answers
second: none
where: execute fresh session build
expect: lock=ENOSYS requeue=ENOSYS wait=ENOSYS plain=ok
unlocked: lock=ok requeue=EINVAL|EPERM|ok|EAGAIN wait=EINVAL|ETIMEDOUT|EAGAIN|EWOULDBLOCK
"""
word, other = ctypes.c_int(0), ctypes.c_int(0)
soon = (ctypes.c_int64 * 2)(0, 1)
found("plain", call("futex", ctypes.byref(word), 1 | 128, 1, 0, 0, 0))
found("wait", call("futex", ctypes.byref(word), 11 | 128, 7, soon, ctypes.byref(other), 0))
found("requeue", call("futex", ctypes.byref(word), 12 | 128, 1, 1, ctypes.byref(other), 0))
found("lock", call("futex", ctypes.byref(word), 6 | 128, 0, 0, 0, 0))
