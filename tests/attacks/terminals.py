"""Typing into a terminal, and the drivers behind it

source: CVE-2017-5226 (TIOCSTI, bubblewrap), CVE-2023-28100 (TIOCLINUX, flatpak), CVE-2017-2636
    (n_hdlc), CVE-2023-6546 (n_gsm); R16
tries: TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, KDSKBENT and SIOC calls on a terminal of its own
lock: seccomp: an allow-list of ioctls
second: no controlling terminal, no /dev/console, no terminal of the host
where: execute fresh session build
expect: sti=ENOSYS linux=ENOSYS setd=ENOSYS console=ENOSYS keyboard=ENOSYS vt=ENOSYS tty=ENXIO|ENOENT
unlocked: sti=EPERM|EIO|ok linux=ENOTTY|EINVAL|EPERM setd=ok|EINVAL|EPERM|EIO console=EPERM|EINVAL
    keyboard=ENOTTY vt=ENOTTY
"""
import fcntl

master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
for name, number in (("sti", 0x5412), ("linux", 0x541c), ("setd", 0x5423), ("console", 0x541d),
                     ("keyboard", 0x4b47), ("vt", 0x5600)):
    found(name, attempt(fcntl.ioctl, master, number, bytes([21, 0, 0, 0]) + bytes(60)))
found("tty", attempt(os.open, "/dev/tty", os.O_RDWR))
