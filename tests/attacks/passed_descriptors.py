"""Descriptors in flight: floods, rings, forged credentials

source: CVE-2021-0920 and CVE-2013-4312 (unix garbage collection), R55
tries: sends descriptors that hold themselves, as many as go, and credentials of pid 1 and root
lock: the kernel's bound by user; descriptors and memory are limited
second: each sandbox has a host uid of its own, so the bound is its own
where: execute fresh session
expect: flood=EAGAIN|ETOOMANYREFS|EMFILE pid=EPERM uid=EPERM own=ok
"""
import array
import struct

a, b = socket.socketpair()
a.setblocking(False)
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [a.fileno(), b.fileno()] * 100))
sent = "ok"
while sent == "ok":
    sent = attempt(a.sendmsg, [b"x"], [rights])
found("flood", sent)
for name, pid, uid in (("pid", 1, os.getuid()), ("uid", os.getpid(), 0),
                       ("own", os.getpid(), os.getuid())):
    c, d = socket.socketpair()
    forged = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", pid, uid, os.getgid()))
    found(name, attempt(c.sendmsg, [b"x"], [forged]))
