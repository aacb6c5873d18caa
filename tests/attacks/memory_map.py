"""Page zero, the memory map, vsyscall, personality

source: CVE-2009-1897 and CVE-2009-2692 (null pointers), CVE-2018-1000199; R71
tries: maps page 0 in every way, moves its own memory map, reads as executable, fixed addresses
lock: vm.mmap_min_addr; seccomp: no PR_SET_MM, no personality
second: no CAP_SYS_RAWIO; CAP_SYS_RESOURCE for PR_SET_MM
where: execute fresh session build
expect: zero=EPERM low=EPERM grow=EPERM move=EPERM|ENOMEM|EINVAL|EFAULT mm=ENOSYS exec=ENOSYS
    norandom=ENOSYS kernel=ENOMEM|EINVAL
unlocked: mm=EPERM|EINVAL|ok exec=ok norandom=ok
"""
PRIVATE_FIXED = 0x32
found("zero", call("mmap", 0, 4096, 3, PRIVATE_FIXED, -1, 0))
found("low", call("mmap", 0x1000 - 0x1000, 8192, 7, PRIVATE_FIXED, -1, 0))
found("grow", call("mmap", 0, 4096, 3, PRIVATE_FIXED | 0x100, -1, 0))
page = raw(NR["mmap"], 0, 4096, 3, 0x22, -1, 0)
found("move", call("mremap", page, 4096, 4096, 3, 0))
found("mm", call("prctl", 35, 8, 4096, 0, 0))
found("exec", call("personality", 0x0400000))
found("norandom", call("personality", 0x0040000))
found("kernel", call("mmap", 0xffffffff81000000 - (1 << 64), 4096, 3, PRIVATE_FIXED, -1, 0))
