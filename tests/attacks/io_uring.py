"""io_uring: system calls that no filter sees

source: moby #46762 (Google turned it off); CVE-2024-0582; isolate 2.5 (opens AF_VSOCK sockets by it)
tries: sets up a ring, enters and registers
lock: seccomp: EPERM
second: the kernel's own io_uring_disabled, if the operator sets it
where: execute fresh session build
expect: setup=EPERM enter=EPERM register=EPERM
unlocked: setup=ok|EPERM enter=EBADF register=EBADF|EINVAL
"""
params = ctypes.create_string_buffer(256)
found("setup", call("io_uring_setup", 8, params))
found("enter", call("io_uring_enter", -1, 1, 0, 0, 0, 0))
found("register", call("io_uring_register", -1, 0, 0, 0))
