"""Packet sockets and their rings

source: CVE-2016-8655, CVE-2017-7308, CVE-2020-14386
tries: opens AF_PACKET in all types, by socket and by socketpair
lock: seccomp: socket families are an allow-list
second: no CAP_NET_RAW over the network namespace
where: execute fresh session build
expect: raw=ENOSYS datagram=ENOSYS old=ENOSYS pair=ENOSYS
unlocked: raw=EPERM datagram=EPERM old=EPERM pair=EPERM|EOPNOTSUPP
"""
found("raw", call("socket", 17, socket.SOCK_RAW, 0x300))
found("datagram", call("socket", 17, socket.SOCK_DGRAM, 0x300))
found("old", call("socket", 17, 10, 0x300))
found("pair", call("socketpair", 17, socket.SOCK_RAW, 0x300, (ctypes.c_int * 2)()))
