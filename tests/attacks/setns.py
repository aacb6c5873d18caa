"""Joining other namespaces

source: CVE-2019-5736's sibling class; nsenter; R70
tries: setns to its own namespaces, to those of pid 1 and by pidfd
lock: seccomp: EPERM
second: needs CAP_SYS_ADMIN in the target; the links of pid 1 cannot be read
where: execute fresh session build
expect: own=EPERM pidfd=EPERM init=none zero=EPERM
unlocked: own=EPERM|EINVAL pidfd=EPERM zero=EBADF|EINVAL
"""
try:
    handle = os.open("/proc/self/ns/mnt", os.O_RDONLY)
except OSError:
    handle = -1
found("own", call("setns", handle, 0))
found("pidfd", call("setns", raw(NR["pidfd_open"], os.getpid(), 0), 0x20000))
found("zero", call("setns", -1, 0))
found("init", "open" if attempt(os.open, "/proc/1/ns/mnt", os.O_RDONLY) == "ok" else "none")
