"""Kinds of the soak: clients that go away in the middle, and slow ones."""
import contextlib
import io
import json
import socket
import time

from caller import events_of, read_reply, require, require_fields, texts
from mix import paced

SMALL_BUFFER = 4096  # bytes that the kernel receives for a slow reader
SLOW_SECONDS = 1.5  # that a slow client takes for what others do at once


@paced(600)
def gone_during_run(caller):
    """A client that closes while its run goes on."""
    code = f"import time\ntime.sleep(60)  # {caller.nonce()}"
    sock = caller.open("POST", "/execute", {"code": code, "timeout": 60})
    time.sleep(caller.rng.uniform(0, 0.2))
    sock.close()


@paced(400)
def gone_by_reset(caller):
    """The same with a reset of the connection."""
    sock = caller.open("POST", "/execute", {"code": "while True: pass", "timeout": 60})
    time.sleep(caller.rng.uniform(0, 0.1))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


@paced(400)
def gone_during_stream(caller):
    """A client that closes while events come."""
    code = "import time\nwhile True:\n    print('x' * 1000, flush=True)\n    time.sleep(0.002)"
    with caller.open("POST", "/execute", {"code": code, "stream": True, "timeout": 60}) as sock:
        require(b"200" in sock.recv(4096), "no stream")
        time.sleep(caller.rng.uniform(0, 0.2))


@paced(400)
def gone_during_answer(caller):
    """A client that closes with most of a large answer unread."""
    with caller.open("POST", "/execute", {"code": "print('x' * 3_000_000)"},
                     receive_buffer=SMALL_BUFFER) as sock:
        require(b"200" in sock.recv(1000), "no answer")


@paced(400)
def gone_during_upload(caller):
    """A client that closes in the middle of its body."""
    with caller.connect() as sock:
        size = caller.rng.randrange(1000, 4_000_000)
        sock.sendall(f"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {size}\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            sock.sendall(b'{"code": "' + b"x" * (size // 2))


@paced(400)
def gone_without_a_word(caller):
    """A connection that is closed before, or within, the first line."""
    with caller.connect() as sock:
        sock.sendall(b"POST /exec"[:caller.rng.randrange(10)])


@paced(300)
def pipelined(caller):
    """Three requests at once on one connection: three answers in order."""
    nonces = [caller.nonce() for _ in range(3)]
    bodies = [json.dumps({"code": f"print('{nonce}')"}).encode() for nonce in nonces]
    with caller.connect() as sock:
        sock.sendall(b"".join(
            b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies))
        # One reader for all: what it has read ahead of one answer belongs to the next.
        with sock.makefile("rb") as stream:
            for nonce in nonces:
                answer = read_reply(_Stream(stream))
                require_fields(answer, stdout=nonce + "\n", success=True)


class _Stream:
    """What http.client.HTTPResponse takes for a socket: a file that stays open."""

    def __init__(self, stream):
        self._stream = stream

    def makefile(self, _mode):
        """This object, as the file."""
        return self

    def close(self):
        """Leaves the file open for the next answer."""

    def flush(self):
        """Nothing is written."""

    def __getattr__(self, name):
        return getattr(self._stream, name)


@paced(300)
def slow_sender(caller):
    """A body in pieces."""
    nonce = caller.nonce()
    body = json.dumps({"code": f"print('{nonce}')", "files": {"pad": "AAAA" * 20_000}}).encode()
    with caller.connect() as sock:
        sock.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body))
        step = len(body) // 10 + 1
        for start in range(0, len(body), step):
            sock.sendall(body[start:start + step])
            time.sleep(SLOW_SECONDS / 10)
        require_fields(read_reply(sock), stdout=nonce + "\n", success=True)


@paced(300)
def slow_reader(caller):
    """A large answer that is read in pieces with pauses."""
    nonce = caller.nonce()
    with caller.open("POST", "/execute", {"code": f"print('{nonce}' * 150_000)"},
                     receive_buffer=SMALL_BUFFER) as sock:
        answer = read_reply(_Slow(sock))
        require(answer["stdout"] == nonce * 150_000 + "\n", "stdout is wrong")


@paced(300)
def slow_stream_reader(caller):
    """A stream of events that is read in pieces with pauses."""
    nonce = caller.nonce()
    code = f"for i in range(1000):\n    print('{nonce}' * 100)"
    with caller.open("POST", "/execute", {"code": code, "stream": True},
                     receive_buffer=SMALL_BUFFER) as sock:
        events = events_of(read_reply(_Slow(sock)).data)
        wanted = (nonce * 100 + "\n") * 1000
        require(texts(events, "stdout") == wanted == events[-1][1]["stdout"], "stdout is wrong")


class _Slow(io.RawIOBase):
    """A socket, and the file to read from it, with a pause before each of the first ten reads."""

    def __init__(self, sock):
        self._sock = sock
        self._pauses = 10

    def makefile(self, _mode):
        """The file that http.client.HTTPResponse reads from."""
        return io.BufferedReader(self, 65536)

    def readable(self):
        """It is."""
        return True

    def readinto(self, buffer):
        """Reads once, after the pause."""
        if self._pauses:
            self._pauses -= 1
            time.sleep(SLOW_SECONDS / 10)
        return self._sock.recv_into(buffer)
