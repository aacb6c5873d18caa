"""Sequences of requests: lists of steps that are plain JSON, so that they can be kept and cut.

A step is one of
    call      one request made after the description of a route in api/openapi.yaml
    model     something whose outcome is known (judge.Model)
    raw       bytes over a connection, in pieces, perhaps broken off
    socket    a WebSocket: its handshake and then frames, right or wrong
    together  several of these at once
"""
import base64
import json
import struct
import urllib.parse

from values import TEXTS, Maker, make_rng, mangle

WILD = ["w1", "w2", "never-made"]  # sessions that anything may happen to
STEPS = 14  # in a sequence
# What reaches over all sessions of a key; and what would wait for a registry.
EVERYBODY = {"/workspace/se/cleanup-all"}
METHODS = ("get", "put", "post", "delete", "patch", "head")
RAW = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xf4\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
       b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
       b"POST /execute HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
       b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n"]


def pack(data):
    """Bytes as text for JSON."""
    return base64.b64encode(data).decode()


def unpack(text):
    """The bytes again."""
    return base64.b64decode(text)


def operations(document):
    """(path template, method, its description) of each route that sequences may use."""
    return [(path, method, item[method] | {"parameters": item.get("parameters", [])
                                           + item[method].get("parameters", [])})
            for path, item in document["paths"].items() if path not in EVERYBODY
            for method in METHODS if method in item]


class Generator:
    """Makes sequence `number` of a seed."""

    def __init__(self, document, seed, number):
        self.rng = make_rng(seed, number)
        self.maker = Maker(self.rng, document)
        self.operations = operations(document)

    def sequence(self):
        """The steps."""
        steps = [self.made_session()]
        for _ in range(self.rng.randrange(4, STEPS)):
            steps.append(self.step())
        return steps

    def step(self, alone=True):
        """One step; `alone`: not among others at the same time."""
        kinds = ["call"] * 6 + ["raw", "socket"] + (["model"] * 6 + ["together"] if alone else [])
        return getattr(self, self.rng.choice(kinds))()

    # -- calls

    def call(self):
        """A request to one of the routes, more or less as described."""
        path, method, about = self.rng.choice(self.operations)
        wildness = self.rng.choice([0, 0, 0.1, 0.3])
        query, headers = [], {}
        for parameter in map(self.maker.resolve, about["parameters"]):
            self.add_parameter(parameter, wildness, query, headers)
        step = {"kind": "call", "method": method.upper(), "template": path,
                "path": self.fill(path, wildness), "headers": headers,
                "plain": wildness == 0, "body": None}
        if query:
            step["path"] += "?" + urllib.parse.urlencode(query)
        content = about.get("requestBody", {}).get("content", {})
        if content and self.rng.random() < 0.95:
            self.add_body(step, *self.rng.choice(list(content.items())), wildness)
        if self.rng.random() < 0.15:
            headers["Accept"] = "text/event-stream"
        if self.rng.random() < 0.1:
            step["leave"] = self.rng.choice([0.0, 0.05, 0.3])  # seconds, then the client goes
        return step

    def fill(self, path, wildness):
        """The path with its parameters."""
        def of(name):
            if self.rng.random() < wildness:
                return urllib.parse.quote(self.rng.choice(TEXTS), safe="")
            if name == "id":
                return self.rng.choice(WILD)
            return {"process": self.rng.choice(["1", "2", "99"]), "name": "default",
                    "path": self.rng.choice(["a.txt", "data/a.csv", "a", "zeros", "a/b/link"])}[name]

        parts = [of(part[1:-1]) if part.startswith("{") else part for part in path.split("/")]
        return "/".join(parts)

    def add_parameter(self, parameter, wildness, query, headers):
        """A parameter of the query or a field, if chance will have it."""
        if self.rng.random() < 0.5 and not parameter.get("required"):
            return
        value = self.maker.value(parameter.get("schema", {}), parameter["name"], wildness)
        text = value if isinstance(value, str) else json.dumps(value)
        if parameter["in"] == "query":
            query.append((parameter["name"], text.encode("utf-8", "replace")))
        elif parameter["in"] == "header" and text.isascii() and text.isprintable():
            headers[parameter["name"]] = text.strip()

    def add_body(self, step, content_type, content, wildness):
        """A body of this type."""
        if content_type == "application/json":
            data = json.dumps(self.maker.value(content["schema"], "", wildness)).encode()
        elif content_type == "multipart/form-data":
            content_type += "; boundary=XX"
            data = (b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
                    b"hello\r\n--XX--\r\n")
        else:
            data = self.rng.choice([b"", b"hello", self.rng.randbytes(2000), bytes(1024)])
        if self.rng.random() < wildness:
            data = mangle(self.rng, data)
        step["headers"]["Content-Type"] = content_type
        step["body"] = pack(data)

    # -- what is known

    def made_session(self):
        """A new session of the model."""
        return {"kind": "model", "what": "create", "session": self.rng.choice(["m1", "m2"])}

    def model(self):
        """Something on a session of the model."""
        what = self.rng.choice(["create", "write", "write", "read", "read", "read", "move", "unlink",
                                "append", "shell", "sleep", "delete", "execute", "range"])
        return {"kind": "model", "what": what, "session": self.rng.choice(["m1", "m2"]),
                "name": self.rng.choice(["a", "b.txt", "d/e", "d/f g"]),
                "other": self.rng.choice(["a", "c", "d/h"]),
                "data": pack(self.rng.randbytes(self.rng.choice([0, 1, 100, 5000, 200000])))}

    # -- bytes

    def request_bytes(self):
        """A call as bytes."""
        step = self.call()
        body = unpack(step["body"]) if step["body"] is not None else b""
        lines = [f"{step['method']} {step['path']} HTTP/1.1", "Host: localhost"]
        lines += [f"{key}: {value}" for key, value in step["headers"].items()]
        if step["body"] is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body

    def raw(self):
        """One to four requests behind each other, whole or mangled, in pieces."""
        data = b"".join(self.rng.choice([self.request_bytes(), self.rng.choice(RAW)])
                        for _ in range(self.rng.randrange(1, 5)))
        if self.rng.random() < 0.5:
            data = mangle(self.rng, data)
        cuts = sorted(self.rng.randrange(len(data) + 1) for _ in range(self.rng.randrange(3)))
        pieces = [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]
        return {"kind": "raw", "pieces": [pack(piece) for piece in pieces],
                "end": self.rng.choice(["read", "shut", "close", "reset"])}

    def frame(self):
        """A frame of a client, right or wrong."""
        rng = self.rng
        data = rng.choice([b"ls\n", b"exit\n", b'{"type":"resize","rows":9,"columns":9}', b"\xff",
                           rng.randbytes(rng.choice([1, 100, 3000])), b"\x03"])
        mask = rng.randbytes(4)
        head = bytes([rng.choice([0x81, 0x82, 0x82, 0x89, 0x88, 0x01, 0x80, 0xf3])])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        else:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
        whole = head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data))
        return mangle(rng, whole) if rng.random() < 0.2 else whole

    def socket(self):
        """A WebSocket to a terminal or a process."""
        target = self.rng.choice(["terminal", "terminal?rows=5&columns=9", "processes/1/attach",
                                  "processes/2/attach?from=0"])
        return {"kind": "socket", "path": f"/v1/sessions/{self.rng.choice(WILD[:2])}/{target}",
                "frames": [pack(self.frame()) for _ in range(self.rng.randrange(6))],
                "end": self.rng.choice(["read", "close", "reset"])}

    def together(self):
        """Up to five steps at once."""
        return {"kind": "together",
                "steps": [self.step(alone=False) for _ in range(self.rng.randrange(2, 6))]}


def generate(document, seed, number):
    """The steps of sequence `number`."""
    return Generator(document, seed, number).sequence()


def smaller(steps):
    """Yields shorter sequences: halves first, then without one step at a time."""
    half = len(steps) // 2
    if half > 0:
        yield steps[half:]
        yield steps[:half]
    for i in range(len(steps)):
        yield steps[:i] + steps[i + 1:]
