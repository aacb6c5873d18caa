"""IPv6 fragments made by hand

source: CVE-2026-53362 IPV6_FRAG_ESCAPE
tries: opens raw IPv6 and ICMPv6 sockets and corks a datagram with extension headers of its own
lock: seccomp: only stream and datagram sockets
second: raw sockets and sticky extension headers need CAP_NET_RAW
where: execute fresh session build
expect: raw=ENOSYS fragment=ENOSYS ping=ENOSYS headers=EPERM
unlocked: raw=EPERM fragment=EPERM ping=EACCES
"""
found("raw", call("socket", socket.AF_INET6, socket.SOCK_RAW, 255))
found("fragment", call("socket", socket.AF_INET6, socket.SOCK_RAW, 44))
found("ping", call("socket", socket.AF_INET6, socket.SOCK_DGRAM, 58))
datagram = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
found("headers", attempt(datagram.setsockopt, socket.IPPROTO_IPV6, 54, bytes(8)))
