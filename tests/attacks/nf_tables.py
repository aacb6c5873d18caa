"""Packet filters from inside

source: CVE-2022-32250, CVE-2023-32233, CVE-2024-1086 (nf_tables); CVE-2021-22555 (iptables)
tries: opens NETLINK_NETFILTER, and replaces tables through socket options
lock: seccomp: of netlink only ROUTE, and no socket options from 64 on
second: no CAP_NET_ADMIN over the network namespace
where: execute fresh session build
expect: netlink=ENOSYS replace4=ENOSYS replace6=ENOSYS counters=ENOSYS
unlocked: netlink=EPROTONOSUPPORT|ok replace4=EPERM|ENOPROTOOPT replace6=EPERM|ENOPROTOOPT
    counters=EPERM|ENOPROTOOPT
"""
found("netlink", call("socket", socket.AF_NETLINK, socket.SOCK_RAW, 12))
four, six = socket.socket(), socket.socket(socket.AF_INET6)
found("replace4", attempt(four.setsockopt, 0, 64, bytes(512)))
found("replace6", attempt(six.setsockopt, 41, 64, bytes(512)))
found("counters", attempt(four.setsockopt, 0, 65, bytes(512)))
