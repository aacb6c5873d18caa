"""Bodies that are read piece by piece: back-pressure, deadlines, refusals, forms, memory.

Drives build/src/http/http_echo (tests/http/http_uploads.c).
"""
import contextlib
import json
import pathlib
import socket
import threading
import time
import zlib

import pytest

from test_http_layer import MIB, SCALE_MS, Echo, parse, post, read_all, read_reply, wait_until

FORM = "Content-Type: multipart/form-data; boundary=XX"


@pytest.fixture(scope="module")
def echo():
    """A server that takes large bodies, with a second in deadlines of 40 ms."""
    server = Echo("--limit", str(400 * MIB), "--budget", str(MIB), "--scale", str(SCALE_MS))
    yield server
    wait_until(lambda: server.stats()["open"] == 0)
    assert server.stop() == 0


def put(path, body, *headers, length=None):
    return post(path, body, *headers, length=length)


def rss_kb(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def send_in_background(s, data, times=1):
    """Send in a thread; a server that closes meanwhile is no error."""
    def run():
        with contextlib.suppress(OSError):
            for _ in range(times):
                s.sendall(data)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_body_arrives_whole_and_the_connection_stays(echo):
    body = bytes(range(256)) * 1000
    with echo.connect() as s:
        for _ in range(2):
            s.sendall(put("/upload", body))
            reply = json.loads(read_reply(s).body)
            assert reply == {"bytes": len(body), "sum": zlib.adler32(body), "length": len(body)}
        s.sendall(put("/upload", b""))
        assert json.loads(read_reply(s).body) == {"bytes": 0, "sum": 1, "length": 0}


def test_a_chunked_body_arrives_whole(echo):
    with echo.connect() as s:
        s.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"abc", b"d" * 70000, b"e"):
            s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        s.sendall(b"0\r\n\r\n")
        body = b"abc" + b"d" * 70000 + b"e"
        assert json.loads(read_reply(s).body) == {"bytes": len(body), "sum": zlib.adler32(body),
                                                  "length": -1}
        s.sendall(put("/upload", b"again"))
        assert json.loads(read_reply(s).body)["bytes"] == 5


def test_300_mb_pass_through_constant_memory(echo):
    before = rss_kb(echo)
    peak = before
    block = bytes(MIB)
    start = time.monotonic()
    with echo.connect(timeout=60) as s:
        s.sendall(put("/upload?nosum=1", b"", length=300 * MIB))
        for n in range(300):
            s.sendall(block)
            if n % 20 == 0:
                peak = max(peak, rss_kb(echo))
        assert json.loads(read_reply(s).body)["bytes"] == 300 * MIB
    took = time.monotonic() - start
    print(f"upload: {300 * MIB / 1e6 / took:.0f} MB/s, RSS {before} -> {peak} kB")
    assert peak - before < 4096


def test_a_slow_taker_makes_the_client_wait_and_no_deadline_counts_it(echo):
    """64 KB per tick and a pause of 40 'seconds' before: far longer than a body may be silent."""
    body = bytes(8 * MIB)
    before = rss_kb(echo)
    with echo.connect(timeout=30) as s:
        thread = send_in_background(s, put("/upload?nosum=1&rate=65536&delay=1600", body))
        time.sleep(0.5)
        assert thread.is_alive()
        assert rss_kb(echo) - before < 2048
        assert json.loads(read_reply(s).body)["bytes"] == len(body)


def test_a_full_sink_pauses_the_deadline(echo):
    """A byte per 10 ms is taken: 300 bytes take 3 s, 75 'seconds', far below the rate."""
    with echo.connect(timeout=30) as s:
        s.sendall(put("/upload?rate=1", bytes(300)))
        assert json.loads(read_reply(s).body)["bytes"] == 300


def test_expect_100_continue_is_answered_when_reading_begins(echo):
    head = (b"PUT /upload?delay=200 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 3\r\n\r\n")
    with echo.connect() as s:
        start = time.monotonic()
        s.sendall(head)
        assert s.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert time.monotonic() - start > 0.15
        s.sendall(b"abc")
        assert json.loads(read_reply(s).body)["bytes"] == 3
    with echo.connect() as s:
        s.sendall(head.replace(b"delay=200", b"refuse=head"))
        assert parse(read_all(s)).status == 403


@pytest.mark.parametrize("how, status", [("head", 403), ("later&delay=50", 404), ("body", 507)])
def test_a_refused_body_is_answered_and_the_connection_closed(echo, how, status):
    with echo.connect() as s:
        send_in_background(s, put(f"/upload?refuse={how}", bytes(MIB), length=200 * MIB))
        reply = parse(read_all(s))
    assert reply.status == status
    assert reply.headers["connection"] == "close"
    assert "refused" in json.loads(reply.body)
    assert (reply.headers.get("x-test") == "refused") == (how == "body")


def test_a_body_that_is_too_large_is_refused_before_or_when_it_is_seen(echo):
    reply = parse(echo.exchange(put("/upload", b"", length=401 * MIB)))
    assert reply.status == 413
    gone = echo.stats()["gone"]
    chunk = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
    with echo.connect(timeout=30) as s:
        s.sendall(b"PUT /upload?nosum=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_in_background(s, chunk, 402)
        assert parse(read_all(s)).status == 413
    wait_until(lambda: echo.stats()["gone"] == gone + 1)


@pytest.mark.parametrize("path", ["/upload", "/upload?rate=1", "/upload?delay=5000"])
def test_a_client_that_goes_away_in_the_middle_is_noticed(echo, path):
    gone = echo.stats()["gone"]
    with echo.connect() as s:
        s.sendall(put(path, bytes(70000), length=MIB))
        wait_until(lambda: echo.stats()["open"] > 0)
    wait_until(lambda: echo.stats()["gone"] == gone + 1)
    assert echo.stats()["open"] == 0


def test_a_silent_and_a_trickling_upload_time_out(echo):
    gone = echo.stats()["gone"]
    with echo.connect() as silent, echo.connect() as trickle:
        silent.sendall(put("/upload", b"abc", length=MIB))
        trickle.sendall(put("/upload", b"abc", length=MIB))
        end = time.monotonic() + 10
        trickle.setblocking(False)
        data = b""
        while time.monotonic() < end and not data:
            with contextlib.suppress(BlockingIOError):
                data = trickle.recv(1 << 16)
            with contextlib.suppress(OSError):
                trickle.send(b"x")
            time.sleep(SCALE_MS / 1000)
        assert parse(data).status == 408
        assert parse(read_all(silent)).status == 408
    wait_until(lambda: echo.stats()["gone"] == gone + 2)


# -- forms


def form(*parts):
    return b"".join(b"--XX\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % part
                    for part in parts) + b"--XX--\r\n"


def parts_of(reply):
    assert reply.status == 200, reply.body
    return [(bytes.fromhex(name).decode(), filename and bytes.fromhex(filename).decode(), size, sum_)
            for name, filename, size, sum_ in json.loads(reply.body)["parts"]]


@pytest.mark.parametrize("query", ["", "?rate=40000"])
def test_a_form_tells_its_parts_however_slowly_they_are_taken(echo, query):
    data = b"\r\n--X" * 40000
    names = 'a "b"/c;.txt', "ä€.bin"
    body = form((b'name="note"', b"hello"),
                (b'name="file"; filename="a \\"b\\"/c;.txt"', data),
                ('name=unwanted; filename="x"'.encode(), data),
                ('name="file"; filename="ä€.bin"'.encode(), b""))
    with echo.connect(timeout=30) as s:
        send_in_background(s, post(f"/form{query}", body, FORM))
        assert parts_of(read_reply(s)) == [
            ("note", None, 5, zlib.adler32(b"hello")),
            ("file", names[0], len(data), zlib.adler32(data)), ("unwanted", "x", 0, 1),
            ("file", names[1], 0, 1)]
        s.sendall(post("/form", form((b"name=n", b"x")), FORM))
        assert len(parts_of(read_reply(s))) == 1


def test_a_large_form_costs_no_memory(echo):
    before = rss_kb(echo)
    head = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    tail = b"\r\n--XX--\r\n"
    with echo.connect(timeout=60) as s:
        s.sendall(post("/form?nosum=1", head, FORM, length=len(head) + 64 * MIB + len(tail)))
        for _ in range(64):
            s.sendall(bytes(MIB))
        assert rss_kb(echo) - before < 4096
        s.sendall(tail)
        assert parts_of(read_reply(s))[0][2] == 64 * MIB


@pytest.mark.parametrize("body", [b"", b"nothing", b"--XX\r\n", b"--XXyy\r\n" + bytes(1000),
                                  b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--",
                                  b"--XX\r\n" + b"A: b\r\n" * 1000])
def test_a_malformed_form_is_told(echo, body):
    reply = parse(echo.exchange(post("/form", body, FORM, "Connection: close")))
    assert (reply.status, json.loads(reply.body)) == (400, {"malformed": True})


def test_another_content_type_is_no_form(echo):
    for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
        reply = parse(echo.exchange(post("/form", b"a=b", f"Content-Type: {kind}")))
        assert reply.status == 415


def test_a_drain_waits_for_an_upload():
    server = Echo()
    with server.connect() as s:
        s.sendall(put("/upload", b"ab", length=4))
        wait_until(lambda: server.stats()["open"] == 1)
        server.process.terminate()
        with pytest.raises(OSError):
            while True:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
                time.sleep(0.01)
        s.sendall(b"cd")
        reply = read_reply(s)
        assert reply.status == 200 and reply.headers["connection"] == "close"
    assert server.stop(None) == 0
