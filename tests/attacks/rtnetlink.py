"""Links, addresses, routes and queue disciplines through NETLINK_ROUTE

source: CVE-2022-2588, CVE-2023-3609 (net/sched); R60
tries: adds a dummy link, an address, a route and a queue discipline to the loopback
lock: no CAP_NET_ADMIN over the network namespace
second: the namespace is the sandbox's own and has no way out
where: execute fresh session build
expect: link=EPERM address=EPERM route=EPERM qdisc=EPERM filter=EPERM down=ENOSYS
unlocked: down=EPERM
"""
import struct

netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
netlink.bind((0, 0))


def ask(kind, body):
    """The errno's name that the kernel answers to a request with NLM_F_CREATE and NLM_F_ACK."""
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, 0x405, 1, 0) + body)
    return errno.errorcode.get(-struct.unpack_from("=i", netlink.recv(4096), 16)[0], "ok")


found("link", ask(16, struct.pack("=BxHiII", 0, 0, 0, 0, 0)))
found("address", ask(20, struct.pack("=BBBBI", 2, 8, 0, 0, 1) + struct.pack("=HHI", 8, 2, 0x0a0a0a0a)))
found("route", ask(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1)))
found("qdisc", ask(36, struct.pack("=BxHiIII", 0, 0, 1, 0, 0xffffffff, 0)))
found("filter", ask(44, struct.pack("=BxHiIII", 0, 0, 1, 0, 0xffffffff, 0)))
found("down", call("ioctl", netlink.fileno(), 0x8914, ctypes.create_string_buffer(b"lo", 40)))
