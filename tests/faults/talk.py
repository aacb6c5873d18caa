"""HTTP and WebSockets for fault walks: one connection a request, and every way it can end is told
apart: a complete answer, an honest failure, a hang."""
import json
import socket

KEY = "key-of-the-walk-1f6e"  # the servers that are walked ask for it
SECONDS = 20  # without a byte; far above any deadline of the requests that are sent
HONEST = (500, 503, 504, 507)


class Honest(Exception):
    """The server said, or showed by ending the connection, that there is no answer."""


class Hung(Exception):
    """Nothing happens any more."""


class Talk:
    """Requests to 127.0.0.1:port, with the key if no other is given."""

    def __init__(self, port):
        self.port = port
        self.seconds = SECONDS

    def connect(self):
        """A new connection."""
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=self.seconds)
        except TimeoutError as error:
            raise Hung("connect") from error
        except OSError as error:
            raise Honest(str(error)) from error

    def ask(self, method, path, body=None, headers=None):
        """(status, headers with small names, body as bytes), complete; of 5xx, Honest."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        headers = {"X-Api-Key": KEY, **(headers or {})}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        with self.connect() as sock:
            return self.exchange(sock, "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def exchange(self, sock, request):
        """Sends and receives until the server closes."""
        data = b""
        try:
            try:
                sock.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have answered before
            while part := sock.recv(1 << 18):
                data += part
        except TimeoutError as error:
            raise Hung(f"after {data[:200]!r}") from error
        except OSError as error:
            if not data:
                raise Honest(str(error)) from error
        return parse(data)

    def json(self, method, path, body=None, status=200, **headers):
        """The decoded body of an answer that must have this status."""
        got, _, data = self.ask(method, path, body, headers)
        assert got == status, f"{method} {path}: {got} {data[:300]!r}"
        return json.loads(data) if data else None

    def events(self, path, body):
        """All events of a stream: [(name, data)]; a stream that ends without its last is Honest."""
        status, _, data = self.ask("POST", path, body, {"Accept": "text/event-stream"})
        assert status == 200, f"{path}: {status} {data[:300]!r}"
        found = []
        for block in data.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n")
                          if line and not line.startswith(":"))
            if fields:
                found.append((fields.get("event"), json.loads(fields["data"])))
        return found


def parse(data):
    """A complete answer; what is cut off is Honest."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise Honest("ended within the head")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    status = int(first.split()[1])
    if headers.get("transfer-encoding") == "chunked":
        rest = join_chunks(rest)
    elif "content-length" in headers:
        n = int(headers["content-length"])
        if len(rest) < n:
            raise Honest("ended within the body")
        assert len(rest) == n, f"{len(rest) - n} bytes too many"
    if status in HONEST:
        told = json.loads(rest)
        assert isinstance(told, dict) and told, rest[:200]
        raise Honest(f"{status} {rest[:300]!r}")
    return status, headers, rest


def join_chunks(data):
    """The body of a chunked answer."""
    out = b""
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            raise Honest("ended within the body")
        n = int(size, 16)
        if n == 0:
            assert rest in (b"\r\n", b""), rest[:80]
            return out
        if len(rest) < n + 2:
            raise Honest("ended within the body")
        out, data = out + rest[:n], rest[n + 2:]
