"""Dirty Pipe: pages of files spliced into pipes

source: CVE-2022-0847
tries: splices a page of a read-only program into a pipe and writes behind it
lock: seccomp: splice, tee and vmsplice answer EPERM
second: the page belongs to a private copy of the system, not to the host's file
where: execute fresh session build
expect: splice=EPERM tee=EPERM vmsplice=EPERM file=same
unlocked: splice=ok tee=ok|EAGAIN vmsplice=ok file=same
"""
with open("/usr/bin/env", "rb") as program:
    before = program.read(64)
    out, into = os.pipe()
    other_out, other_into = os.pipe()
    for _ in range(16):
        os.write(into, bytes(4096))
    while os.read(out, 4096) and len(select_ready := __import__("select").select([out], [], [], 0)[0]):
        pass
    offset = ctypes.c_int64(1)
    found("splice", call("splice", program.fileno(), ctypes.byref(offset), into, 0, 1, 0))
    os.write(into, b"overwritten")
    found("tee", call("tee", out, other_into, 1, 0))
    buffer = ctypes.create_string_buffer(8)
    found("vmsplice", call("vmsplice", into, (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8), 1, 0))
    found("file", "same" if open("/usr/bin/env", "rb").read(64) == before else "changed")
