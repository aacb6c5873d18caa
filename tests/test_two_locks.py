"""Two locks for each attack: with no seccomp program in force, the second lock holds (security.md, test
method 5).

The server is the real one. Its runtime directory is a copy in which each compiled program is one
instruction that allows everything; all other locks are untouched. What then comes of an attempt is in
the header of its attack (`unlocked`); attempts that are not named there end as they always do, because
seccomp never was what stopped them.
"""
import shutil
import struct

import pytest

import server as servers
from attack_world import ATTACKS, World, judge
from host_watch import HostWatch

ALLOW_EVERYTHING = struct.pack("=HBBI", 0x06, 0, 0, 0x7fff0000)
# Without the filter these are stopped by nothing that a test can see from inside, or need it to be said
# how: docs/attacks.md.
TRIED = [one for one in ATTACKS if "unlocked" in one.fields]


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory):
    """A World whose sandboxes have empty filters."""
    dist = tmp_path_factory.mktemp("unlocked") / "dist"
    shutil.copytree(servers.DIST, dist, symlinks=True)
    programs = list(dist.rglob("*.bpf"))
    assert len(programs) == 5, programs
    for program in programs:
        program.write_bytes(ALLOW_EVERYTHING)
    directory = servers.state_directory("unlocked")
    server = servers.Server(directory, dist=dist)
    try:
        server.start()
        watch = HostWatch(server)
        world = World(server, watch, tmp_path_factory.mktemp("attacks"))
        yield world
        watch.check_store()
        world.close()
        watch.close()
        server.stop()
    finally:
        server.abandon()
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(server.directory, ignore_errors=True)


def test_the_filters_are_off(unlocked):
    answer = unlocked.server.client().run("""
        import ctypes
        print(ctypes.CDLL(None).personality(0x0040000))
        """)
    assert answer["stdout"] == "0\n", "personality(2) is allowed to everybody but for the filter"


@pytest.mark.parametrize("attack", TRIED, ids=lambda attack: attack.name)
def test_the_second_lock_holds(unlocked, attack):
    outcome = unlocked.run(attack, "execute")
    judge(attack, outcome, "execute", attack.expected("unlocked"))
    unlocked.check()
