"""Pages merged with those of other tenants

source: "Dedup Est Machina" (2016), Flip Feng Shui (2016), CVE-2024-0564 (KSM)
tries: offers its memory to the kernel's same-page merging
lock: seccomp: no MADV_MERGEABLE, no PR_SET_MEMORY_MERGE
second: the kernel's daemon is off unless the operator turns it on
where: execute fresh session build
expect: madvise=ENOSYS prctl=ENOSYS poison=ENOSYS
unlocked: madvise=ok|EINVAL prctl=ok|EINVAL|EPERM poison=EPERM|EINVAL
"""
page = raw(NR["mmap"], 0, 4096, 3, 0x22, -1, 0)
found("madvise", call("madvise", page, 4096, 12))
found("prctl", call("prctl", 67, 1, 0, 0, 0))
found("poison", call("madvise", page, 4096, 100))
