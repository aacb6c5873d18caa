"""Controls of block devices, loops, consoles and file systems

source: CVE-2022-0185 class; LOOP_SET_FD, FIBMAP, BLKDISCARD; docker's default profile
tries: device controls on whatever is open
lock: seccomp: an allow-list of ioctls
second: no such device can be opened; most need a capability
where: execute fresh session build
expect: fibmap=ENOSYS discard=ENOSYS loop=ENOSYS scsi=ENOSYS kvm=ENOSYS setflags=ENOSYS freeze=ENOSYS
    idmap=ENOSYS encrypt=ENOSYS dedupe=ENOSYS
unlocked: fibmap=ENOTTY|EPERM|EINVAL discard=ENOTTY loop=ENOTTY scsi=ENOTTY kvm=ENOTTY
    setflags=ENOTTY|EPERM|ok|EOPNOTSUPP freeze=ENOTTY|EPERM|EOPNOTSUPP idmap=ENOTTY encrypt=ENOTTY
    dedupe=ENOTTY|EINVAL|ENOTSUP|ok
"""
import fcntl

fd = os.open("/tmp/file", os.O_RDWR | os.O_CREAT)
for name, number in (("fibmap", 1), ("discard", 0x1277), ("loop", 0x4c00), ("scsi", 0x2285),
                     ("kvm", 0xae01), ("setflags", 0x40086602), ("freeze", 0xc0045877),
                     ("idmap", 0xb701), ("encrypt", 0x800c6613), ("dedupe", 0xc0189436)):
    found(name, attempt(fcntl.ioctl, fd, number, bytes(64)))
