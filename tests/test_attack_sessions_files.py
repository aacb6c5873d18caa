"""A session's programs against the calls on their files: links and names that change under them,
files that never answer, floods."""
import contextlib
import socket
import time

import pytest

import host
from client import wait_until
from session_client import Session, session

SECONDS_MAX = 10  # for a call beside an attack, on a busy machine


@pytest.fixture(scope="module")
def one(server):
    """A session in memory for what leaves nothing behind."""
    with session(server.client(), ephemeral=True, size="64M") as it:
        yield it


SWAP = """
import os, sys
os.makedirs('/workspace/real', exist_ok=True)
open('/workspace/real/passwd', 'w').write('mine')
targets = ['/etc', '/proc/1', '/proc/self', '/', '../..', '/dev', '/tmp']
os.chdir('/workspace')
n = 0
print('up', flush=True)
while True:
    n += 1
    try:
        os.symlink(targets[n % len(targets)], 'link')
        os.rename('link', 'way') if n % 2 else os.replace('link', 'way')
    except OSError:
        pass
    try:
        os.unlink('way')
        os.rename('real', 'way')
        os.rename('way', 'real')
    except OSError:
        pass
"""


def start(one, name, code):
    """Starts a Python program in the background and waits for its first word."""
    one.write(name, code)
    process = one.background(f"python3 {name}")
    wait_until(lambda: one.get(f"/processes/{process}/output")["stdout"], 10, "it runs")
    return process


def test_no_call_follows_a_link_that_comes_and_goes(one):
    """R30 to R35: whatever `way` is at each moment, nothing outside the workspace is read or written."""
    process = start(one, "swap.py", SWAP)
    seen, client = set(), one.client
    for turn in range(60):
        body = client.session.get(f"{client.url}{one.path}/files/way/passwd", timeout=20).content
        assert b"root:" not in body, body[:200]
        seen.add(body[:20])
        for name in ("status", "environ", f"new{turn}"):
            assert one.write(f"way/{name}", b"hostile", params={"parents": "false"}).status != 500
        for path in ("/mkdir", "/chmod"):
            one.post(path, path="way/made", mode="0777")
        one.post("/move", **{"from": "real/passwd", "to": "way/passwd", "replace": True})
        listed = one.get("/ls", params={"path": "way"}).text
        assert "shadow" not in listed and "hostname" not in listed, listed[:300]
    one.client.request("DELETE", f"{one.path}/processes/{process}")
    outside = one.shell("find / -xdev -newer /workspace/swap.py -name 'new*' -not -path '/workspace/*' "
                        "2>/dev/null || true; ls /tmp")
    assert "new" not in outside and "made" not in outside
    assert seen


def test_what_is_no_file_is_refused_at_once(one):
    """R34: a call waits for no FIFO, socket, terminal or endless file."""
    one.shell("mkdir -p odd; mkfifo odd/fifo; ln -s /dev/zero odd/zero; ln -s /dev/pts/ptmx odd/pty; "
              "ln -s /proc/kmsg odd/kmsg; ln -s /proc/self/fd/0 odd/fd; ln -s odd odd/odd; "
              "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('odd/socket')\"")
    start_time = time.monotonic()
    for name in ("fifo", "zero", "pty", "kmsg", "fd", "odd/odd", "socket"):
        answer = one.client.get(f"{one.path}/files/odd/{name}")
        assert 400 <= answer.status < 500, (name, answer.status)
    assert one.get("/search", params={"text": "x"}).status == 200
    assert one.get("/ls", params={"recursive": "true"}).status == 200
    packed = one.client.session.get(f"{one.client.url}{one.path}/tar", timeout=20)
    assert packed.status_code in (200, 404)
    assert time.monotonic() - start_time < SECONDS_MAX
    one.shell("rm -rf odd")


def test_calls_are_answered_beside_a_fork_bomb(server):
    """R51: none hangs; some may be refused; afterwards all works."""
    with session(server.client(), ephemeral=True) as it:
        it.write("there", b"x")
        bomb = it.background("bomb() { bomb | bomb & }; bomb; sleep 30")
        time.sleep(0.5)
        for _ in range(20):
            begun = time.monotonic()
            answer = it.client.get(f"{it.path}/stat", params={"path": "there"})
            assert time.monotonic() - begun < SECONDS_MAX
            assert answer.status in (200, 429, 500, 503), answer.text
        it.post(f"/processes/{bomb}/signal", signal="KILL")
        wait_until(lambda: it.get("/stat", params={"path": "there"}).status == 200, 10, "all is well")


def test_a_watch_that_nobody_reads_costs_the_server_nothing(server, one):
    """R54: events wait in the sandbox, and are lost there."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"GET {one.path}/watch?recursive=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in deaf.recv(100)
        before = host.resident_kb(server.http_process.pid)
        one.run("import os\nfor i in range(40000):\n  open('n' + 'x' * 200, 'w').close(); os.unlink('n' + 'x' * 200)",
                timeout=60)
        assert host.resident_kb(server.http_process.pid) < before + (16 << 10)
        assert server.health() == 200
        assert one.shell("echo fine") == "fine\n"


def test_nothing_in_a_workspace_keeps_it_from_waking_up_again(server):
    """Open files in a cycle of sockets outlive their processes until the kernel looks for them."""
    it = Session(server.client(), size="32M")
    try:
        it.run("import socket, array, os\n"
               "fd = os.open('/workspace/held', os.O_CREAT | os.O_RDWR)\n"
               "for _ in range(20):\n"
               "  a, b = socket.socketpair()\n"
               "  socket.send_fds(a, [b'x'], [a.fileno(), b.fileno(), fd])\n"
               "  socket.send_fds(b, [b'x'], [a.fileno(), b.fileno(), fd])\n"
               "  a.detach(); b.detach()\n")
        for _ in range(3):
            it.sleep()
            assert it.shell("echo awake") == "awake\n"
    finally:
        it.delete()


def test_input_that_nobody_reads_is_bounded(server):
    """R54: the server holds it, outside the session's own memory."""
    with session(server.client(), ephemeral=True) as it:
        statuses = [it.post("/exec", command="sleep 60", background=True, stdin="x" * (12 << 20)).status
                    for _ in range(3)]
        assert statuses == [202, 202, 429]
        process = it.background("sleep 60", stdin_open=True)
        path = f"{it.path}/processes/{process}/stdin"
        statuses = [it.client.request("POST", path, data=b"x" * (12 << 20)).status for _ in range(2)]
        assert statuses == [204, 429]
        it.client.request("DELETE", f"{it.path}/processes/{process}")
        wait_until(lambda: it.get(f"/processes/{process}").status == 404
                   or not it.get(f"/processes/{process}")["running"], 10, "it has ended")
        assert it.shell("cat", stdin="fine") == "fine"
