"""Watching what others do with shared files, and using up the watches of a user

source: R71; tests/test_attack_siblings.py; CVE-2022-0998 class; snekbox's shared interpreter
tries: inotify, fanotify, F_NOTIFY, leases
lock: seccomp: EPERM, and fcntl's operations are an allow-list
second: max_user_watches by user; fanotify on mounts needs CAP_SYS_ADMIN
where: execute fresh session build
expect: inotify=EPERM watch=EPERM fanotify=EPERM notify=ENOSYS lease=ENOSYS
unlocked: inotify=ok watch=EBADF fanotify=ok|EPERM notify=ok lease=EACCES|ok
"""
import fcntl

found("inotify", call("inotify_init1", 0))
found("watch", call("inotify_add_watch", -1, ctypes.c_char_p(b"/usr"), 0xfff))
found("fanotify", call("fanotify_init", 0x200, 0))
found("notify", attempt(fcntl.fcntl, os.open("/usr/bin", os.O_RDONLY), fcntl.F_NOTIFY, 1))
found("lease", attempt(fcntl.fcntl, os.open("/usr/bin/env", os.O_RDONLY), fcntl.F_SETLEASE, 0))
