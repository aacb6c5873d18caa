"""What fault walks send to a server: for each way to use the API a request, or a few, that takes a
World, insists on right answers (AssertionError), and raises Honest when the server says no.

It may return a function, which is called when nothing fails any more and insists that what was
acknowledged is there."""
import base64
import contextlib
import hashlib
import io
import json
import sqlite3
import tarfile
import time

from client import unique_name, wait_until
from faults.talk import KEY, SECONDS, Honest, Hung, Talk
from test_websocket import BINARY, CLOSE, TEXT, frame, hello

JUDGED = "代码执行失败"  # the code has failed, not the sandbox
BIG = 3 << 20
ENVIRONMENT_STATUS = ("building", "ready", "failed")  # as numbered in the database
SETUP_SECONDS = 120
OWNER = hashlib.sha256(KEY.encode()).hexdigest()[:8]  # as sessions are recorded


class World(Talk):
    """A server with what scenarios work on: a durable session, an environment, an se workspace."""

    def __init__(self, server):
        super().__init__(server.port)
        self.server = server
        self.seconds = SETUP_SECONDS
        self.is_moved = False  # its first server has died: what was kept in memory is gone
        self.clear()
        made = self.json("POST", "/v1/sessions", {"size": "4M"}, 201)
        self.session = f"/v1/sessions/{made['id']}"
        self.memory = f"/v1/sessions/{self.json('POST', '/v1/sessions', {'ephemeral': True}, 201)['id']}"
        self.environment = unique_name("e")
        self.json("POST", "/environments?wait=true",
                  {"name": self.environment, "setup_script": "true"})
        self.se = unique_name("s")
        self.json("POST", f"/workspace/se/session/{self.se}", {})
        for place in (self.session, self.memory):
            self.put(f"{place}/files/kept", b"kept")
            self.json("POST", f"{place}/exec", {"command": "true"})
            self.json("POST", f"{place}/run", {"code": "1"})
        self.own = {self.session.rsplit("/", 1)[1], self.memory.rsplit("/", 1)[1], self.se}
        self.places = (self.session, self.memory)
        self.seconds = SECONDS

    def move(self, server):
        """Goes on with another server on the same data."""
        self.server, self.port, self.is_moved = server, server.port, True

    def put(self, path, data):
        """PUT of a file."""
        status, _, body = self.ask("PUT", path, data)
        assert status in (200, 201, 204), f"PUT {path}: {status} {body[:200]!r}"

    def give(self, path, data):
        """POST of input."""
        status, _, body = self.ask("POST", path, data, {"Content-Type": "application/octet-stream"})
        assert status in (200, 204), f"POST {path}: {status} {body[:200]!r}"

    def get(self, path):
        """The bytes of an answer that must be 200."""
        status, _, body = self.ask("GET", path)
        assert status == 200, f"GET {path}: {status} {body[:200]!r}"
        return body

    def remove(self, path):
        """DELETE; that it is gone already is no error."""
        status, _, body = self.ask("DELETE", path)
        assert status in (200, 204, 404), f"DELETE {path}: {status} {body[:200]!r}"

    def clean(self, verify=None):
        """Looks that what was acknowledged is there, and removes what was made."""
        if callable(verify):
            verify()
        self.agree()
        for kind in ("sessions", "snapshots"):
            for one in self.json("GET", f"/v1/{kind}")[kind]:
                if one["id"] not in getattr(self, "own", ()):
                    self.remove(f"/v1/{kind}/{one['id']}")
        for place in getattr(self, "places", ()):
            wait_until(lambda place=place: self.forgets(place), 10, "no program, and no record of one")
        for one in self.json("GET", "/environments")["environments"]:
            if one["name"] not in ("default", getattr(self, "environment", None)):
                self.remove(f"/environments/{one['name']}")

    def forgets(self, place):
        """Ends the programs of a session; the records of those that have ended go.  Whether there was
        none any more."""
        listed = self.json("GET", f"{place}/processes")["processes"]
        for one in listed:
            self.remove(f"{place}/processes/{one['process']}")
        return not listed

    def recorded(self):
        """Durable sessions and snapshots of the walk, and environments, as the database has them:
        what a crash would leave."""
        path = self.server.data / "db" / "dunlin.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            return (
                {i: (b, json.loads(labels or "{}")) for i, b, labels in
                 db.execute("SELECT id, bytes, labels FROM sessions WHERE owner = ?", (OWNER,))},
                {i for i, in db.execute("SELECT id FROM snapshots WHERE owner = ?", (OWNER,))},
                {name: (description, ENVIRONMENT_STATUS[status]) for name, description, status in
                 db.execute("SELECT name, description, status FROM environments")})

    def agree(self):
        """What the server says is what it has recorded."""
        said = (
            {one["id"]: (one["size"], one["labels"])
             for one in self.json("GET", "/v1/sessions")["sessions"] if not one["ephemeral"]},
            {one["id"] for one in self.json("GET", "/v1/snapshots")["snapshots"]},
            {one["name"]: (one["description"] or "", one["status"])
             for one in self.json("GET", "/environments")["environments"]
             if one["name"] != "default"})
        there = self.recorded()
        assert said == there, f"said {said}, recorded {there}"

    def clear(self):
        """Removes everything, the world's own too."""
        self.own, self.environment = (), None
        self.clean()

    def finish(self):
        """The end of the world."""
        with contextlib.suppress(Honest, Hung, AssertionError):
            self.clear()


def check_run(told, stdout):
    """The object of a run that must have printed this.  A run that could not be made says so in
    `error`, and success is false: that is honest."""
    if not told["success"] and told["error"] and JUDGED not in told["error"]:
        raise Honest(told["error"])
    assert told["success"] and told["stdout"] == stdout, json.dumps(told)[:300]


def health(w):
    """GET /health"""
    assert w.json("GET", "/health")["status"]


def docs(w):
    """Documentation pages"""
    assert b"<html" in w.get("/docs").lower()
    assert w.get("/openapi.json")[:1] == b"{"


def wrong(w):
    """Requests that are refused"""
    assert w.ask("GET", "/nothing/here")[0] == 404
    assert w.ask("POST", "/execute", b"{", {"Content-Type": "application/json"})[0] in (400, 422)
    assert w.json("POST", "/execute", {"code": 5}, 422)["detail"]


def keys(w):
    """GET /version with a key in either header, with a wrong one, with none"""
    for headers in ({}, {"X-Api-Key": "wrong", "Authorization": f"Bearer {KEY}"}):
        assert w.json("GET", "/version", **headers)["version"]
    for wrong_key in ("", KEY[:-1], KEY + "x"):
        assert w.ask("GET", "/version", headers={"X-Api-Key": wrong_key})[0] == 401


def plain(w):
    """POST /execute"""
    check_run(w.json("POST", "/execute", {"code": "print(6*7)"}), "42\n")


def cold(w):
    """POST /execute of another language, with stdin"""
    check_run(w.json("POST", "/execute", {"code": "cat; echo ü", "language": "bash", "stdin": "in"}),
              "inü\n")


def stream(w):
    """POST /execute as events"""
    events = w.events("/execute", {"code": "print('a')\nprint('b')"})
    if not events or events[-1][0] != "result":
        raise Honest("no result")
    check_run(events[-1][1], "a\nb\n")
    assert "".join(data["text"] for name, data in events if name == "stdout") == "a\nb\n"


def files(w):
    """POST /execute with files in and out"""
    told = w.json("POST", "/execute", {
        "code": "d=open('in').read()\nopen('out','w').write(d*2)\nprint(len(d))",
        "files": {"in": base64.b64encode(b"abc").decode(), "b": ""}, "files_mode": "changed"})
    check_run(told, "3\n")
    assert base64.b64decode(told["files"]["out"]) == b"abcabc" and list(told["files"]) == ["out"], told


def big(w):
    """POST /execute with bodies that other threads decode and encode"""
    data = b"0123456789abcdef" * (BIG // 16)
    told = w.json("POST", "/execute", {
        "code": "d=open('in','rb').read()\nopen('out','wb').write(d)\nprint(len(d))\nprint('x'*300000)",
        "files": {"in": base64.b64encode(data).decode()}, "files_mode": "changed"})
    check_run(told, f"{BIG}\n{'x' * 300000}\n")
    assert base64.b64decode(told["files"]["out"]) == data


def policy(w):
    """POST /policy/check"""
    told = w.json("POST", "/policy/check", {"code": "import os", "security_level": "strict"})
    assert told is not None


def handler(w):
    """POST /workspace/se/v2/execute_code"""
    told = w.json("POST", "/workspace/se/v2/execute_code",
                  {"handler_code": "def handler(event):\n    return event['a'] + 1", "event": {"a": 1}})
    if told["error"]:
        raise Honest(told["error"])
    assert told["result"] == 2, told


def in_environment(w):
    """POST /execute-with-environment"""
    check_run(w.json("POST", "/execute-with-environment",
                     {"code": "print(1)", "environment": w.environment}), "1\n")


def environment_reads(w):
    """GET of environments, packages, logs, images"""
    names = [one["name"] for one in w.json("GET", "/environments")["environments"]]
    assert w.environment in names and names.count(w.environment) == 1, names
    one = w.json("GET", f"/environments/{w.environment}")
    assert one["name"] == w.environment and one["status"] == "ready", one
    assert b"dunlin: " in w.get(f"/environments/{w.environment}/logs")
    told = w.json("GET", f"/environments/{w.environment}/logs?format=json")
    assert told["name"] == w.environment and told["size"] > 0
    w.json("GET", "/images")


def environment_life(w):
    """An environment is made, changed and deleted"""
    name = unique_name("e")
    made = w.json("POST", "/environments?wait=true", {"name": name, "setup_script": "true"})
    if made["status"] == "failed" and made["error"]:
        raise Honest(made["error"])
    assert made["status"] == "ready", made
    w.json("PATCH", f"/environments/{name}", {"description": "new"})
    assert w.json("GET", f"/environments/{name}")["description"] == "new"
    status, _, body = w.ask("DELETE", f"/environments/{name}")
    assert status == 200, body

    def gone():
        assert w.ask("GET", f"/environments/{name}")[0] == 404
    return gone


def packages(w):
    """GET /environments/NAME/packages"""
    assert w.json("GET", f"/environments/{w.environment}/packages") is not None


def session_life(w):
    """A durable session is made, used, put to sleep, woken, grown, deleted"""
    made = w.json("POST", "/v1/sessions", {"size": "2M"}, 201)
    path = f"/v1/sessions/{made['id']}"
    w.put(f"{path}/files/a", b"one")
    assert w.json("POST", f"{path}/sleep", {})["state"] == "asleep"
    assert w.get(f"{path}/files/a") == b"one"
    w.json("PATCH", path, {"size": "3M"})
    assert w.json("GET", path)["size"] == 3 << 20
    status, _, body = w.ask("DELETE", path)
    assert status in (200, 204), body

    def gone():
        assert w.ask("GET", path)[0] == 404
    return gone


def session_create(w):
    """POST /v1/sessions; what was acknowledged is listed"""
    made = w.json("POST", "/v1/sessions", {"ephemeral": True}, 201)

    def there():
        if w.is_moved:
            assert w.ask("GET", f"/v1/sessions/{made['id']}")[0] == 404
            return
        assert w.json("GET", f"/v1/sessions/{made['id']}")["id"] == made["id"]
        assert made["id"] in [one["id"] for one in w.json("GET", "/v1/sessions")["sessions"]]
    return there


def session_record(w):
    """A durable session is made, labelled, grown and deleted: each is acknowledged when recorded"""
    made = w.json("POST", "/v1/sessions", {"size": "2M", "labels": {"a": "1"}}, 201)
    path = f"/v1/sessions/{made['id']}"
    assert w.recorded()[0][made["id"]] == (2 << 20, {"a": "1"})
    w.json("PATCH", path, {"labels": {"a": "2"}, "size": "3M"})
    assert w.recorded()[0][made["id"]] == (3 << 20, {"a": "2"})
    status, _, body = w.ask("DELETE", path)
    assert status == 204, body
    assert made["id"] not in w.recorded()[0]


def session_exec(w):
    """Programs of a session, waited for"""
    for place in (w.session, w.memory):
        told = w.json("POST", f"{place}/exec", {"command": "cat; echo err >&2; exit 3", "stdin": "in"})
        if told["exit_code"] == 127 and told["stderr"]:
            raise Honest(f"not started: {told['stderr']}")
        assert (told["stdout"], told["stderr"], told["exit_code"]) == ("in", "err\n", 3), told
    told = w.json("POST", f"{w.session}/run", {"code": "print(5)"})
    if told["exit_code"] == 127 and told["stderr"]:
        raise Honest(f"not started: {told['stderr']}")
    assert told["stdout"] == "5\n" and told["exit_code"] == 0, told


def session_stream(w):
    """A program of a session as events"""
    events = w.events(f"{w.session}/exec", {"command": "echo a; echo b"})
    if not events or events[-1][0] != "result":
        raise Honest("no result")
    if "gap" in [name for name, _ in events]:
        raise Honest("output was lost, and said so")
    assert events[-1][1]["exit_code"] == 0
    assert "".join(data["text"] for name, data in events if name == "stdout") == "a\nb\n"


def is_heard(w, path, text):
    """Whether a program has said this.  It may be killed instead, where its input could not be given,
    and what it said may be told as lost."""
    told = w.json("GET", path)
    if not told["running"] or told["stdout_kept_from"] > 0:
        raise Honest(json.dumps(told)[:200])
    return text in w.get(f"{path}/output")


def session_processes(w):
    """Programs in the background"""
    told = w.json("POST", f"{w.session}/exec", {"command": "read x; echo got $x; exec sleep 60",
                                                "background": True, "stdin_open": True}, 202)
    path = f"{w.session}/processes/{told['process']}"
    assert w.json("GET", path)["running"]
    w.give(f"{path}/stdin", b"hello\n")
    wait_until(lambda: is_heard(w, path, b"got hello"), 10, "output")
    listed = w.json("GET", f"{w.session}/processes")["processes"]
    assert told["process"] in [one["process"] for one in listed]
    w.remove(path)


def terminal_input(w):
    """The last input of a terminal and its end, in one request"""
    told = w.json("POST", f"{w.session}/exec", {"command": "cat", "background": True, "terminal": True},
                  202)
    path = f"{w.session}/processes/{told['process']}"
    try:
        w.give(f"{path}/stdin?close=true", b"once\n")
    except Honest as error:
        if str(error).startswith("503"):
            time.sleep(0.1)  # the whole way to the program and back, were it given
            assert b"once" not in w.get(f"{path}/output"), "refused, and given"
        raise
    wait_until(lambda: not w.json("GET", path)["running"], 10, "its end")
    told = w.json("GET", path)
    if told.get("error") or told["signal"] == "SIGKILL" or told["stdout_kept_from"] > 0:
        raise Honest(json.dumps(told)[:200])
    assert told["exit_code"] == 0, told
    assert w.get(f"{path}/output").count(b"once") == 2, "shown once, and said once"
    w.remove(path)


def session_files(w):
    """Files of a session, written and read in each way"""
    for place in (w.session, w.memory):
        for name in ("d", "e", "f"):  # that a fault has left
            status, _, body = w.ask("POST", f"{place}/remove", {"path": name, "recursive": True})
            assert status in (204, 404), body
        w.put(f"{place}/files/d/new", b"x" * 100000)
        assert w.get(f"{place}/files/d/new") == b"x" * 100000
        assert w.get(f"{place}/files/kept") == b"kept"
        names = [one["name"] for one in w.json("GET", f"{place}/ls")["entries"]]
        assert "kept" in names and "d" in names, names
        assert w.json("GET", f"{place}/stat?path=kept")["size"] == 4
        w.json("POST", f"{place}/mkdir", {"path": "e"})
        w.json("POST", f"{place}/move", {"from": "d/new", "to": "e/moved"})
        w.json("POST", f"{place}/copy", {"from": "e", "to": "f", "recursive": True})
        w.json("POST", f"{place}/chmod", {"path": "f/moved", "mode": "600"})
        assert w.get(f"{place}/files/f/moved") == b"x" * 100000
        w.json("GET", f"{place}/search?text=kept")
        w.json("GET", f"{place}/usage")
        for name in ("d", "e", "f"):
            w.json("POST", f"{place}/remove", {"path": name, "recursive": True}, 204)


def session_tar(w):
    """Archives into and out of a session"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        one = tarfile.TarInfo("in/side")
        one.size = 5
        archive.addfile(one, io.BytesIO(b"12345"))
    status, _, body = w.ask("PUT", f"{w.session}/tar?path=t", out.getvalue(),
                            {"Content-Type": "application/x-tar"})
    assert status in (200, 201, 204), body
    data = w.get(f"{w.session}/tar?path=t")
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert archive.extractfile("in/side").read() == b"12345"
    except (tarfile.TarError, KeyError) as error:
        raise AssertionError(f"archive: {error}") from error


def put_file(w):
    """PUT of a file: acknowledged, it is there whole; else the old one or the new"""
    name, old, new = unique_name("f"), b"old" * 100, b"new" * 70000
    w.put(f"{w.session}/files/{name}", old)

    def whole():
        status, _, data = w.ask("GET", f"{w.session}/files/{name}")
        assert status == 200 and data in (old, new), f"{status} {len(data)}"
        w.remove(f"{w.session}/files/{name}")

    def last():
        assert w.get(f"{w.session}/files/{name}") == new
        w.remove(f"{w.session}/files/{name}")
    try:
        w.put(f"{w.session}/files/{name}", new)
    except Honest:
        return whole
    return last


def snapshots(w):
    """A snapshot is made, listed, restored, forked, deleted"""
    made = w.json("POST", f"{w.session}/snapshots", {"name": "n"}, 201)
    assert made in w.json("GET", "/v1/snapshots")["snapshots"]
    fork = w.json("POST", f"{w.session}/fork", {}, 201)
    assert w.get(f"/v1/sessions/{fork['id']}/files/kept") == b"kept"
    w.json("POST", f"{w.session}/restore", {"snapshot": made["id"]})
    assert w.get(f"{w.session}/files/kept") == b"kept"
    assert w.ask("DELETE", f"/v1/snapshots/{made['id']}")[0] == 204

    def gone():
        assert made["id"] not in [one["id"] for one in w.json("GET", "/v1/snapshots")["snapshots"]]
    return gone


class Socket:
    """A WebSocket; the end of the connection is Honest, silence is Hung."""

    def __init__(self, w, path):
        self.socket = w.connect()
        self.data = b""
        try:
            self.socket.sendall(hello(path, X_Api_Key=KEY))
        except OSError as error:
            raise Honest(str(error)) from error
        head = self.until(b"\r\n\r\n")
        status = int(head.split()[1])
        if status in (500, 503, 507):
            raise Honest(str(status))
        assert status == 101, head

    def more(self):
        """More bytes."""
        try:
            part = self.socket.recv(1 << 16)
        except TimeoutError as error:
            raise Hung(f"after {self.data[:200]!r}") from error
        except OSError as error:
            raise Honest(str(error)) from error
        if not part:
            raise Honest("closed")
        self.data += part

    def until(self, end):
        """Bytes up to `end`."""
        while end not in self.data:
            self.more()
        n = self.data.index(end) + len(end)
        part, self.data = self.data[:n], self.data[n:]
        return part

    def take(self, n):
        """n bytes."""
        while len(self.data) < n:
            self.more()
        part, self.data = self.data[:n], self.data[n:]
        return part

    def receive(self):
        """A frame."""
        first, n = self.take(2)
        assert first & 0x80 and not n & 0x80
        if n == 126:
            n = int.from_bytes(self.take(2), "big")
        elif n == 127:
            n = int.from_bytes(self.take(8), "big")
        if first & 15 == CLOSE:
            raise Honest("closed")
        return first & 15, self.take(n)

    def send(self, opcode, data):
        """A frame."""
        try:
            self.socket.sendall(frame(opcode, data))
        except OSError as error:
            raise Honest(str(error)) from error


def terminal(w):
    """A WebSocket terminal.  It may say that its program was not started, that output was lost, or that
    the program was killed because its input could not be given."""
    s = Socket(w, f"{w.session}/terminal?rows=30&columns=90")
    with s.socket:
        opcode, data = s.receive()
        assert opcode == TEXT and json.loads(data)["type"] == "process", data
        s.send(BINARY, b"stty size; exit\r")
        seen = b""
        while True:
            opcode, data = s.receive()
            if opcode == TEXT:
                break
            seen += data
        told = json.loads(data)
        if told["type"] == "gap" or told.get("error") or told.get("signal") == "SIGKILL":
            raise Honest(json.dumps(told))
        assert told["type"] == "exit" and b"30 90\r\n" in seen, (seen, data)


def watch(w):
    """GET …/watch, left by the client"""
    with w.connect() as sock:
        sock.settimeout(SECONDS)
        data = b""
        try:
            sock.sendall(f"GET {w.session}/watch HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n"
                         .encode())
            while b"\n\n" not in data and b"event" not in data:
                part = sock.recv(65536)
                if not part:
                    raise Honest("closed")
                data += part
                if b"\r\n\r\n" in data and not data.startswith(b"HTTP/1.1 200"):
                    raise Honest(data[:100].decode("latin-1"))
        except TimeoutError as error:
            raise Hung(f"watch {data[:200]!r}") from error
        except OSError as error:
            raise Honest(str(error)) from error


def se(w):
    """/workspace/se: create, list, read, execute, run code, upload, download, status"""
    at = f"/workspace/se/{{}}/{w.se}"
    told = w.json("POST", at.format("create"), {"filename": "n.txt", "content": "text"})
    told = w.json("GET", at.format("files") + "/")
    assert "n.txt" in [one["filename"] for one in told["files"]], told
    assert b"text" in w.get(at.format("readfile") + "/n.txt")
    told = w.json("POST", at.format("execute"), {"command": "echo", "args": ["hi"]})
    assert "hi" in json.dumps(told), told
    told = w.json("POST", at.format("execute_code"), {"code": "print(7)"})
    assert "7" in json.dumps(told), told
    form = (b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"u\"\r\n"
            b"Content-Type: application/octet-stream\r\n\r\nuploaded\r\n--b--\r\n")
    status, _, body = w.ask("POST", at.format("upload"), form,
                            {"Content-Type": "multipart/form-data; boundary=b"})
    assert status == 200, body
    assert w.get(at.format("download") + "/u") == b"uploaded"
    w.json("GET", at.format("status"))


SCENARIOS = {one.__name__: one for one in (
    health, docs, wrong, keys, plain, cold, stream, files, big, policy, handler, in_environment,
    environment_reads, packages, environment_life, session_create, session_record, session_exec,
    session_stream, session_processes, session_files, put_file, session_tar, terminal, terminal_input,
    watch, se, session_life, snapshots)}
