"""Timers and clocks without end

source: CVE-2025-38352 class (posix timers), R44, R55
tries: makes timers until it is refused, timers that fire all the time, a clock that is wrong
lock: RLIMIT_SIGPENDING, descriptors; the deadline runs outside
second: the cpu controller
where: execute fresh session
expect: timers=EAGAIN fast=ok future=ok alarms=ok
"""
import signal

signal.signal(signal.SIGALRM, signal.SIG_IGN)
timer, made, result = ctypes.c_int(), 0, "ok"
event = ctypes.create_string_buffer(64)
ctypes.memmove(event, (ctypes.c_int32 * 4)(0, 0, 1, 1), 16)  # SIGEV_NONE
while result == "ok" and made < 20000:
    result = call("timer_create", 1, event, ctypes.byref(timer))
    made += 1
found("timers", result)
fd = raw(NR["timerfd_create"], 1, 0)
found("fast", call("timerfd_settime", fd, 0, (ctypes.c_int64 * 4)(0, 1, 0, 1), 0))
found("future", call("timerfd_settime", fd, 1, (ctypes.c_int64 * 4)(1 << 62, 0, 1 << 62, 0), 0))
found("alarms", attempt(signal.setitimer, 0, 1e-6, 1e-6))
