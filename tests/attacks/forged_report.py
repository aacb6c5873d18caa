"""Frames for the server, written wherever something is open

source: both predecessors; judge0: verdicts in stdout; R48
tries: writes frames of an EXIT with status 0 and an end into every descriptor, then fails
lock: a run has no descriptor of the channel: 0, 1 and 2 are pipes of bytes
second: the status comes from wait(2) by pid 1, usage from the control group
where: execute fresh session durable
expect: descriptors=0,1,2
exit: 7
"""
import struct

FRAMES = b"".join(struct.pack("=II", kind, 16) + bytes(16) for kind in (20, 23, 16, 21, 22, 24))
descriptors = [fd for fd in range(4096) if attempt(os.fstat, fd) == "ok"]
found("descriptors", ",".join(map(str, descriptors)))
for fd in descriptors:
    if fd != 1:
        attempt(os.write, fd, FRAMES)
for fd in descriptors:
    one = None
    try:
        one = socket.socket(fileno=os.dup(fd))
        one.send(FRAMES)
    except OSError:
        pass
os._exit(7)
