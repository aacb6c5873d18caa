"""Extended attributes without end

source: security.md: tmpfs attributes are kernel memory; R53
tries: gives files user attributes until it is refused
lock: tmpfs counts them against its inodes; ext4 against the block; the memory limit
second: no trusted or system attribute can be set; a security one means nothing on a nosuid mount
where: execute fresh session durable
expect: user=refused trusted=EPERM|EOPNOTSUPP security=EPERM|ok system=EOPNOTSUPP|EPERM|EINVAL
request: {"limits": {"memory_mb": 64}}
"""
result = "endless"
for number in range(4000):
    try:
        with open(f"/tmp/a{number % 50}", "w"):
            pass
        os.setxattr(f"/tmp/a{number % 50}", f"user.x{number}", bytes(30000))
    except OSError as error:
        result = "refused"
        break
found("user", result)
found("trusted", attempt(os.setxattr, "/tmp/a0", "trusted.overlay.opaque", b"y"))
found("security", attempt(os.setxattr, "/tmp/a0", "security.selinux", b"y"))
found("system", attempt(os.setxattr, "/tmp/a0", "system.posix_acl_access", b"y"))
