"""WebSockets of the HTTP layer, byte by byte.  Drives build/src/http/http_echo, GET /ws."""
import contextlib
import os
import signal
import socket
import struct
import time

import pytest

from test_http_layer import MIB, SCALE_MS, Echo, parse, read_all, wait_until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture(scope="module")
def echo():
    """A server whose second, in deadlines, is 40 ms."""
    server = Echo("--scale", str(SCALE_MS))
    before = server.descriptors()
    yield server
    wait_until(lambda: server.descriptors() == before, 10)
    assert server.stats()["open"] == 0
    assert server.stop() == 0


def hello(path="/ws", **changes):
    """A handshake; a header that is None is left out."""
    headers = {"Host": "x", "Connection": "keep-alive, Upgrade", "Upgrade": "websocket",
               "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join([f"GET {path} HTTP/1.1", *lines]) + "\r\n\r\n").encode()


def frame(opcode, data=b"", fin=True, mask=b"\1\2\3\4", rsv=0, length=None):
    n = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += struct.pack("!BH", bit | 126, n)
    else:
        head += struct.pack("!BQ", bit | 127, n)
    if mask and data:
        key = (mask * (len(data) // 4 + 1))[:len(data)]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")
    return head + (mask or b"") + data


class Client:
    """An upgraded connection."""

    def __init__(self, server, path="/ws", early=b"", **headers):
        self.socket = server.connect()
        self.socket.sendall(hello(path, **headers) + early)
        self.data = b""
        head = self.take_until(b"\r\n\r\n")
        self.reply = parse(head)
        assert self.reply.status == 101, head
        assert self.reply.headers["sec-websocket-accept"] == ACCEPT.lower()
        assert self.reply.headers["upgrade"] == "websocket"
        assert self.reply.headers["connection"].lower() == "upgrade"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise EOFError
        self.data += part

    def take_until(self, end):
        while end not in self.data:
            self.more()
        n = self.data.index(end) + len(end)
        return self.take(n)

    def take(self, n):
        while len(self.data) < n:
            self.more()
        part, self.data = self.data[:n], self.data[n:]
        return part

    def send(self, *args, **kwargs):
        self.socket.sendall(frame(*args, **kwargs))

    def receive(self):
        """One frame: (opcode, data)."""
        first, n = self.take(2)
        assert first & 0x80 and not n & 0x80, "final and not masked"
        if n == 126:
            n, = struct.unpack("!H", self.take(2))
        elif n == 127:
            n, = struct.unpack("!Q", self.take(8))
        return first & 15, self.take(n)

    def expect_close(self, code):
        opcode, data = self.receive()
        assert opcode == CLOSE, (opcode, data[:40])
        assert (struct.unpack("!H", data[:2])[0] if data else None) == code
        with pytest.raises((EOFError, ConnectionResetError)):
            self.more()


# -- the handshake


@pytest.mark.parametrize("changes, status", [
    ({"Upgrade": None}, 400), ({"Upgrade": "h2c"}, 400), ({"Connection": "keep-alive"}, 400),
    ({"Sec_WebSocket_Version": "8"}, 426), ({"Sec_WebSocket_Version": None}, 426),
    ({"Sec_WebSocket_Key": None}, 400), ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
    ({"Sec_WebSocket_Key": "d" * 24}, 400), ({"Content_Length": "3"}, 400)])
def test_a_wrong_handshake_is_refused(echo, changes, status):
    reply = parse(echo.exchange(hello(**changes) + b"abc"))
    assert reply.status == status
    assert reply.body == b'{"error":%d}' % status
    if status == 426:
        assert reply.headers["sec-websocket-version"] == "13"


def test_only_get_of_http_1_1_is_upgraded(echo):
    assert parse(echo.exchange(hello().replace(b"GET", b"PUT", 1))).status == 400
    assert parse(echo.exchange(hello().replace(b"HTTP/1.1", b"HTTP/1.0", 1))).status == 400


def test_a_protocol_is_agreed_upon_and_bytes_sent_early_are_kept(echo):
    with Client(echo, "/ws?protocol=dunlin", early=frame(TEXT, b"early")) as c:
        assert c.reply.headers["sec-websocket-protocol"] == "dunlin"
        assert c.receive() == (TEXT, b"early")
    with Client(echo, "/ws?delay=100", early=frame(TEXT, b"early") * 3) as c:
        assert [c.receive() for _ in range(3)] == [(TEXT, b"early")] * 3


def test_a_client_that_goes_before_the_upgrade_is_noticed(echo):
    gone = echo.stats()["gone"]
    with echo.connect() as s:
        s.sendall(hello("/ws?delay=5000"))
        wait_until(lambda: echo.stats()["open"] == 1)
    wait_until(lambda: echo.stats()["gone"] == gone + 1)


# -- messages


def test_messages_come_back_whole(echo):
    with Client(echo) as c:
        for data in (b"", b"x" * 125, b"y" * 126, b"z" * 65536, os.urandom(MIB)):
            c.send(BINARY, data)
            assert c.receive() == (BINARY, data)
        c.send(TEXT, "grüße €".encode())
        assert c.receive() == (TEXT, "grüße €".encode())
        c.socket.sendall(frame(TEXT, b"\xe2", fin=False) + frame(PING, b"between")
                         + frame(0, b"", fin=False) + frame(0, b"\x82\xac"))
        assert c.receive() == (PONG, b"between")
        assert c.receive() == (TEXT, "€".encode())
        for byte in frame(TEXT, b"slowly"):
            c.socket.sendall(bytes([byte]))
        assert c.receive() == (TEXT, b"slowly")
        c.send(PONG, b"not asked for")
        c.send(CLOSE, struct.pack("!H", 4001) + b"reason")
        c.expect_close(4001)
    wait_until(lambda: echo.stats()["code"] == 4001)


def test_a_goodbye_comes_after_what_was_queued(echo):
    with Client(echo) as c:
        c.send(TEXT, b"close 4242 why")
        assert c.receive() == (TEXT, b"bye")
        assert c.receive() == (CLOSE, struct.pack("!H", 4242) + b"why")
        with pytest.raises(EOFError):
            c.more()


@pytest.mark.parametrize("name, data, code", [
    ("unmasked", frame(TEXT, b"x", mask=None), 1002),
    ("rsv", frame(TEXT, b"x", rsv=4), 1002),
    ("opcode 3", frame(3, b"x"), 1002),
    ("opcode 11", frame(11, b"x"), 1002),
    ("continuation of nothing", frame(0, b"x"), 1002),
    ("a message inside another", frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    ("a ping in pieces", frame(PING, b"x", fin=False), 1002),
    ("a ping too long", frame(PING, b"x" * 126), 1002),
    ("bad UTF-8", frame(TEXT, b"\xc3("), 1007),
    ("cut UTF-8", frame(TEXT, b"\xe2\x82"), 1007),
    ("bad UTF-8 in a goodbye", frame(CLOSE, b"\x03\xe8\xff"), 1007),
    ("code 999", frame(CLOSE, struct.pack("!H", 999)), 1002),
    ("code 1005", frame(CLOSE, struct.pack("!H", 1005)), 1002),
    ("a length of 2^63", b"\x82\xff" + b"\xff" * 8 + b"abcd", 1002),
    ("too large", frame(BINARY, b"x", length=MIB + 1), 1009),
    ("too large in pieces", frame(BINARY, bytes(MIB), fin=False) + frame(0, b"x"), 1009)])
def test_a_broken_protocol_is_told_and_ends(echo, name, data, code):
    with Client(echo) as c:
        c.socket.sendall(data)
        c.expect_close(code)
    wait_until(lambda: echo.stats()["open"] == 0)
    assert echo.stats()["code"] == code


def test_a_goodbye_without_a_code_is_answered(echo):
    with Client(echo) as c:
        c.send(CLOSE)
        c.expect_close(None)
    wait_until(lambda: echo.stats()["code"] == 1005)


def test_a_flood_of_fragments_costs_no_memory(echo):
    before = rss_kb(echo)
    with Client(echo) as c:
        c.socket.settimeout(30)
        c.send(BINARY, b"", fin=False)
        piece = frame(0, b"x", fin=False)
        for _ in range(10):
            c.socket.sendall(piece * 50000)
        c.send(0, b"end")
        assert c.receive() == (BINARY, b"x" * 500000 + b"end")
    assert rss_kb(echo) - before < 8192


# -- those that misbehave


def rss_kb(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return int(f.read().split("VmRSS:")[1].split()[0])


def test_a_client_that_is_gone_is_noticed(echo):
    with Client(echo):
        wait_until(lambda: echo.stats()["open"] == 1)
    wait_until(lambda: echo.stats()["open"] == 0)
    assert echo.stats()["code"] == 1006


def test_a_slow_reader_slows_the_writer(echo):
    with Client(echo) as c:
        c.send(TEXT, b"flood 2000")
        time.sleep(0.2)
        for _ in range(2000):
            assert len(c.receive()[1]) == 16384
        c.send(TEXT, b"still there")
        assert c.receive() == (TEXT, b"still there")
    assert echo.stats()["peak"] < MIB


def test_a_reader_that_would_have_too_much_queued_is_cut(echo):
    with Client(echo) as c:
        c.send(TEXT, b"drown")
        wait_until(lambda: echo.stats()["open"] == 0)
        assert echo.stats()["code"] == 1006
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                c.data = b""
                c.more()


def test_a_flood_of_pings_from_who_reads_nothing_costs_no_memory():
    server = Echo()
    before = rss_kb(server)
    with Client(server) as c:
        c.socket.settimeout(1)
        pings = frame(PING, b"x" * 125) * 1000
        with contextlib.suppress(socket.timeout):
            for _ in range(200):
                c.socket.sendall(pings)
            pytest.fail("the server took all of it")
        assert rss_kb(server) - before < 4096
    wait_until(lambda: server.stats()["open"] == 0)
    assert server.stop() == 0


def test_a_silent_client_is_pinged_and_at_last_cut(echo):
    start = time.monotonic()
    with Client(echo) as c:
        c.socket.settimeout(10)
        assert c.receive() == (PING, b"")
        c.send(PONG)
        assert c.receive() == (PING, b"")
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                assert c.receive() == (PING, b"")
    assert time.monotonic() - start > (30 + 120) * SCALE_MS / 1000 * 0.9
    assert echo.stats()["code"] == 1006


def test_who_reads_nothing_for_long_is_cut(echo):
    with Client(echo) as c:
        c.send(TEXT, b"flood 2000")
        end = time.monotonic() + 10
        while echo.stats()["open"] > 0 and time.monotonic() < end:
            c.send(PONG)
            time.sleep(SCALE_MS / 1000)
        assert echo.stats()["open"] == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_ends_says_goodbye(how):
    server = Echo()
    with Client(server) as c, server.connect() as waiting:
        waiting.sendall(hello("/ws?delay=60000"))
        c.send(TEXT, b"x")
        assert c.receive() == (TEXT, b"x")
        if how == signal.SIGTERM:
            waiting.close()
            wait_until(lambda: server.stats()["open"] == 1)
        server.process.send_signal(how)
        c.expect_close(1001)
    assert server.stop(None) == 0
