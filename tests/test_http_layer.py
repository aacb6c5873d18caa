"""The HTTP layer alone: strictness, limits, deadlines, streams.  Drives build/src/http/http_echo."""
import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import client
from drivers import ROOT, built

SCALE_MS = 40  # of a "second" in deadlines
MIB = 1 << 20


class Echo:
    """A running http_echo and ways to talk to it."""

    def __init__(self, *options):
        self.process = subprocess.Popen([built("src/http/http_echo"), *options], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def connect(self, host="127.0.0.1", timeout=5):
        return socket.create_connection((host, self.port), timeout=timeout)

    def exchange(self, data, timeout=5):
        """Send data, return everything until the server closes."""
        with self.connect(timeout=timeout) as s:
            s.sendall(data)
            return read_all(s)

    def get(self, path):
        return parse(self.exchange(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                                   % path.encode()))

    def stats(self):
        return json.loads(self.get("/stats").body)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

    def stop(self, how=signal.SIGTERM):
        """End it (how=None: it is ending already), return its exit status."""
        if how:
            self.process.send_signal(how)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def read_all(s):
    out = []
    with contextlib.suppress(ConnectionResetError):
        while part := s.recv(1 << 16):
            out.append(part)
    return b"".join(out)


def parse(data):
    """The first reply in data; its body is everything that follows, with chunks joined."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    if headers.get("transfer-encoding") == "chunked":
        body = join_chunks(body)
    return Reply(int(lines[0].split()[1]), headers, body)


def join_chunks(data):
    out, at = [], 0
    while True:
        line_end = data.index(b"\r\n", at)
        length = int(data[at:line_end], 16)
        at = line_end + 2
        if length == 0:
            assert data[at:] == b"\r\n"
            return b"".join(out)
        assert data[at + length:at + length + 2] == b"\r\n"
        out.append(data[at:at + length])
        at += length + 2


def read_reply(s):
    """One reply with a Content-Length from a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(1)
        assert part, f"closed after {data!r}"
        data += part
    reply = parse(data)
    while len(reply.body) < int(reply.headers["content-length"]):
        reply.body += s.recv(int(reply.headers["content-length"]) - len(reply.body))
    return reply


def post(path, body, *headers, length=None):
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers,
             f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wait_until(what, seconds=5):
    client.wait_until(what, seconds, "what the test waits for")


@pytest.fixture(scope="module")
def echo():
    """A server with the real deadlines, shared; at the end it must have let go of everything."""
    server = Echo()
    before = server.descriptors()
    yield server
    wait_until(lambda: server.descriptors() == before)
    assert server.stats()["open"] == 0
    assert server.stop() == 0


@pytest.fixture(scope="module")
def hurried():
    """A server whose seconds are 40 ms long."""
    server = Echo("--scale", str(SCALE_MS))
    yield server
    assert server.stop() == 0


def test_every_malformed_request_is_refused_and_every_good_one_served(echo):
    run = subprocess.run([sys.executable, ROOT / "tools/http_strictness.py", "127.0.0.1",
                          str(echo.port), "/echo"], stdout=subprocess.PIPE, text=True)
    assert run.stdout.strip() == "39 passed, 0 failed"


@pytest.mark.parametrize("status, request_bytes", [
    (400, b"GARBAGE\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    (400, b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /echo?q=%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    (413, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"),
    (414, b"GET /" + b"a" * 8001 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    (414, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
    (501, b"A" * 40 + b" / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (505, b"GET / HTTP/3.7\r\nHost: x\r\n\r\n"),
])
def test_every_refusal_is_json_and_closes(echo, status, request_bytes):
    reply = parse(echo.exchange(request_bytes))
    assert reply.status == status
    assert json.loads(reply.body) == {"error": status}
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["connection"] == "close"
    assert "server" not in reply.headers


def test_a_refusal_in_the_middle_of_a_connection_is_json_too(echo):
    with echo.connect() as s:
        s.sendall(post("/echo", b"x"))
        assert read_reply(s).status == 200
        s.sendall(b"GET / HTTP/1.1\r\nHo")
        time.sleep(0.05)
        s.sendall(b"st : x\r\n\r\n")
        reply = parse(read_all(s))
    assert (reply.status, json.loads(reply.body)) == (400, {"error": 400})


def test_paths_and_queries_are_decoded(echo):
    reply = echo.get("/caf%C3%A9%20x?q=a%2Bb+c")
    assert json.loads(reply.body)["q"] == "a+b c"
    assert echo.get("/echo?q=%22").status == 200
    reply = parse(echo.exchange(b"GET http://host/echo HTTP/1.1\r\nHost: x\r\nX-TEST: v\r\n"
                                b"Connection: close\r\n\r\n"))
    assert json.loads(reply.body)["header"] == "v"
    assert json.loads(reply.body)["peer"] == "127.0.0.1"


def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(echo):
    for extra in ((), ("Expect: 100-continue",)):
        start = time.monotonic()
        reply = parse(echo.exchange(post("/echo", b"", *extra, length=MIB + 1)))
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert time.monotonic() - start < 1


def test_a_client_that_sends_a_refused_body_anyway_reads_the_413(echo):
    reply = parse(echo.exchange(post("/echo", b"x" * (20 * MIB))))
    assert (reply.status, json.loads(reply.body)) == (413, {"error": 413})


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long(echo):
    chunk = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    with echo.connect() as s:
        s.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        s.sendall(chunk * 4)  # exactly the limit
        s.settimeout(0.2)
        with pytest.raises(socket.timeout):
            s.recv(1)
        s.settimeout(5)
        s.sendall(b"1\r\nx\r\n")
        reply = parse(read_all(s))
    assert (reply.status, json.loads(reply.body)) == (413, {"error": 413})


def test_bodies_arrive_whole_whatever_their_size_and_framing(echo):
    for size in (1, 100, 16384, 100_000, 5 * MIB):
        body = os.urandom(size)
        reply = parse(echo.exchange(post("/mirror", body, "Connection: close")))
        assert reply.body == body
    chunks = b"".join(b"%x\r\n%s\r\n" % (n, b"a" * n) for n in (1, 10, 70000, 3))
    reply = parse(echo.exchange(b"POST /mirror HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
    assert reply.body == b"a" * 70014


def test_expect_100_continue_is_answered(echo):
    with echo.connect() as s:
        s.sendall(post("/mirror", b"", "Expect: 100-continue", length=5))
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"hello")
        assert read_reply(s).body == b"hello"


def test_bodies_beyond_the_budget_are_told_to_come_back():
    server = Echo("--budget", str(MIB))
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        first = stack.enter_context(server.connect())
        first.sendall(post("/mirror", b"x" * 900_000, length=900_001))
        time.sleep(0.2)
        reply = parse(server.exchange(post("/mirror", b"", length=200_000)))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        chunked = (b"POST /mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"30d40\r\n" + b"x" * 200_000 + b"\r\n")
        reply = parse(server.exchange(chunked))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        first.sendall(b"x")
        assert len(read_reply(first).body) == 900_001
        reply = parse(server.exchange(post("/mirror", b"x" * 200_000, "Connection: close")))
        assert reply.status == 200


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("start, pieces", [
    (b"GET /echo HTTP/1.1\r\nHost: x\r\n", [b"X: y\r\n"]),
    (b"G", [b"E", b"T", b" /echo", b" HTTP/1.1\r\n", b"Host: x\r\n", b"X: y\r\n"]),
    (post("/echo", b"", length=MIB), [b"x"]),
    (CHUNKED, [b"1\r\nx\r\n"]),
    (CHUNKED + b"0\r\n", [b"A: b\r\n"]),
], ids=["headers", "line", "body", "chunks", "trailers"])
def test_trickled_requests_are_cut(hurried, start, pieces):
    """A client that sends a little every 3 'seconds' is never silent, and still ends after 15."""
    pieces = pieces + pieces[-1:] * 100
    begin = time.monotonic()
    with hurried.connect() as s:
        s.sendall(start)
        s.settimeout(3 * SCALE_MS / 1000)
        out = b""
        for piece in pieces:
            try:
                part = s.recv(65536)
                if not part:
                    break
                out += part
            except socket.timeout:
                with contextlib.suppress(OSError):
                    s.sendall(piece)
            except ConnectionResetError:
                break
    seconds = (time.monotonic() - begin) * 1000 / SCALE_MS
    assert 14 < seconds < 25
    assert parse(out).status == 408


def test_silent_connections_are_closed_without_a_word(hurried):
    start = time.monotonic()
    with hurried.connect() as s:
        assert read_all(s) == b""
    assert 14 < (time.monotonic() - start) * 1000 / SCALE_MS < 30


def test_a_kept_alive_connection_may_be_silent_for_longer(hurried):
    with hurried.connect() as s:
        s.sendall(post("/echo", b"x"))
        read_reply(s)
        start = time.monotonic()
        assert read_all(s) == b""
    assert 70 < (time.monotonic() - start) * 1000 / SCALE_MS < 90


def test_a_slow_request_has_no_deadline_here(hurried):
    seconds = 100
    assert hurried.get(f"/slow?ms={seconds * SCALE_MS}").status == 200


def test_a_reader_that_stops_reading_is_cut(hurried):
    """Nothing is read: the answer stays in the kernel's queues, and after 60 'seconds' it ends."""
    for path in ("/big?bytes=100000000", "/flood?bytes=100000000", "/big?bytes=100000000&known=1"):
        before = hurried.stats()
        with hurried.connect(timeout=10) as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            key = "gone" if "flood" in path else "done"
            start = time.monotonic()
            wait_until(lambda: hurried.stats()[key] > before[key], 10)
            assert 55 < (time.monotonic() - start) * 1000 / SCALE_MS < 100


def test_a_slow_reader_is_served_and_costs_bounded_memory(hurried):
    with hurried.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(b"GET /flood?bytes=10000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        start = time.monotonic()
        while time.monotonic() - start < 70 * SCALE_MS / 1000:
            data += s.recv(20000)
            time.sleep(0.05)
        data += read_all(s)
    assert len(parse(data).body) == 10000000
    assert hurried.stats()["peak"] < 300_000


def test_a_client_that_leaves_is_noticed_within_100_ms(echo):
    for path in ("/slow?ms=60000", "/sse?n=1000&ms=60000"):
        before = echo.stats()
        with echo.connect() as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            wait_until(lambda: echo.stats()["open"] == before["open"] + 1)
        start = time.monotonic()
        wait_until(lambda: echo.stats()["gone"] == before["gone"] + 1)
        assert time.monotonic() - start < 0.1
        assert echo.stats()["open"] == before["open"]


def test_a_client_that_resets_is_noticed_too(echo):
    before = echo.stats()["gone"]
    s = echo.connect()
    s.sendall(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: echo.stats()["open"] == 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    wait_until(lambda: echo.stats()["gone"] == before + 1, 0.5)


def test_a_connection_serves_many_requests_of_all_kinds(echo):
    with echo.connect() as s:
        for i in range(50):
            s.sendall(post("/echo", b"x" * i))
            assert json.loads(read_reply(s).body)["bytes"] == i
            s.sendall(b"GET /slow?ms=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(s).body == b'{"slow":true}'
            s.sendall(b"GET /big?bytes=70000&known=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(s).body == b"x" * 70000
            s.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(s).status == 404


def test_pipelined_requests_are_answered_in_order(echo):
    requests = b"".join(
        b"GET /slow?ms=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (30 - i) + post("/echo", b"x" * i)
        for i in range(20))
    with echo.connect() as s:
        s.sendall(requests)
        for i in range(20):
            assert read_reply(s).body == b'{"slow":true}'
            assert json.loads(read_reply(s).body)["bytes"] == i


def test_a_thousand_pipelined_requests_are_all_answered(echo):
    with echo.connect() as s:
        threading.Thread(target=s.sendall, args=(post("/echo", b"abc") * 1000,)).start()
        for _ in range(1000):
            assert json.loads(read_reply(s).body)["bytes"] == 3


def test_head_has_no_body_and_does_not_desynchronise(echo):
    with echo.connect() as s:
        for path in ("/echo", "/static", "/big?bytes=10&known=1", "/slow?ms=1", "/nothing"):
            s.sendall(b"HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += s.recv(1)
            assert parse(data).status in (200, 204)
        for path in ("/sse?n=3&ms=1", "/flood?bytes=10000000", "/big?bytes=10000"):
            s.sendall(b"HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += s.recv(1)
            assert parse(data.replace(b"chunked", b"none")).status == 200
        s.sendall(post("/echo", b"after"))
        assert json.loads(read_reply(s).body)["bytes"] == 5
    wait_until(lambda: echo.stats()["open"] == 0)


def test_events_come_in_order_as_they_happen_and_the_connection_goes_on(echo):
    with echo.connect() as s:
        s.sendall(b"GET /sse?n=5&ms=100 HTTP/1.1\r\nHost: x\r\n\r\n" + post("/echo", b"next"))
        data, arrivals = b"", []
        while b"\r\n0\r\n\r\n" not in data:
            data += s.recv(1)
            arrivals.append(time.monotonic())
        reply = parse(data)
        assert reply.body == b"".join(b"data: %d\n\n" % i for i in range(5))
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-accel-buffering"] == "no"
        assert arrivals[-1] - arrivals[0] > 0.3
        assert json.loads(read_reply(s).body)["bytes"] == 4


def test_an_http_1_0_client_gets_plain_bodies_and_a_close(echo):
    for path, size in (("/big?bytes=100000", 100000), ("/flood?bytes=100000", 100000),
                       ("/sse?n=2&ms=5", 18)):
        reply = parse(echo.exchange(b"GET %s HTTP/1.0\r\nHost: x\r\n\r\n" % path.encode()))
        assert "transfer-encoding" not in reply.headers
        assert len(reply.body) == size


def test_a_source_that_ends_early_breaks_the_connection(echo):
    reply = echo.get("/big?bytes=100000&known=1&short=1")
    assert reply.headers["content-length"] == "100000"
    assert len(reply.body) == 99999


def test_header_values_that_would_split_the_answer_are_refused(echo):
    for query in ("name=X-A&value=a%0d%0ab:c", "name=X-A&value=a%0ab", "name=X%20A&value=b",
                  "name=X-A&value=", "name=Content-Length&value=3", "name=&value=x"):
        assert echo.get("/header?" + query).status == 422
    reply = echo.get("/header?name=X-A&value=fine%20value")
    assert (reply.status, reply.headers["x-a"]) == (200, "fine value")


def test_localhost_and_several_addresses_share_one_port():
    server = Echo("--hosts", "localhost,127.0.0.2")
    try:
        for host in ("127.0.0.1", "127.0.0.2"):
            server.connect(host).close()
        if pathlib.Path("/proc/net/if_inet6").exists() and \
                "00000000000000000000000000000001" in pathlib.Path("/proc/net/if_inet6").read_text():
            server.connect("::1").close()
    finally:
        assert server.stop() == 0


def test_an_address_that_cannot_be_had_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for host in ("nonsense", "192.0.2.1"):
            run = subprocess.run([built("src/http/http_echo"), "--hosts", host], capture_output=True, text=True)
            assert run.returncode == 1 and host in run.stderr


def test_a_thousand_connections_are_served_at_once_and_cost_no_cpu_while_they_wait(echo):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 8192:
        pytest.skip("too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, hard))
    server = Echo()
    try:
        before = server.descriptors()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(1000)]
            for s in clients:
                s.sendall(b"GET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: server.stats()["open"] == 1000)
            cpu = server.cpu_seconds()
            time.sleep(1.5)
            assert server.cpu_seconds() - cpu < 0.05
            for s in clients:
                assert read_reply(s).body == b'{"slow":true}'
        wait_until(lambda: server.descriptors() == before)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert server.stop() == 0


def test_more_connections_than_descriptors_wait_and_idle_ones_make_room():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = Echo()  # room for 64
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        with contextlib.ExitStack() as stack:
            for i in range(200):
                s = stack.enter_context(server.connect())
                s.sendall(post("/echo", b"x"))
                assert read_reply(s).status == 200
            busy = [stack.enter_context(server.connect()) for _ in range(80)]
            for s in busy:
                s.sendall(b"GET /slow?ms=300 HTTP/1.1\r\nHost: x\r\n\r\n")
            for s in busy:
                assert read_reply(s).status == 200
    finally:
        assert server.stop() == 0


def test_an_idle_server_sleeps():
    server = Echo()
    try:
        before = server.switches()
        time.sleep(1)
        assert server.switches() - before <= 2
    finally:
        assert server.stop() == 0


def test_draining_finishes_what_is_in_progress_and_takes_nothing_new():
    server = Echo()
    with server.connect() as idle, server.connect() as busy:
        idle.sendall(post("/echo", b"x"))
        read_reply(idle)
        busy.sendall(b"GET /slow?ms=500 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: server.stats()["open"] == 1)
        server.process.send_signal(signal.SIGTERM)
        assert read_all(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        reply = parse(read_all(busy))
        assert (reply.body, reply.headers["connection"]) == (b'{"slow":true}', "close")
    assert server.stop(None) == 0


def test_ending_at_once_cuts_everything_and_frees_it():
    server = Echo()
    with contextlib.ExitStack() as stack:
        for path in ("/slow?ms=60000", "/sse?n=100&ms=60000", "/flood?bytes=100000000",
                     "/big?bytes=100000000", "/echo"):
            s = stack.enter_context(server.connect())
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        stack.enter_context(server.connect()).sendall(post("/echo", b"", length=MIB * 2))
        time.sleep(0.1)
        assert server.stop(signal.SIGINT) == 0
