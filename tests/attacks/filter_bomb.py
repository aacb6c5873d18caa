"""The machine's pool of translated filters

source: own review; R50: code that the kernel makes of BPF filters is in no memory limit, and
    net.core.bpf_jit_limit bounds it for the machine: once it is used up, no sandbox can be locked in
tries: loads the longest seccomp filters until it is refused, by both calls, and attaches one to a socket
lock: seccomp: filters can be loaded by a zygote only; no SO_ATTACH_FILTER
second: filters of one process are bounded to 32,768 instructions; processes are limited
where: execute fresh session build
expect: loaded=0 error=ENOSYS prctl=EINVAL socket=ENOSYS
unlocked: loaded=7 error=ENOMEM prctl=ENOMEM|EINVAL socket=ok|EPERM|ENOMEM
"""
import struct

LENGTH = 4096
code = (struct.pack("=HBBI", 0x20, 0, 0, 0)
        + b"".join(struct.pack("=HBBI", 0x15, 0, 0, 0x12345678 + i) for i in range(LENGTH - 2))
        + struct.pack("=HBBI", 0x06, 0, 0, 0x7fff0000))


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


program = Program(LENGTH, code)
loaded = 0
answer = call("seccomp", 1, 0, ctypes.byref(program))
while answer == "ok" and loaded < 100:
    loaded += 1
    answer = call("seccomp", 1, 0, ctypes.byref(program))
found("loaded", loaded)
found("error", answer)
found("prctl", call("prctl", 22, 2, ctypes.byref(program), 0, 0))
one = socket.socket()
found("socket", attempt(one.setsockopt, 1, 26, bytes(program)))
