"""Lowering the limits and the priority of pid 1

source: R25; prlimit(2) reaches processes of the same user
tries: prlimit64, setpriority, scheduling and affinity of init
lock: init has another uid
second: none of these gains more than the run's own end
where: execute fresh session
expect: prlimit=EPERM priority=EPERM|ESRCH scheduler=EPERM affinity=EPERM group=EPERM|ESRCH
"""
limit = (ctypes.c_uint64 * 2)(0, 0)
found("prlimit", call("prlimit64", 1, 7, limit, 0))
found("priority", call("setpriority", 0, 1, 19))
found("scheduler", call("sched_setscheduler", 1, 5, (ctypes.c_int * 1)(0)))
found("affinity", call("sched_setaffinity", 1, 8, (ctypes.c_uint64 * 1)(1)))
found("group", call("setpgid", 1, 0))
