"""Device nodes: those there are, and new ones

source: CVE-2022-0492's sibling (mknod of the host's disk); R23
tries: opens the dangerous devices, makes nodes for the disk and /dev/mem
lock: /dev is a tmpfs with six harmless nodes; seccomp: mknod makes none
second: no CAP_MKNOD; writable mounts are nodev
where: execute fresh session durable build
expect: there=none memory=EPERM|ENOSYS disk=EPERM|ENOSYS
unlocked: memory=EPERM disk=EPERM
"""
names = ("mem kmem port kmsg kvm fuse loop-control loop0 net/tun userfaultfd vhost-net vhost-vsock sda "
         "vda nvme0n1 console tty0 hpet rtc0 snapshot uinput input/event0 dri/card0 cpu/0/msr btrfs-control "
         "mapper/control ppp vfio/vfio nbd0 watchdog mqueue hugepages").split()
there = [name for name in names if attempt(os.open, "/dev/" + name, os.O_RDONLY) == "ok"]
found("there", "none" if not there else ",".join(there))
found("memory", call("mknodat", -100, ctypes.c_char_p(b"/tmp/mem"), 0o20666, 0x101))
found("disk", call("mknodat", -100, ctypes.c_char_p(b"/tmp/disk"), 0o60666, 0x800))
