"""The host's pool of huge pages

source: own review: no memory limit of a group counts hugetlb pages
tries: maps huge pages, makes a memfd and a System V segment of them
lock: seccomp: no MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB
second: none where the operator has filled the pool
where: execute fresh session build
expect: map=ENOSYS memfd=ENOSYS shm=ENOSYS transparent=ok
unlocked: map=ENOMEM|ok memfd=ok shm=EPERM|ENOMEM|ok
"""
found("map", call("mmap", 0, 2 << 20, 3, 0x40022, -1, 0))
found("memfd", call("memfd_create", ctypes.c_char_p(b"x"), 4))
found("shm", call("shmget", 0, 2 << 20, 0o4600))
page = raw(NR["mmap"], 0, 4 << 20, 3, 0x22, -1, 0)
found("transparent", "ok" if call("madvise", page, 4 << 20, 14) in ("ok", "EINVAL") else "refused")
