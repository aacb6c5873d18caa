"""Real sandboxes of a real spawner with networks (R60, R61), in a world of network namespaces."""
import contextlib
import ctypes
import json
import os
import time

import pytest

import host
from network_world import NOTHING, World
from spawner import BRIDGE, NONE, START, Spawner

NEW_NET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

REACH = """
import json, socket
def reach(address, port):
    try:
        with socket.create_connection((address, port), 2) as s:
            s.send(b"x")
            return s.recv(100).decode()
    except OSError as error:
        return error.errno
print(json.dumps({"links": [name for _, name in socket.if_nameindex()], **{
    f"{address} {port}": reach(address, port) for address, port in %r}}))
"""
REFUSED, UNREACHABLE = 111, 101  # errno(3)


@contextlib.contextmanager
def inside(name):
    """What is started in this block is in that network namespace."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        assert libc.setns(there, NEW_NET) == 0
        yield
    finally:
        assert libc.setns(own, NEW_NET) == 0
        os.close(own)
        os.close(there)


@pytest.fixture
def world():
    """A fresh world for each test."""
    one = World()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def spawner(world):
    """A spawner on that host.  Its sandboxes see the machine's own programs."""
    with contextlib.ExitStack() as stack:
        with inside(world.host_name):
            one = stack.enter_context(
                Spawner(system=b"/", ndns=1, dns=b"10.1.2.4", connections=64))
        yield one


def reach(spawner, network, *targets):
    """What a run with this network reaches."""
    box = spawner.sandbox()
    try:
        spawner.good(START, slot=box.slot, network=network)
        status, out, err = box.run(["/usr/bin/python3", "-c", REACH % (targets,)])
        assert status == 0, err
        return json.loads(out)
    finally:
        box.close()


def test_a_run_reaches_the_internet_and_nothing_of_the_host(world, spawner):
    inner = world.peer(world.host_name)
    inner.serve(22, 8000)
    found = reach(spawner, BRIDGE, ("45.0.0.2", 80), ("2a00::2", 80), ("45.0.0.1", 22),
                  ("10.9.0.1", 8000), ("2a00::1", 8000), ("10.1.2.3", 80), ("169.254.169.254", 80),
                  ("fd00:ec2::254", 80), ("::ffff:10.1.2.3", 80), ("45.0.0.2", 25))
    assert found == {
        "links": ["lo", "eth0"], "45.0.0.2 80": "45.0.0.1", "2a00::2 80": "2a00::1",
        "45.0.0.1 22": REFUSED, "10.9.0.1 8000": REFUSED, "2a00::1 8000": REFUSED,
        "10.1.2.3 80": REFUSED, "169.254.169.254 80": REFUSED, "fd00:ec2::254 80": REFUSED,
        "::ffff:10.1.2.3 80": REFUSED, "45.0.0.2 25": REFUSED}
    assert inner.seen() == []


def test_a_run_without_a_network_has_none_beside_one_that_has(spawner):
    assert reach(spawner, BRIDGE, ("45.0.0.2", 80))["45.0.0.2 80"] == "45.0.0.1"
    found = reach(spawner, NONE, ("45.0.0.2", 80), ("2a00::2", 80))
    assert found["links"] == ["lo"]
    assert found["45.0.0.2 80"] == UNREACHABLE


def test_names_are_looked_up(world, spawner):
    world.net.serve_names("10.1.2.4", "45.0.0.2")
    assert reach(spawner, BRIDGE, ("packages.example", 80))["packages.example 80"] == "45.0.0.1"


def test_a_run_cannot_change_its_network(spawner):
    box = spawner.sandbox()
    spawner.good(START, slot=box.slot, network=BRIDGE)
    status, out, _ = box.run(["/bin/sh", "-c", """
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin
        ip addr add 10.1.2.9/24 dev eth0 && echo changed
        ip route replace default dev eth0 && echo changed
        ip link set eth0 address 02:00:00:00:00:01 && echo changed
        nft list ruleset && echo read
        unshare --net true && echo left
        ip -o -4 addr show dev eth0"""])
    box.close()
    assert status == 0
    assert out.startswith("2: eth0 ") and len(out.splitlines()) == 1


def test_links_go_with_their_sandboxes_and_starts_take_milliseconds(world, spawner):
    reach(spawner, BRIDGE)
    seconds = []
    for _ in range(10):
        box = spawner.sandbox()
        began = time.monotonic()
        spawner.good(START, slot=box.slot, network=BRIDGE)
        seconds.append(time.monotonic() - began)
        box.close()
    assert sorted(seconds)[5] < 0.05
    deadline = time.monotonic() + 5
    while world.state()[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert world.state()[0] == []


def test_the_end_of_the_spawner_is_the_end_of_the_network(world, spawner):
    box = spawner.sandbox()
    spawner.good(START, slot=box.slot, network=BRIDGE)
    assert len(world.state()[0]) == 1
    spawner.stop()
    assert world.state() == NOTHING


def test_a_killed_spawner_leaves_no_network(world, spawner):
    box = spawner.sandbox()
    spawner.good(START, slot=box.slot, network=BRIDGE)
    workers = [one for one in host.tree(spawner.popen.pid) if one.comm == "dunlin-network"]
    assert len(workers) == 1
    spawner.kill()
    deadline = time.monotonic() + 5
    while host.is_alive(workers[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.state() == NOTHING
    with inside(world.host_name):
        spawner.start()  # the next one removes its control groups


def test_a_network_that_cannot_be_made_is_refused_with_the_reason(world, spawner):
    for network in ("198.18.0.0/15", "100.64.0.0/10", "10.0.0.0/8"):
        world.ip(world.host_name, "route", "add", "blackhole", network)
    box = spawner.sandbox()
    reply = spawner.ask(START, slot=box.slot, network=BRIDGE)
    box.close()
    assert reply.error != 0
    assert "every range of addresses for sandboxes is in use" in reply.text.decode()


def test_the_network_process_has_two_capabilities_and_no_descriptor_of_others(spawner):
    box = spawner.sandbox()
    spawner.good(START, slot=box.slot, network=BRIDGE)
    worker = next(one for one in host.tree(spawner.popen.pid) if one.comm == "dunlin-network")
    status = host.status(worker.pid)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == 1 << 12 | 1 << 21, name  # NET_ADMIN, SYS_ADMIN
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert host.descriptor_count(worker.pid) <= 9
    box.close()
