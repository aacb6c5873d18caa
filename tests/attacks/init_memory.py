"""Reading and steering pid 1

source: CVE-2019-13272 (ptrace), judge0 and bubblewrap: a readable pid 1; R25
tries: ptrace, process_vm_*, pidfd_getfd, kcmp, process_madvise and /proc/1 against init
lock: seccomp: EPERM; /proc hides it (hidepid=invisible)
second: init has another uid and is undumpable; nobody has CAP_SYS_PTRACE
where: execute fresh session durable build
expect: attach=EPERM seize=EPERM traceme=EPERM read=EPERM write=EPERM getfd=EPERM kcmp=EPERM
    advise=EPERM files=ENOENT
unlocked: traceme=ok read=EPERM|ESRCH|EFAULT getfd=EPERM|EBADF advise=EACCES|EPERM
"""
buffer = ctypes.create_string_buffer(64)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
handle = raw(NR["pidfd_open"], 1, 0)
found("attach", call("ptrace", 16, 1, 0, 0))
found("seize", call("ptrace", 0x4206, 1, 0, 0))
found("read", call("process_vm_readv", 1, vector, 1, vector, 1, 0))
found("write", call("process_vm_writev", 1, vector, 1, vector, 1, 0))
found("getfd", call("pidfd_getfd", handle, 0, 0))
found("kcmp", call("kcmp", 1, os.getpid(), 2, 0, 0))
found("advise", call("process_madvise", handle, vector, 1, 21, 0))
answers = {attempt(open, f"/proc/1/{name}", "rb")
           for name in ("mem", "environ", "maps", "fd/0", "exe", "auxv", "stat", "ns/mnt")}
found("files", answers.pop() if len(answers) == 1 else ",".join(sorted(answers)))
found("traceme", call("ptrace", 0, 0, 0, 0))
