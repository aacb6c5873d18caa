"""Becoming somebody else

source: R10, R15; CVE-2018-18955
tries: every call that changes ids, groups, capabilities and securebits
lock: no capability; setgroups is denied in the user namespace
second: no other id is mapped
where: execute fresh session
expect: uid=EPERM|EINVAL gid=EPERM|EINVAL groups=EPERM fsuid=1000 capset=EPERM ambient=EPERM
    securebits=ENOSYS|EPERM map=EACCES|EROFS|ENOENT|EPERM setgroups=EACCES|EROFS|EPERM
unlocked: securebits=EPERM
"""
found("uid", call("setresuid", 0, 0, 0))
found("gid", call("setresgid", 0, 0, 0))
found("groups", call("setgroups", 1, (ctypes.c_uint32 * 1)(0)))
raw(NR["setfsuid"], 0)
found("fsuid", raw(NR["setfsuid"], -1))
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)
found("capset", call("capset", header, data))
found("ambient", call("prctl", 47, 2, 21, 0, 0))
found("securebits", call("prctl", 28, 0, 0, 0, 0))
found("map", attempt(lambda: open("/proc/self/uid_map", "w").write("0 0 1")))
found("setgroups", attempt(lambda: open("/proc/self/setgroups", "w").write("allow")))
