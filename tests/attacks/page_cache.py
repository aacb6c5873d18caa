"""Which pages of shared files others have used

source: Page Cache Attacks (Gruss 2019, CVE-2019-5489), CVE-2025-21691 (cachestat)
tries: mincore, preadv2 with RWF_NOWAIT and cachestat on the system's files
lock: seccomp: no cachestat, no RWF_NOWAIT; mincore tells only about files that one may write
second: the files belong to others on a read-only mount; timing remains (not promised)
where: execute fresh session
expect: cachestat=ENOSYS nowait=ENOSYS mincore=uniform
unlocked: cachestat=EPERM|ok|EROFS|EACCES nowait=ok|EAGAIN|ENOTSUP
"""
with open("/usr/bin/perl" if os.path.exists("/usr/bin/perl") else "/bin/bash", "rb") as program:
    size = os.fstat(program.fileno()).st_size & ~4095
    page = raw(NR["mmap"], 0, size, 1, 2, program.fileno(), 0)
    seen = ctypes.create_string_buffer(size // 4096)
    raw(NR["mincore"], page, size, seen)
    found("mincore", "uniform" if len({byte & 1 for byte in seen.raw}) == 1 else "differs")
    wanted, told = (ctypes.c_uint64 * 2)(0, size), (ctypes.c_uint64 * 5)()
    found("cachestat", errno.errorcode[-raw(451, program.fileno(), wanted, told, 0)]
          if raw(451, program.fileno(), wanted, told, 0) < 0 else "ok")
    buffer = ctypes.create_string_buffer(16)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 16)
    found("nowait", call("preadv2", program.fileno(), vector, 1, 0, 0, 8))
