"""The mount API of descriptors

source: CVE-2022-0185 (fsconfig); isolate, minijail: filters older than these calls miss them
tries: fsopen, fsconfig, fsmount, open_tree, move_mount, mount_setattr, fspick, listmount
lock: seccomp: EPERM, and ENOSYS for what the table does not name
second: no CAP_SYS_ADMIN over the mount namespace
where: execute fresh session build
expect: fsopen=EPERM fsconfig=EPERM fsmount=EPERM tree=EPERM move=EPERM setattr=EPERM fspick=EPERM
    listmount=ENOSYS statmount=ENOSYS
unlocked: fsconfig=EBADF|EINVAL fsmount=EPERM|EBADF tree=EPERM|ok move=EPERM
    listmount=EPERM|ENOENT|EINVAL|ok|EFAULT statmount=EPERM|ENOENT|EINVAL|EFAULT|ok
"""
text = ctypes.c_char_p
found("fsopen", call("fsopen", text(b"ext4"), 0))
found("fsconfig", call("fsconfig", -1, 1, text(b"a" * 4000), text(b"b"), 0))
found("fsmount", call("fsmount", -1, 0, 0))
found("tree", call("open_tree", -100, text(b"/"), 1))
found("move", call("move_mount", -100, text(b"/usr"), -100, text(b"/tmp"), 0))
found("setattr", call("mount_setattr", -100, text(b"/"), 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32))
found("fspick", call("fspick", -100, text(b"/"), 0))
request = (ctypes.c_uint64 * 8)(32, 0xffffffffffffffff, 0, 0)
found("listmount", call("listmount", request, (ctypes.c_uint64 * 64)(), 64, 0))
found("statmount", call("statmount", request, ctypes.create_string_buffer(512), 512, 0))
