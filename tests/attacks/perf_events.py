"""Performance counters

source: CVE-2013-2094; Spectre and Hertzbleed measurements
tries: opens hardware, software and tracepoint events for itself and for a processor
lock: seccomp: EPERM
second: perf_event_paranoid 2 leaves a process its own user-space events
where: execute fresh session build
expect: own=EPERM processor=EPERM tracepoint=EPERM
unlocked: own=ok|EACCES|EOPNOTSUPP|ENOENT processor=EACCES|EPERM|EOPNOTSUPP|ENOENT
    tracepoint=EACCES|EPERM|ENOENT|EOPNOTSUPP
"""
for name, kind, pid, cpu in (("own", 1, 0, -1), ("processor", 1, -1, 0), ("tracepoint", 2, 0, -1)):
    attributes = ctypes.create_string_buffer(128)
    ctypes.memmove(attributes, (ctypes.c_uint32 * 2)(kind, 128), 8)
    found(name, call("perf_event_open", attributes, pid, cpu, -1, 0))
