"""How the soak's clients speak to the server: one keep-alive connection, every answer checked.

http.client rather than requests: the load shares two CPUs with the server that it measures.
"""
import base64
import contextlib
import http.client
import json
import socket
import time

CALL_SECONDS = 120  # no call of the soak may take longer
IDLE_SECONDS = 5.0  # after which a connection is made anew; the server closes idle ones
KEPT_BYTES = 2000  # of request and answer, in the record of a failure


class Wrong(Exception):
    """An answer that is not what it must be."""


class Answer:
    """status; headers: case-insensitive; data: the body's bytes."""

    def __init__(self, status, headers, data):
        self.status = status
        self.headers = headers
        self.data = data
        self._json = None

    @property
    def json(self):
        """The body, which must be JSON."""
        if self._json is None:
            try:
                self._json = json.loads(self.data)
            except ValueError as error:
                raise Wrong(f"not JSON: {error}") from error
        return self._json

    def __getitem__(self, name):
        try:
            return self.json[name]
        except KeyError as error:
            raise Wrong(f"no member {name}") from error


class Caller:
    """One client: a connection, its random numbers, and what it last asked and got.

    port: of the server on 127.0.0.1; rng: random.Random; world: what the kinds share.
    """

    def __init__(self, port, rng, world):
        self.port = port
        self.rng = rng
        self.world = world
        self.asked = ""
        self.got = ""
        self._http = None
        self._used = 0.0

    # -- requests

    def call(self, method, path, body=None, status=200, headers=None):
        """Sends a request and insists on the status, or on one of a tuple of them.

        body: bytes as they are, or anything else as JSON.
        """
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        self.remember(method, path, body)
        connection = self._connection()
        try:
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            answer = Answer(reply.status, reply.headers, reply.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Wrong(f"no answer: {error!r}") from error
        self._used = time.monotonic()
        self.got = f"{answer.status} {clip(answer.data)}"
        wanted = status if isinstance(status, tuple) else (status,)
        require(answer.status in wanted, f"status {answer.status}, not {status}")
        return answer

    def execute(self, code, status=200, **fields):
        """POST /execute."""
        return self.call("POST", "/execute", {"code": code, **fields}, status)

    def open(self, method, path, body=b"", headers=None, receive_buffer=None):
        """Sends a request on a socket of its own and returns the socket, nothing read.

        receive_buffer: bytes that the kernel may hold for us, None for its default.
        """
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.remember(method, path, body)
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}",
                 "Content-Type: application/json", f"Content-Length: {len(body)}",
                 *(f"{name}: {value}" for name, value in (headers or {}).items())]
        sock = self.connect(receive_buffer)
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return sock

    def connect(self, receive_buffer=None):
        """A new connection."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(CALL_SECONDS)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def remember(self, method, path, body):
        """Keeps what is asked now, for the record of a failure."""
        self.asked = f"{method} {path} {clip(body or b'')}"
        self.got = ""

    @contextlib.contextmanager
    def tidying(self):
        """For what is cleaned up after a wrong answer: it changes nothing of that one's record."""
        record = self.asked, self.got
        with contextlib.suppress(Wrong):
            yield
        self.asked, self.got = record

    def close(self):
        """Closes the connection."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _connection(self):
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.close()
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
            self._http.connect()
            self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._http

    # -- what goes into requests

    def nonce(self):
        """A word that no other request has."""
        return f"n{self.rng.getrandbits(64):016x}"


def read_reply(sock):
    """Reads one answer from a socket of Caller.open(); its Answer."""
    reply = http.client.HTTPResponse(sock)
    try:
        reply.begin()
        return Answer(reply.status, reply.headers, reply.read())
    except (OSError, http.client.HTTPException) as error:
        raise Wrong(f"no answer: {error!r}") from error
    finally:
        reply.close()


def events_of(data):
    """The server-sent events of a whole body: (name, decoded data) of each."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n")
                 if line and not line.startswith(":")]
        if lines:
            fields = dict(lines)
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def texts(events, name):
    """The joined text of all events of this name."""
    return "".join(data["text"] for kind, data in events if kind == name)


def require(condition, why):
    """Raises Wrong unless the condition holds."""
    if not condition:
        raise Wrong(why)


def require_fields(answer, **fields):
    """Every named member of the answer has exactly this value."""
    for name, value in fields.items():
        require(answer[name] == value, f"{name} is {clip_text(answer[name])}, "
                                       f"not {clip_text(value)}")


def require_hit(answer, limit):
    """The run failed and names this limit."""
    require(limit in answer["limits_hit"], f"limits_hit is {answer['limits_hit']}, not {limit}")


def encode(data):
    """bytes as base64 text."""
    return base64.b64encode(data).decode()


def decode(text):
    """base64 text as bytes."""
    return base64.b64decode(text, validate=True)


def clip(data):
    """The beginning of bytes as text, for a record."""
    return data[:KEPT_BYTES].decode("utf-8", "replace")


def clip_text(value):
    """The beginning of a value as text, for a message."""
    return repr(value)[:200]
