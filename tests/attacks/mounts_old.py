"""The old calls on mounts

source: CVE-2022-0492, CVE-2023-0386 and CVE-2021-3493 (overlayfs), CVE-2023-2640; R20
tries: mounts tmpfs, proc, overlay and a bind, remounts / writable, unmounts, pivots, changes root
lock: seccomp: EPERM
second: no CAP_SYS_ADMIN over the mount namespace; in a build root has SYS_CHROOT only
where: execute fresh session durable
expect: tmpfs=EPERM proc=EPERM overlay=EPERM bind=EPERM remount=EPERM umount=EPERM pivot=EPERM
    chroot=EPERM
"""
text = ctypes.c_char_p
os.makedirs("/tmp/m", exist_ok=True)
for kind in ("tmpfs", "proc", "overlay"):
    found(kind, call("mount", text(b"x"), text(b"/tmp/m"), text(kind.encode()), 0,
                     text(b"lowerdir=/usr,upperdir=/tmp,workdir=/tmp") if kind == "overlay" else 0))
found("bind", call("mount", text(b"/usr"), text(b"/tmp/m"), 0, 0x1000, 0))
found("remount", call("mount", 0, text(b"/"), 0, 0x20, 0))
found("umount", call("umount2", text(b"/proc"), 2))
found("pivot", call("pivot_root", text(b"/tmp"), text(b"/tmp/m")))
found("chroot", call("chroot", text(b"/tmp")))
