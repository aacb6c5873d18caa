"""WebSockets to sessions: terminals, and processes that are attached to again."""
import base64
import json
import socket
import struct
import time

import pytest

from client import SLEEPER
from session_client import eventually, session
from test_websocket import BINARY, CLOSE, TEXT, Client, frame, hello


class Door:
    """What Client of test_websocket takes for a server."""

    def __init__(self, server):
        self.port = server.port

    def connect(self):
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


class Terminal(Client):
    """A WebSocket to a process; its first message has been read."""

    def __init__(self, server, path, **headers):
        super().__init__(Door(server), path, **headers)
        opcode, data = self.receive()
        assert opcode == TEXT
        self.first = json.loads(data)
        assert self.first["type"] == "process"
        self.seen = b""

    def say(self, **message):
        """Sends JSON."""
        self.send(TEXT, json.dumps(message).encode())

    def until(self, wanted):
        """All output up to what contains `wanted`; text messages are not expected."""
        while wanted not in self.seen:
            opcode, data = self.receive()
            assert opcode == BINARY, data
            self.seen += data
        n = self.seen.index(wanted) + len(wanted)
        part, self.seen = self.seen[:n], self.seen[n:]
        return part

    def exit(self):
        """The message that it has ended; then the connection is closed."""
        while True:
            opcode, data = self.receive()
            if opcode == TEXT and json.loads(data)["type"] == "exit":
                self.expect_close(1000)
                return json.loads(data)


@pytest.fixture(scope="module", name="one")
def a_session(server):
    with session(server.client(), ephemeral=True) as it:
        yield it


def status_of(server, path, **headers):
    """The status of a handshake that is refused."""
    with Door(server).connect() as sock:
        sock.sendall(hello(path, **headers))
        return int(sock.recv(4096).split()[1])


def test_a_terminal_is_one(server, one):
    with Terminal(server, one.path + "/terminal?rows=30&columns=90") as t:
        assert t.first["terminal"] and t.first["offset"] == 0 and t.first["pid"] > 1
        t.send(BINARY, b"stty size; tty | cut -c1-8; echo [$TERM]; pwd\r")
        t.until(b"30 90\r\n/dev/pts")
        t.until(b"/workspace\r\n")
        t.say(type="resize", rows=11, columns=44)
        t.send(BINARY, b"stty size\r")
        t.until(b"11 44\r\n")
        t.send(BINARY, SLEEPER.encode() + b"\r")
        t.until(b"asleep\r\n")
        t.send(BINARY, b"\x03echo inter'rupted'\r")
        t.until(b"interrupted\r\n")
        t.send(BINARY, b"exit 7\r")
        ended = t.exit()
        assert ended == {"type": "exit", "exit_code": 7, "signal": None, "timed_out": False}


def test_a_terminal_goes_on_without_its_client(server, one):
    with Terminal(server, one.path + "/terminal") as t:
        number = t.first["process"]
        t.send(BINARY, b"echo fi'rst'\r")
        t.until(b"first\r\n")
    one.client.request("POST", f"{one.path}/processes/{number}/stdin", data=b"echo mi'ssed'\r")
    eventually(lambda: "missed\r\n" in one.get(f"/processes/{number}/output")["stdout"])
    path = f"{one.path}/processes/{number}/attach"
    with Terminal(server, path) as t, Terminal(server, path) as other:
        for watcher in (t, other):
            replay = watcher.until(b"missed\r\n")
            assert b"first\r\n" in replay
        other.send(BINARY, b"echo bo'th'\r")
        t.until(b"both\r\n")
        other.until(b"both\r\n")
    output = one.get(f"/processes/{number}/output").body
    with Terminal(server, f"{path}?offset={output['next']['stdout']}") as t:
        assert t.first["offset"] == output["next"]["stdout"]
        t.say(type="signal", signal="KILL")
        assert t.exit()["signal"] == "SIGKILL"


def test_a_process_without_a_terminal_names_its_streams(server, one):
    number = one.background("read x; echo out $x; echo err >&2; cat; exit 2", stdin_open=True)
    with Terminal(server, f"{one.path}/processes/{number}/attach") as t:
        assert not t.first["terminal"]
        t.send(BINARY, b"1\nmore")
        t.say(type="eof")
        messages = {1: b"", 2: b""}
        while True:
            opcode, data = t.receive()
            if opcode == TEXT:
                break
            messages[data[0]] += data[1:]
        assert messages == {1: b"out 1\nmore", 2: b"err\n"}
        assert json.loads(data)["exit_code"] == 2
        t.expect_close(1000)


def test_a_command_may_be_given(server, one):
    with Terminal(server, one.path + "/terminal?command=echo%20only&cwd=/tmp") as t:
        t.until(b"only\r\n")
        assert t.exit()["exit_code"] == 0


@pytest.mark.parametrize("message", [b"{", b"[]", b"{}", b'{"type":"dance"}', b'"x"', b"",
                                     b'{"type":"resize","rows":0,"columns":1}',
                                     b'{"type":"signal","signal":"NOPE"}'])
def test_messages_that_are_none_close_the_connection(server, one, message):
    number = one.background("sleep 100")
    with Terminal(server, f"{one.path}/processes/{number}/attach") as t:
        t.send(TEXT, message)
        opcode, data = t.receive()
        assert opcode == CLOSE and struct.unpack("!H", data[:2])[0] == 1007
    assert one.get(f"/processes/{number}")["running"]
    one.client.request("DELETE", f"{one.path}/processes/{number}")


def test_frames_that_are_malformed_or_too_large_close_the_connection(server, one):
    number = one.background("sleep 100", stdin_open=True)
    for data, code in ((frame(BINARY, b"x", mask=None), 1002),
                       (frame(BINARY, b"x", length=(1 << 20) + 1), 1009),
                       (frame(TEXT, b"\xff"), 1007), (frame(3, b"x"), 1002)):
        with Terminal(server, f"{one.path}/processes/{number}/attach") as t:
            t.socket.sendall(data)
            opcode, said = t.receive()
            assert opcode == CLOSE and struct.unpack("!H", said[:2])[0] == code
    one.client.request("DELETE", f"{one.path}/processes/{number}")


def test_input_that_nobody_reads_is_bounded(server, one):
    number = one.background("sleep 100", stdin_open=True)
    with Terminal(server, f"{one.path}/processes/{number}/attach") as t:
        for _ in range(8):
            t.send(BINARY, b"x" * (1 << 20))
        opcode, data = t.receive()
        assert opcode == CLOSE and struct.unpack("!H", data[:2])[0] == 1008
    one.client.request("DELETE", f"{one.path}/processes/{number}")


def test_what_is_no_websocket_is_told(server, one):
    assert one.get("/terminal").status == 426
    assert status_of(server, "/v1/sessions/no-such/terminal") == 404
    assert status_of(server, one.path + "/processes/99999/attach") == 404
    assert status_of(server, one.path + "/terminal?rows=0") == 422
    assert status_of(server, one.path + "/terminal", Sec_WebSocket_Version="8") == 426


def test_pages_of_other_sites_stay_out_where_no_key_is_needed(server, one):
    path = one.path + "/terminal?command=true"
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
        assert status_of(server, path, Origin=origin) == 403
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Host": f"127.0.0.1:{server.port}"}
    with Terminal(server, path, **own) as t:
        assert t.exit()["exit_code"] == 0


def test_a_key_may_come_as_a_subprotocol(make_server):
    key = "terminal-key-000000000"
    server = make_server(API_KEYS=key)
    with session(server.client(key), ephemeral=True) as s:
        path = s.path + "/terminal?command=true"
        encoded = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
        wrong = base64.urlsafe_b64encode(b"x" + key.encode()).decode().rstrip("=")
        assert status_of(server, path) == 401
        assert status_of(server, path, Sec_WebSocket_Protocol=f"dunlin, dunlin.key.{wrong}") == 401
        with Terminal(server, path, Origin="http://page.example",
                      Sec_WebSocket_Protocol=f"dunlin, dunlin.key.{encoded}") as t:
            assert t.reply.headers["sec-websocket-protocol"] == "dunlin"
            assert t.exit()["exit_code"] == 0
        assert status_of(server, s.path, Sec_WebSocket_Protocol=f"dunlin.key.{encoded}") == 401


def test_an_echo_is_quick(server, one):
    with Terminal(server, one.path + "/terminal?command=cat") as t:
        t.send(BINARY, b"warm\r")
        t.until(b"warm\r\nwarm\r\n")
        times = []
        for i in range(50):
            start = time.monotonic()
            t.send(BINARY, b"k")
            t.until(b"k")
            times.append(time.monotonic() - start)
        assert sorted(times)[25] < 0.02
        t.send(BINARY, b"\r\x04")
        assert t.exit()["exit_code"] == 0
