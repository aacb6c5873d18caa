"""What the kernel counts by user, and a session could use up for others: for runs and sessions beside
it, and for root on the host."""
import contextlib
import ctypes
import os
import socket

import pytest

from client import wait_until
from session_client import session

WATCHES = 50  # three times as many are more than fs.inotify.max_user_instances allows a user
SIGNALS = 4000


def host_can_watch():
    """Whether root on the host gets an inotify instance."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def queued_signals():
    """How many signals are queued for all that root on the host is charged with."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1].split("/")[0]) for line in status if line.startswith("SigQ"))


def open_watch(server, one):
    """A connection that watches the session, and the first line that was answered."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(f"GET {one.path}/watch HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection, connection.recv(4096).split(b"\r\n")[0].decode()


def test_watches_of_some_sessions_leave_others_theirs(server):
    """R15: instances of inotify are counted by user, in the end for whoever made the namespace."""
    client = server.client()
    with contextlib.ExitStack() as stack:
        hogs = [stack.enter_context(session(client, ephemeral=True)) for _ in range(3)]
        for one in hogs:
            answers = []
            for _ in range(WATCHES):
                connection, answer = open_watch(server, one)
                stack.enter_context(contextlib.closing(connection))
                answers.append(answer)
            assert " 200 " in answers[0] and " 200 " not in answers[-1], "bounded for itself"
        other = stack.enter_context(session(client, ephemeral=True))
        connection, answer = open_watch(server, other)
        connection.close()
        assert " 200 " in answer, "not for another session"
        assert host_can_watch(), "nor for the host"


@pytest.mark.parametrize("kind", ["session", "run"])
def test_queued_signals_are_not_roots_on_the_host(server, kind):
    """R15: so are queued signals, without which timers and real-time signals fail."""
    code = ("import os, signal, time\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n"
            f"for _ in range({SIGNALS}): os.kill(os.getpid(), 40)\n"
            "print('queued', flush=True)\n"
            "time.sleep(3)")
    before = queued_signals()
    if kind == "run":
        for event in server.client().stream(code):
            if "queued" in str(event):
                assert queued_signals() < before + SIGNALS // 2
        return
    with session(server.client(), ephemeral=True) as one:
        one.write("queue.py", code)
        process = one.background("python3 queue.py")
        wait_until(lambda: "queued" in one.get(f"/processes/{process}/output")["stdout"], 10, "queued")
        assert queued_signals() < before + SIGNALS // 2
