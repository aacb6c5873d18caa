"""Urgent data on local sockets

source: CVE-2025-38236 (Project Zero, August 2025: from Chrome's renderer to the kernel)
tries: sends and receives with MSG_OOB over a socket pair
lock: seccomp: no message flag MSG_OOB or MSG_ZEROCOPY
second: none
where: execute fresh session build
expect: send=ENOSYS receive=ENOSYS sendmsg=ENOSYS zerocopy=ENOSYS
unlocked: send=ok receive=ok|EINVAL sendmsg=ok zerocopy=ok
"""
a, b = socket.socketpair()
b.setblocking(False)
found("send", attempt(a.send, b"x", socket.MSG_OOB))
found("receive", attempt(b.recv, 1, socket.MSG_OOB))
found("sendmsg", attempt(a.sendmsg, [b"x"], [], socket.MSG_OOB))
found("zerocopy", attempt(a.send, b"x", 0x4000000))
