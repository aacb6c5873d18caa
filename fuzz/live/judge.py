"""Carries the steps of a sequence out and says what the server did wrong.

Rules for every answer: no 5xx but 501, 503, 505 and 507; an error has a JSON object as its body;
a status that api/openapi.yaml names for the route, where the request was made as described there.
Rules for the model: what was written is read back, what was removed is 404, a limit holds.
"""
import json
import socket
import struct
import threading
import time

import requests

from sequences import WILD, unpack
from server import Server

FINE_5XX = {501, 503, 505, 507}
GENERAL = {400, 401, 404, 405, 408, 411, 413, 414, 415, 426, 431, 501, 503, 505, 507}
REQUEST_SECONDS = 60
RAW_SECONDS = 5
SOCKET_SECONDS = 0.5
LEAVE_SECONDS = 0.1  # before the client goes
# They may go on for as long as anybody listens.
ENDLESS = {"/v1/sessions/{id}/watch", "/v1/sessions/{id}/terminal", "/environments/{name}/logs",
           "/v1/sessions/{id}/processes/{process}/attach",
           "/v1/sessions/{id}/processes/{process}/output"}
BUSY = {409, 423, 429, 503, 507}  # answers that may come to anything when others are at work
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


class Wrong(Exception):
    """The server broke a rule."""


def check(truth, text):
    """Raises Wrong with the text unless it is true."""
    if not truth:
        raise Wrong(text)


def check_status(status, where):
    """The rule for statuses."""
    check(status < 500 or status in FINE_5XX, f"{where}: {status}")


def check_answer(method, where, status, content):
    """The rules for any complete answer."""
    check_status(status, f"{where}: {content[:300]!r}")
    if status >= 400 and method != "HEAD":
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        check(isinstance(body, dict), f"{where}: {status} without JSON: {content[:300]!r}")


def read_answers(data, where):
    """Checks the answers to raw bytes as far as they can be told apart without the requests."""
    while data.startswith(b"HTTP/1.1 "):
        head, found, rest = data.partition(b"\r\n\r\n")
        status = int(head[9:12])
        check_status(status, f"{where}: {head[:200]!r}")
        if not found or status == 101:
            return
        if status == 100:
            data = rest
            continue
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        if b"transfer-encoding" in fields or rest[:9] == b"HTTP/1.1 ":
            length = rest.find(b"HTTP/1.1 ") if b"HTTP/1.1 " in rest else len(rest)
            if b"transfer-encoding" not in fields:
                length = 0  # the answer to a HEAD
        data = rest[length:]
    check(not data or data[:9] == b"HTTP/1.1 "[:len(data)], f"{where}: no HTTP: {data[:200]!r}")


class Judge:
    """Carries steps out against one server; `document` is the parsed openapi.yaml."""

    def __init__(self, server: Server, document):
        self.server = server
        self.document = document
        self.sessions = {}  # the model: name -> {file: bytes, or None where it is not known}
        self.requests = 0
        self.http = self.new_client()
        self.thread = threading.current_thread()
        self.address = ("127.0.0.1", server.port)

    def new_client(self):
        """A connection of its own."""
        client = requests.Session()
        client.trust_env = False
        return client

    def play(self, steps):
        """Carries all steps out, then removes what they made.  Raises Wrong."""
        try:
            for step in steps:
                getattr(self, step["kind"])(step)
                check(self.server.popen.poll() is None, "the server has ended")
        finally:
            if self.server.popen.poll() is None:
                self.clean()

    def clean(self):
        """Removes sessions and environments."""
        self.sessions = {}
        for name in ("m1", "m2", *WILD):
            self.ask("DELETE", f"/v1/sessions/{name}")
        for one in self.ask("GET", "/v1/sessions?limit=1000").json()["sessions"]:
            self.ask("DELETE", f"/v1/sessions/{one['id']}")
        for one in self.ask("GET", "/v1/snapshots").json().get("snapshots", []):
            self.ask("DELETE", f"/v1/snapshots/{one['id']}")
        for one in self.ask("GET", "/environments").json().get("environments", []):
            if one["name"] != "default":
                self.ask("DELETE", f"/environments/{one['name']}")

    # -- calls

    def ask(self, method, path, client=None, **options):
        """Sends a request and checks the answer by the general rules."""
        self.requests += 1
        where = f"{method} {path}"
        try:
            answer = (client or self.http).request(
                method, self.server.url + path, timeout=REQUEST_SECONDS, allow_redirects=False,
                **options)
        except requests.Timeout:
            raise Wrong(f"{where}: no answer within {REQUEST_SECONDS} s") from None
        except requests.ConnectionError as error:
            raise Wrong(f"{where}: the connection broke: {error}") from None
        check_answer(method, where, answer.status_code, answer.content)
        return answer

    def call(self, step):
        """A request after the description."""
        body = unpack(step["body"]) if step["body"] is not None else None
        headers = {key: value.encode("latin-1") for key, value in step["headers"].items()}
        if "leave" in step or step["template"] in ENDLESS:
            self.call_and_leave(step, headers, body)
            return
        client = self.new_client() if threading.current_thread() is not self.thread else None
        answer = self.ask(step["method"], step["path"], client, data=body, headers=headers)
        if not step["plain"]:
            return
        item = self.document["paths"][step["template"]][step["method"].lower()]
        named = {int(code) for code in item["responses"] if code.isdigit()}
        check(answer.status_code in named | GENERAL,
              f"{step['method']} {step['path']}: {answer.status_code} is not described: "
              f"{answer.content[:300]!r}")

    def call_and_leave(self, step, headers, body):
        """The same, but the client goes away in the middle."""
        self.requests += 1
        lines = [f"{step['method']} {step['path']} HTTP/1.1", "Host: localhost"]
        lines += [f"{key}: {value.decode('latin-1')}" for key, value in headers.items()]
        lines.append(f"Content-Length: {len(body or b'')}")
        data = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + (body or b"")
        self.talk([data], "close", step.get("leave", LEAVE_SECONDS), "a call that is left")

    # -- bytes

    def talk(self, pieces, end, seconds, where):
        """Sends pieces, reads for so long, and ends as told; what was read."""
        got = b""
        with socket.create_connection(self.address, timeout=RAW_SECONDS) as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
                    time.sleep(0.005)
                if end == "shut":
                    sock.shutdown(socket.SHUT_WR)
                if end in ("read", "shut") or seconds > 0:
                    got = self.read(sock, seconds)
                if end == "reset":
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            except (ConnectionError, TimeoutError):
                pass  # a refusal may come before all is sent
        read_answers(got, where)

    def read(self, sock, seconds):
        """What comes until nothing has come for so long, or at most ten times that."""
        got = b""
        until = time.monotonic() + 10 * seconds
        sock.settimeout(max(seconds, 0.01))
        while time.monotonic() < until:
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                break
            if not data:
                break
            got += data
        sock.settimeout(RAW_SECONDS)
        return got

    def raw(self, step):
        """Bytes over a connection."""
        self.requests += 1
        self.talk([unpack(piece) for piece in step["pieces"]], step["end"],
                  0.3 if step["end"] in ("read", "shut") else 0, "raw bytes")

    def socket(self, step):
        """A WebSocket."""
        self.requests += 1
        head = (f"GET {step['path']} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{KEY}\r\n\r\n").encode()
        self.talk([head] + [unpack(frame) for frame in step["frames"]], step["end"],
                  SOCKET_SECONDS if step["end"] == "read" else 0, "a WebSocket")

    def together(self, step):
        """Several steps at once."""
        wrong = []

        def work(one):
            try:
                getattr(self, one["kind"])(one)
            except Exception as error:  # handed to the caller's thread
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(one,)) for one in step["steps"]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]

    # -- the model

    def model(self, step):
        """Something whose outcome is known."""
        getattr(self, "model_" + step["what"])(step)

    def files(self, step):
        """The files of the step's session, or None: there is no such session."""
        return self.sessions.get(step["session"])

    def path(self, step, rest=""):
        """The session's path."""
        return f"/v1/sessions/{step['session']}{rest}"

    def file_path(self, step):
        """The path of the step's file."""
        return self.path(step, "/files/" + requests.utils.quote(step["name"]))

    def expect(self, step, answer, *good):
        """Whether it went well; Wrong if it is neither that nor what may always be."""
        status = answer.status_code
        if self.files(step) is None and step["what"] not in ("create", "execute"):
            check(status in {404} | BUSY, f"{step['what']} without a session: {status}")
            return False
        check(status in BUSY or status in good,
              f"{step['what']} {step.get('name')}: {status} {answer.content[:300]!r}")
        return status in good

    def model_create(self, step):
        """A session is made once."""
        answer = self.ask("POST", "/v1/sessions", json={"id": step["session"], "size": "16M"})
        if self.files(step) is not None:
            check(answer.status_code in BUSY, f"made a second time: {answer.status_code}")
        elif self.expect(step, answer, 201):
            self.sessions[step["session"]] = {}

    def model_delete(self, step):
        """What is deleted is 404 from then on."""
        answer = self.ask("DELETE", self.path(step))
        if self.expect(step, answer, 200, 204):
            del self.sessions[step["session"]]
            status = self.ask("GET", self.path(step)).status_code
            check(status == 404, f"a session that was deleted: {status}")

    def model_write(self, step):
        """A file is what was written last."""
        data = unpack(step["data"])
        answer = self.ask("PUT", self.file_path(step), data=data)
        good = self.expect(step, answer, 200, 201, 204, 400, 404, 422)
        if self.files(step) is not None:
            known = good and answer.status_code < 300
            self.files(step)[step["name"]] = data if known else None

    def model_append(self, step):
        """A program sees the file, and what it adds is read back."""
        files = self.files(step)
        answer = self.ask("POST", self.path(step, "/exec"), json={
            "argv": ["/bin/sh", "-c", 'test -f "$1" && printf x >> "$1"', "-", step["name"]]})
        if self.expect(step, answer, 200) and files.get(step["name"]) is not None:
            check(answer.json()["exit_code"] == 0, f"append: {answer.content[:300]!r}")
            files[step["name"]] += b"x"

    def model_read(self, step):
        """A file is read as it was written."""
        files = self.files(step)
        answer = self.ask("GET", self.file_path(step))
        if not self.expect(step, answer, 200, 404):
            return
        if step["name"] not in files:
            check(answer.status_code == 404, "a file that nobody wrote")
        elif files[step["name"]] is not None:
            check(answer.status_code == 200, f"{step['name']} is lost")
            check(answer.content == files[step["name"]], f"{step['name']} has changed")

    def model_range(self, step):
        """A part of a file is that part."""
        files = self.files(step)
        answer = self.ask("GET", self.file_path(step), headers={"Range": "bytes=1-9"})
        data = (files or {}).get(step["name"])
        if self.expect(step, answer, 200, 206, 404, 416) and data is not None:
            check(answer.status_code == (206 if len(data) > 1 else 416),
                  f"a range: {answer.status_code}")
            check(len(data) <= 1 or answer.content == data[1:10], "a range has other bytes")

    def model_move(self, step):
        """A file is where it was moved to, or still where it was."""
        files = self.files(step)
        answer = self.ask("POST", self.path(step, "/move"),
                          json={"from": step["name"], "to": step["other"]})
        if files is None or answer.status_code >= 300 or step["name"] == step["other"]:
            return
        check(step["name"] in files, "moved a file that nobody wrote")
        files[step["other"]] = files.pop(step["name"])

    def model_unlink(self, step):
        """A file that was removed is gone."""
        files = self.files(step)
        answer = self.ask("DELETE", self.file_path(step))
        if self.expect(step, answer, 200, 204, 404):
            was = files.pop(step["name"], b"")
            check(answer.status_code != 404 or step["name"] not in files or was is None,
                  f"{step['name']} was lost before it was removed")

    def model_shell(self, step):
        """A command says what it should."""
        answer = self.ask("POST", self.path(step, "/exec"), json={"command": "echo $((6 * 7)) >&1"})
        if self.expect(step, answer, 200):
            check(answer.json()["stdout"] == "42\n", f"a command: {answer.content[:300]!r}")

    def model_sleep(self, step):
        """Sleep loses nothing: what follows looks."""
        self.expect(step, self.ask("POST", self.path(step, "/sleep"), json={}), 200)

    def model_execute(self, step):
        """A run says what it should, and its limits hold."""
        answer = self.ask("POST", "/execute", json={"code": "print(6 * 7)", "timeout": 20})
        if self.expect(step, answer, 200):
            check(answer.json()["stdout"] == "42\n", f"a run: {answer.content[:300]!r}")
        start = time.monotonic()
        answer = self.ask("POST", "/execute", json={"code": "while True: pass", "timeout": 1})
        if self.expect(step, answer, 200):
            check(not answer.json()["success"], "a run without an end succeeded")
            check(time.monotonic() - start < 30, "a run of one second took thirty")
