"""A server that has been taken over against the spawner's workspaces: every request in every order, on
the same few numbers, while workers die."""
import errno
import os
import random
import select
import time

import pytest

import host
import spawner as sp
from client import wait_until
from spawner import Spawner

MIB = 1 << 20
NUMBERS = range(1, 5)
REQUESTS = 400
WAITING = 24  # requests that are sent before their answers are read
OPS = [sp.WORKSPACE_MAKE, sp.WORKSPACE_OPEN, sp.WORKSPACE_ATTACH, sp.WORKSPACE_CLOSE,
       sp.WORKSPACE_GROW, sp.WORKSPACE_COPY, sp.WORKSPACE_REMOVE]
ALL_BUT_COPY = [op for op in OPS if op != sp.WORKSPACE_COPY]
EXPECTED = {0, errno.EAGAIN, errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.ERANGE, errno.ESRCH}
KILLED = {errno.EIO, errno.EINVAL, errno.EUCLEAN}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes")


def kill_a_worker(one, rng):
    """Ends a child of the spawner that is no nest: a worker, a guard or mke2fs."""
    found = [child for child in host.tree(one.popen.pid)[1:]
             if child.comm in ("dunlin-spawner", "mke2fs")]
    if found:
        host.kill(rng.choice(found))


def hostile(rng, slot, copies=True):
    """One request.  Without copies where workers are killed: one whose guard dies with it leaves its
    file system frozen, and nobody can thaw what is not mounted (docs/security.md)."""
    op, number = rng.choice(OPS if copies else ALL_BUT_COPY), rng.choice(NUMBERS)
    more = {"layer": number, "bytes": rng.choice([0, 65536, MIB, 8 * MIB, 1 << 63])}
    if op == sp.WORKSPACE_COPY:
        more["other"] = rng.choice([n for n in NUMBERS if n != number])
    if op == sp.WORKSPACE_ATTACH:
        more["slot"] = slot
    return {"op": op, **more}


def take(one, seconds):
    """The error of the next answer, whose descriptors are closed; None: none came."""
    if not select.select([one.sock], [], [], seconds)[0]:
        return None
    reply, fds = one.receive()
    for fd in fds:
        os.close(fd)
    return reply.error


@pytest.mark.parametrize("kills", [False, True])
def test_no_order_of_requests_hurts_the_spawner(kills):
    """It answers each, goes on, and can take everything down in the end."""
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    print("seed", seed)
    with Spawner(workspace_bytes_max=1 << 30) as one:
        box = one.sandbox()
        errors, waiting = set(), 0
        for _ in range(REQUESTS):
            one.send(**hostile(rng, box.slot, copies=not kills))
            waiting += 1
            if kills and rng.random() < 0.05:
                kill_a_worker(one, rng)
            while waiting > 0 and (error := take(one, 20 if waiting >= WAITING else 0)) is not None:
                errors.add(error)
                waiting -= 1
        while waiting > 0:
            errors.add(take(one, 20))
            waiting -= 1
        assert errors <= EXPECTED | (KILLED if kills else set()), [os.strerror(e) for e in errors]
        box.close()
        for number in NUMBERS:
            wait_until(lambda n=number: one.ask(sp.WORKSPACE_CLOSE, layer=n).error == 0, 20, "closed")
            wait_until(lambda n=number: one.ask(sp.WORKSPACE_REMOVE, layer=n).error == 0, 20, "removed")
        assert one.images("workspaces") == [] and not one.loops()
        assert [m for m in one.mounts() if m.startswith("w")] == []
        one.good(sp.WORKSPACE_MAKE, layer=1, bytes=MIB)
        one.good(sp.WORKSPACE_CLOSE, layer=1)


def test_a_server_that_does_not_listen_is_left_when_it_goes():
    """Answers that nobody takes block the spawner; not longer than its server lives."""
    with Spawner(workspace_bytes_max=1 << 30) as one:
        one.good(sp.WORKSPACE_MAKE, layer=1, bytes=MIB)
        one.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            while True:
                one.send(sp.LAYER_NEXT)
        one.sock.close()
        begun = time.monotonic()
        one.popen.wait(20)
        assert time.monotonic() - begun < 15
        wait_until(lambda: not one.loops(), 10, "its loop devices are gone")
