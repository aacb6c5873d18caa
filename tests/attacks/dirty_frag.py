"""Dirty Frag: xfrm, key and RxRPC sockets on the way to ESP

source: CVE-2026-43284, CVE-2026-43500 (flatcar #2126, talos #13314)
tries: opens NETLINK_XFRM, PF_KEY and RxRPC, and turns a UDP socket into an ESP tunnel
lock: seccomp: socket families and netlink protocols are an allow-list, so are socket options
second: no CAP_NET_ADMIN in the network namespace, no user namespace to get it in
where: execute fresh session build
expect: xfrm=ENOSYS key=ENOSYS rxrpc=ENOSYS encap=ENOSYS
unlocked: xfrm=EPROTONOSUPPORT|ok key=EAFNOSUPPORT|EPERM rxrpc=EAFNOSUPPORT|EPERM|ok
    encap=EPERM|ENOPROTOOPT|ok
"""
found("xfrm", call("socket", socket.AF_NETLINK, socket.SOCK_RAW, 6))
found("key", call("socket", 15, socket.SOCK_RAW, 2))
found("rxrpc", call("socket", 33, socket.SOCK_DGRAM, socket.AF_INET))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found("encap", attempt(udp.setsockopt, socket.IPPROTO_UDP, 100, 2))
