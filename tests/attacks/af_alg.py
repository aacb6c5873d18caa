"""Copy Fail: AF_ALG sockets that write into the page cache

source: CVE-2026-31431 (moby #52494, vArmor #324)
tries: opens the kernel's crypto sockets, directly and by socketpair
lock: seccomp: socket families are an allow-list
second: the files are a private read-only copy, so that the host's page cache is another one
where: execute fresh session build
expect: alg=ENOSYS pair=ENOSYS splice=EPERM
unlocked: alg=EAFNOSUPPORT|EPERM|ok pair=EOPNOTSUPP|EAFNOSUPPORT|EPERM splice=EBADF
"""
found("alg", call("socket", 38, socket.SOCK_SEQPACKET, 0))
pair = (ctypes.c_int * 2)()
found("pair", call("socketpair", 38, socket.SOCK_SEQPACKET, 0, pair))
found("splice", call("splice", -1, 0, -1, 0, 1, 0))
