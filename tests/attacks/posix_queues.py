"""POSIX message queues

source: CVE-2017-11176 (mq_notify); sandbox2's default denials
tries: opens, unlinks and is notified of queues; looks for /dev/mqueue
lock: seccomp: EPERM and ENOSYS
second: an ipc namespace of its own; RLIMIT_MSGQUEUE 0
where: execute fresh session build
expect: open=EPERM unlink=EPERM notify=ENOSYS send=ENOSYS mounted=no
unlocked: open=EMFILE|ok|EPERM|ENOENT unlink=ENOENT notify=EBADF send=EBADF
"""
name = ctypes.c_char_p(b"q")
found("open", call("mq_open", name, os.O_RDWR | os.O_CREAT, 0o600, 0))
found("unlink", call("mq_unlink", name))
found("notify", call("mq_notify", -1, 0))
found("send", call("mq_timedsend", -1, name, 1, 0, 0))
found("mounted", "yes" if os.path.exists("/dev/mqueue") else "no")
