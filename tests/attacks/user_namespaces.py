"""Nested user namespaces, by every call that makes one

source: CVE-2018-18955, CVE-2022-0492, CVE-2026-43284 (all need one); R70
tries: unshare, clone and clone3 with CLONE_NEWUSER and with each other namespace
lock: seccomp: no namespace flags; clone3 answers ENOSYS because its flags are in memory
second: user.max_user_namespaces is 0 in the sandbox's own namespace; the others need CAP_SYS_ADMIN
where: execute fresh session build
expect: user=EPERM mount=EPERM net=EPERM pid=EPERM time=EPERM clone=ENOSYS clone3=ENOSYS
unlocked: user=ENOSPC clone=ENOSPC clone3=ENOSPC
"""
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000),
                   ("pid", 0x20000000), ("time", 0x80)):
    found(name, call("unshare", flag))


def cloned(result):
    """The result of a clone, without a child of it going on."""
    if result == 0:
        os._exit(0)
    return "ok" if result > 0 else errno.errorcode[-result]


found("clone", cloned(raw(NR["clone"], 0x10000011, 0, 0, 0, 0)))
found("clone3", cloned(raw(NR["clone3"], (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17), 88)))
