"""Restartable sequences and robust lists with wild addresses

source: CVE-2022-1055 class; syzkaller's rseq and robust futex programs
tries: registers areas in kernel memory and beyond the end of user memory, dies with a broken list
lock: the kernel's checks; only the process itself is hit
second: the sandbox's other locks hold for what is left
where: execute fresh session build
expect: rseq=EINVAL|EFAULT|EBUSY|EPERM kernel=EINVAL|EFAULT|EBUSY list=ok death=ended get=EPERM|ENOSYS
unlocked: get=EPERM
"""
found("rseq", call("rseq", 8, 32, 0, 0x53053053))
found("kernel", call("rseq", 0xffff888000000000 - (1 << 64), 32, 0, 0x53053053))
child = os.fork()
if child == 0:
    raw(NR["set_robust_list"], 0xffff888000000000 - (1 << 64), 24)
    os._exit(0)
found("death", "ended" if os.waitpid(child, 0)[0] == child else "alive")
found("list", call("set_robust_list", 8, 24))
raw(NR["set_robust_list"], 0, 24)
head, length = ctypes.c_uint64(), ctypes.c_uint64()
found("get", call("get_robust_list", 1, ctypes.byref(head), ctypes.byref(length)))
