"""Shocker: files by handle instead of by path

source: shocker.c (docker 2014), CVE-2014-3519
tries: makes handles of system files, opens invented ones of the root inode, walks inode numbers
lock: seccomp: EPERM
second: open_by_handle_at needs CAP_DAC_READ_SEARCH in the first user namespace
where: execute fresh session durable build
expect: name=EPERM open=EPERM guess=EPERM
unlocked: name=ok|EOPNOTSUPP|EOVERFLOW guess=EPERM|ESTALE open=EPERM
"""
text = ctypes.c_char_p
handle, mount = ctypes.create_string_buffer(136), ctypes.c_int()
handle[0] = b"\x80"
found("name", call("name_to_handle_at", -100, text(b"/usr"), handle, ctypes.byref(mount), 0))
usr = os.open("/usr", os.O_RDONLY)
found("open", call("open_by_handle_at", usr, handle, os.O_RDONLY))
answers = set()
for inode in (2, 12, 128, 256):
    guess = ctypes.create_string_buffer(136)
    ctypes.memmove(guess, (ctypes.c_uint32 * 4)(8, 1, inode, 0), 16)
    answers.add(call("open_by_handle_at", usr, guess, os.O_RDONLY))
found("guess", answers.pop() if len(answers) == 1 else "many")
