"""More of the processors than others

source: R17, R52, R55; CPU hogs with SCHED_FIFO
tries: real-time and deadline scheduling, negative nice, disk priority, a task group of its own
lock: no CAP_SYS_NICE; RLIMIT_NICE and RLIMIT_RTPRIO are 0
second: the quota of the control group holds for whatever it gets
where: execute fresh session
expect: fifo=EPERM deadline=EPERM nice=EACCES|EPERM user=EACCES|EPERM|ok io=ENOSYS lower=ok
unlocked: io=EPERM|ok
"""
found("fifo", call("sched_setscheduler", 0, 1, (ctypes.c_int * 1)(50)))
attributes = (ctypes.c_uint64 * 6)(48 | 6 << 32, 0, 0, 1000000, 2000000, 2000000)
found("deadline", call("sched_setattr", 0, attributes, 0))
found("nice", call("setpriority", 0, 0, -20))
found("user", call("setpriority", 2, 0, 0))
found("io", call("ioprio_set", 1, 0, 1 << 13))
found("lower", call("setpriority", 0, 0, 5))
