"""A core file that the host's root handles

source: general knowledge: core_pattern with a pipe; R21; CVE-2022-4415 (systemd-coredump)
tries: writes core_pattern and modprobe, then crashes with cores asked for
lock: /proc of one's own, read-only, with subset=pid: there is no /proc/sys
second: host ids that are not root; RLIMIT_CORE is 1, which keeps the handler from being started
where: execute fresh session durable
expect: pattern=ENOENT modprobe=ENOENT limit=ValueError|EPERM crash=11 core=none
"""
import resource

found("pattern", attempt(open, "/proc/sys/kernel/core_pattern", "w"))
found("modprobe", attempt(open, "/proc/sys/kernel/modprobe", "w"))
found("limit", attempt(resource.setrlimit, resource.RLIMIT_CORE, (1 << 30, 1 << 30)))
child = os.fork()
if child == 0:
    ctypes.string_at(8)
status = os.waitpid(child, 0)[1]
found("crash", os.WTERMSIG(status))
found("core", "dumped" if os.WCOREDUMP(status) and os.listdir(".").count("core") else "none")
