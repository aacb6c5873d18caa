"""A session without a server: tests speak to a sandbox's init as src/wire/session.h says."""
import collections
import os
import select
import socket
import struct
import time

import nest as nests
from slowness import stretched

FRAME_SESSION = 5
EXEC, ADMIT, CHILD, RUN, SIGNAL, RESIZE, FILE, STOP = range(1, 9)
UP, STARTED, ADMITTED, READY, ENDED, STOPPED, FAILED = range(32, 39)
TERMINAL, SCRIPT, TEMPORARY, FOREGROUND = 1, 2, 4, 8
PROCESS, GROUP, ALL = range(3)
HEAD = struct.Struct("=II")
END = struct.Struct("=iiQQQ")
ENV = {"PATH": nests.PATH, "HOME": "/workspace", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
       "PYTHONPATH": "/workspace"}

End = collections.namedtuple("End", "status error cpu_us memory_peak wall_us text")


def memory_file(data):
    """A file that holds ``data``, at its start."""
    fd = os.memfd_create("data")
    os.write(fd, data.encode() if isinstance(data, str) else data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def strings(*words):
    """Words as the protocol has them."""
    return b"".join((w if isinstance(w, bytes) else os.fsencode(w)) + b"\0" for w in words)


class Session:
    """The server's side of one session in a new sandbox of ``nest``.

    ``workspace`` (sandbox) returns the detached mount of a durable one; without it the workspace is in
    memory, ``mb`` large.
    """

    def __init__(self, nest, workspace=None, mb=64):
        self.nest, self.sandbox, self.ids = nest, nest.open(), 0
        self.sandbox.expect(nests.READY)
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(30)
        fds = [theirs.fileno()]
        if workspace is not None:
            fds.append(workspace(self.sandbox))
        head = struct.pack("=IIII", FRAME_SESSION, 8, mb, len(fds) - 1)
        socket.send_fds(self.sandbox.control, [head], fds)
        theirs.close()
        for fd in fds[1:]:
            os.close(fd)
        self.heard = []  # (op, id, what follows) that nobody has waited for yet
        self.wait(UP, 0)

    def close(self):
        self.sock.close()
        self.sandbox.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def init_pid(self):
        """Of init, as the host counts."""
        return nests.pid_of(self.sandbox.pidfd)

    def say(self, op, number=0, payload=b"", fds=()):
        socket.send_fds(self.sock, [HEAD.pack(op, number) + payload], list(fds))

    def wait(self, op, number, seconds=30):
        """What follows the head of the next message of this kind; others are kept."""
        end = time.monotonic() + stretched(seconds)
        while True:
            for at, (kind, whose, rest) in enumerate(self.heard):
                if (kind, whose) == (op, number):
                    del self.heard[at]
                    return rest
                assert not (kind == ENDED and whose == number) and kind != FAILED, (kind, rest)
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            data = self.sock.recv(1 << 17)
            if not data:
                raise ConnectionError("init went away")
            self.heard.append((*HEAD.unpack_from(data), data[HEAD.size:]))

    def ended(self, number, seconds=30):
        """The End of a process: status is an exit code or minus a signal."""
        rest = self.wait(ENDED, number, seconds)
        status, *others = END.unpack_from(rest)
        return End(os.waitstatus_to_exitcode(status), *others, rest[END.size:].decode())

    def start(self, argv, fds=None, cwd="", env=None, flags=FOREGROUND, script=None, size=(0, 0)):
        """Starts a program with these descriptors as stdin, stdout, stderr, or a stream for its
        terminal; its id.  script: (path, text)."""
        self.ids += 1
        pairs = [f"{k}={v}" for k, v in {**ENV, **(env or {})}.items()]
        opened = []
        if fds is None:
            fds = [os.open("/dev/null", os.O_RDWR)] * 3
            opened.append(fds[0])
        if script is not None:
            flags |= SCRIPT
            opened.append(memory_file(script[1]))
            fds = [*fds, opened[-1]]
        payload = struct.pack("=IIIHH", flags, len(argv), len(pairs), *size)
        payload += strings(cwd, script[0] if script else "", *argv, *pairs)
        self.say(EXEC, self.ids, payload, fds)
        for fd in opened:
            os.close(fd)
        return self.ids

    def run(self, argv, stdin=b"", seconds=30, **more):
        """Runs a program to its end; (End, stdout, stderr)."""
        out, err = os.pipe(), os.pipe()
        given = memory_file(stdin)
        number = self.start(argv, [given, out[1], err[1]], **more)
        for fd in (given, out[1], err[1]):
            os.close(fd)
        texts = read_all([out[0], err[0]], seconds)
        return self.ended(number, seconds), *texts

    def shell(self, script, **more):
        """What a shell script prints; it must succeed."""
        end, out, err = self.run(["bash", "-c", script], **more)
        assert end.status == 0 and end.error == 0, (end, out, err)
        return out.decode()

    def signal(self, number, signal, scope=GROUP):
        self.say(SIGNAL, number, struct.pack("=II", signal, scope))

    def terminal(self, argv, size=(24, 80), **more):
        """Starts a program on a terminal; (id, our end of its stream)."""
        ours, theirs = socket.socketpair()
        number = self.start(argv, [theirs.fileno()], flags=TERMINAL | FOREGROUND, size=size, **more)
        theirs.close()
        ours.settimeout(20)
        return number, ours

    def join(self):
        """Has a warm interpreter join; (id, pid, stdout, stderr)."""
        self.ids += 1
        number = self.ids
        self.say(ADMIT, number)
        self.wait(ADMITTED, number)
        out, err, status = os.pipe(), os.pipe(), os.pipe()
        job, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.nest.join(self.sandbox, [out[1], err[1], theirs.fileno(), status[1]])
        self.say(CHILD, number, b"", [job.fileno(), status[0]])
        for fd in (out[1], err[1], *status):
            os.close(fd)
        for sock in (job, theirs):
            sock.close()
        pid = struct.unpack("=II", self.wait(READY, number))[0]
        return number, pid, out[0], err[0]

    def give(self, joined, code, args=(), stdin=b"", flags=FOREGROUND, path="/tmp/.run/main.py", env=None,
             level="off"):
        """Gives a Python program to one that has joined."""
        pairs = [f"{k}={v}" for k, v in {**ENV, **(env or {})}.items()]
        head = nests.JOB_HEAD.pack(0, 0, 0, 0, len(args), len(pairs), 0)
        payload = struct.pack("=I", flags | SCRIPT) + strings(path)
        payload += head + strings(path, level, "", *args, *pairs)
        fds = [memory_file(stdin), memory_file(code)]
        self.say(RUN, joined[0], payload, fds)
        for fd in fds:
            os.close(fd)

    def python(self, code, **more):
        """Runs Python code warm, to its end; (End, stdout, stderr)."""
        joined = self.join()
        self.give(joined, code, **more)
        texts = read_all(joined[2:])
        return self.ended(joined[0]), *texts

    def file_call(self, op, path="", other="", flags=0, offset=0, size=0, mode=0, limit=0, data=b""):
        """Everything that a call on files answers."""
        ours, theirs = socket.socketpair()
        what = struct.pack("=IIQQII", op, flags, offset, size, mode, limit)
        self.say(FILE, 0, what + strings(path, other), [theirs.fileno()])
        theirs.close()
        ours.settimeout(20)
        if data:
            ours.sendall(data)
        answer = b"".join(iter(lambda: ours.recv(65536), b""))
        ours.close()
        return answer


def read_all(fds, seconds=30):
    """What comes of each descriptor up to its end, which closes it."""
    texts = {fd: b"" for fd in fds}
    still, end = set(fds), time.monotonic() + stretched(seconds)
    while still:
        found = select.select(list(still), [], [], max(end - time.monotonic(), 0))[0]
        assert found, f"no end of the output in {seconds} s: {texts}"
        for fd in found:
            piece = os.read(fd, 65536)
            texts[fd] += piece
            if not piece:
                still.remove(fd)
                os.close(fd)
    return [texts[fd] for fd in fds]


def read_until(sock, wanted):
    """What comes up to and with ``wanted``."""
    text = b""
    while wanted not in text:
        piece = sock.recv(4096)
        assert piece, f"the end, and no {wanted!r} in {text!r}"
        text += piece
    return text
