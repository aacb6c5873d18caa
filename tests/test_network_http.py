"""Networks of runs over HTTP (contract A1, R61): a whole server on a host made of namespaces."""
import json
import shutil

import pytest

import host
from client import wait_until
from network_world import NOTHING, World
from server import Server
from test_network_sandbox import REFUSED, UNREACHABLE, inside

REACH = """
import json, socket
def reach(address, port):
    try:
        with socket.create_connection((address, port), 2) as s:
            s.send(b"x")
            return s.recv(100).decode()
    except OSError as error:
        return error.errno
print(json.dumps({f"{address} {port}": reach(address, port) for address, port in %r}))
"""


@pytest.fixture(scope="module")
def world():
    """The host of the tests, whose resolver answers."""
    one = World()
    try:
        one.net.serve_names("10.1.2.4", "45.0.0.2")
        yield one
    finally:
        one.close()


@pytest.fixture
def serve(world, spare_directory):
    """serve(**env) starts a server on that host; everything in the test happens there."""
    made = []
    with inside(world.host_name):
        def start(**env):
            one = Server(spare_directory, {"NETWORK_DNS": "10.1.2.4", **env})
            made.append(one)
            return one.start()
        try:
            yield start
            for one in made:
                one.stop()
                one.assert_nothing_left()
        finally:
            for one in made:
                one.abandon()
                shutil.rmtree(one.directory, ignore_errors=True)
    assert world.state() == NOTHING


def reach(server, *targets, **fields):
    """What a run with these fields reaches."""
    answer = server.client().run(REACH % (targets,), **fields)
    assert answer["success"], answer.text
    return json.loads(answer["stdout"])


def test_a_run_with_a_network_reaches_the_internet_and_nothing_of_the_host(world, serve):
    server = serve(NETWORK_MODE="bridge")
    inner = world.peer(world.host_name)
    inner.serve(22)
    port = server.port
    found = reach(server, ("45.0.0.2", 80), ("packages.example", 80), ("127.0.0.1", port),
                  ("45.0.0.1", port), ("45.0.0.1", 22), ("10.9.0.1", 22), ("10.1.2.3", 80),
                  ("169.254.169.254", 80), ("2a00::2", 80), ("fd12::5", 80), network="bridge")
    assert found == {
        "45.0.0.2 80": "45.0.0.1", "packages.example 80": "45.0.0.1",
        f"127.0.0.1 {port}": REFUSED, f"45.0.0.1 {port}": REFUSED, "45.0.0.1 22": REFUSED,
        "10.9.0.1 22": REFUSED, "10.1.2.3 80": REFUSED, "169.254.169.254 80": REFUSED,
        "2a00::2 80": "2a00::1", "fd12::5 80": REFUSED}
    assert inner.seen() == []


def test_runs_have_no_network_unless_the_operator_says_so(serve):
    server = serve()
    for fields in ({}, {"network": "none"}):
        assert reach(server, ("45.0.0.2", 80), **fields) == {"45.0.0.2 80": UNREACHABLE}
    answer = server.client().post({"code": "1", "network": "bridge"})
    assert answer.status == 422 and "network 'bridge' is more than" in answer.text


def test_a_run_may_ask_for_less(serve):
    server = serve(NETWORK_MODE="bridge")
    assert reach(server, ("45.0.0.2", 80)) == {"45.0.0.2 80": "45.0.0.1"}
    assert reach(server, ("45.0.0.2", 80), network="none") == {"45.0.0.2 80": UNREACHABLE}
    bash = server.client().post({"language": "shell", "code": "cat /etc/resolv.conf"})
    assert "nameserver 10.1.2.4" in bash["stdout"]


def test_a_network_that_cannot_be_had_is_refused_with_the_reason(world, serve):
    server = serve(NETWORK_MODE="bridge")
    ranges = ("198.18.0.0/15", "100.64.0.0/10", "10.0.0.0/8")
    for network in ranges:
        world.ip(world.host_name, "route", "add", "blackhole", network)
    try:
        answer = server.client().post({"code": "print('it ran')", "network": "bridge"})
        assert answer.status == 503 and "it ran" not in answer.text
        assert "addresses for sandboxes" in answer.text
        assert server.client().run("print('still')", network="none")["stdout"] == "still\n"
    finally:
        for network in ranges:
            world.ip(world.host_name, "route", "del", "blackhole", network)
    assert reach(server, ("45.0.0.2", 80), network="bridge") == {"45.0.0.2 80": "45.0.0.1"}


@pytest.mark.parametrize("which", ["spawner", "http_process"])
def test_a_killed_process_leaves_no_network(world, serve, which):
    server = serve(NETWORK_MODE="bridge")
    assert reach(server, ("45.0.0.2", 80)) == {"45.0.0.2 80": "45.0.0.1"}
    assert world.state()[2]
    host.kill(getattr(server, which))
    server.popen.wait(10)
    wait_until(lambda: world.state() == NOTHING, 5, "no network is left")
    server.start()
    assert reach(server, ("45.0.0.2", 80)) == {"45.0.0.2 80": "45.0.0.1"}


def test_a_killed_network_process_costs_one_run_at_most(world, serve):
    server = serve(NETWORK_MODE="bridge")
    assert reach(server, ("45.0.0.2", 80)) == {"45.0.0.2 80": "45.0.0.1"}
    host.kill(server.children("dunlin-network")[0])
    server.client().post({"code": "pass"})
    assert reach(server, ("45.0.0.2", 80)) == {"45.0.0.2 80": "45.0.0.1"}
