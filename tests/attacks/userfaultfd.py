"""Page faults that wait as long as an exploit wants

source: CVE-2016-2069 class: kernel races held open by userfaultfd or FUSE
tries: the call and the device
lock: seccomp: EPERM; the device is not in /dev
second: vm.unprivileged_userfaultfd 0 leaves faults of user mode
where: execute fresh session build
expect: call=EPERM user=EPERM device=ENOENT fuse=ENOENT
unlocked: call=EPERM|ok user=ok
"""
found("call", call("userfaultfd", 0))
found("user", call("userfaultfd", 1))
found("device", attempt(os.open, "/dev/userfaultfd", os.O_RDWR))
found("fuse", attempt(os.open, "/dev/fuse", os.O_RDWR))
