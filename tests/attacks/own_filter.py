"""Relaxing or supervising the filter

source: CVE-2019-2054 class; sandbox2 (SECCOMP_FILTER_FLAG_NEW_LISTENER); R73
tries: a listener, listeners with TSYNC, a filter that allows everything, strict mode off
lock: seccomp: no filter can be loaded at all
second: the kernel never lets one be removed; filters only add up
where: execute fresh session build
expect: listener=ENOSYS waiting=ENOSYS sizes=ENOSYS allow_all=ENOSYS still=EPERM off=EINVAL
unlocked: allow_all=ok listener=ok|EINVAL waiting=EINVAL|EBUSY|ok sizes=ok still=ENOSPC|EPERM|EINVAL off=EINVAL
"""


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


allow = (ctypes.c_uint64 * 1)(0x7fff000000000006)
program = ctypes.byref(Program(1, ctypes.addressof(allow)))
found("sizes", call("seccomp", 3, 0, ctypes.byref(ctypes.create_string_buffer(64))))
found("allow_all", call("seccomp", 1, 0, program))
found("still", call("unshare", 0x10000000))
found("off", call("prctl", 22, 0, 0, 0, 0))
found("listener", call("seccomp", 1, 8, program))
found("waiting", call("seccomp", 1, 8 | 1 | 16 | 32, program))
