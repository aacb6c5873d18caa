"""Programs attached to sockets

source: CVE-2021-3490 and JIT spraying (Reshetova 2012); Chrome's sandbox
tries: attaches classic and extended filters, and reuseport programs
lock: seccomp: the options are not in the list
second: none for classic filters; extended ones need a descriptor that only bpf(2) gives
where: execute fresh session build
expect: classic=ENOSYS extended=ENOSYS reuseport=ENOSYS zerocopy=ENOSYS mark=ENOSYS
unlocked: classic=ok|EPERM extended=EBADF|EPERM|EINVAL reuseport=EINVAL|EBADF|ok zerocopy=ok mark=EPERM
"""
program = ctypes.create_string_buffer(b"\x06\0\0\0\0\0\0\0", 8)
fprog = (ctypes.c_uint64 * 2)(1, ctypes.addressof(program))
tcp = socket.socket()
found("classic", attempt(tcp.setsockopt, 1, 26, bytes(fprog)))
found("extended", attempt(tcp.setsockopt, 1, 50, 99))
found("reuseport", attempt(tcp.setsockopt, 1, 51, bytes(fprog)))
found("zerocopy", attempt(tcp.setsockopt, 1, 60, 1))
found("mark", attempt(tcp.setsockopt, 1, 36, 1))
