"""VM sockets, which no namespace divides

source: moby #44562, isolate 2.4 (NEWS)
tries: opens AF_VSOCK towards the hypervisor and the host
lock: seccomp: socket families are an allow-list
second: none: the family is not namespaced
where: execute fresh session build
expect: stream=ENOSYS datagram=ENOSYS
unlocked: stream=EAFNOSUPPORT|EPERM|ok datagram=EAFNOSUPPORT|ESOCKTNOSUPPORT|ENODEV|EPERM|ok|EOPNOTSUPP
"""
found("stream", call("socket", 40, socket.SOCK_STREAM, 0))
found("datagram", call("socket", 40, socket.SOCK_DGRAM, 0))
