"""A run with a network, while a call fails: on a host made of namespaces, with an internet behind it."""
import contextlib
import errno
import json

from faults.scenarios import TIMEOUT, Scenario, is_refused
from faults.walk import REFUSED, RIGHT, Wrong
from network_world import World
from test_network_http import REACH
from test_network_sandbox import inside

OPEN = ("45.0.0.2", 80)
CLOSED = (("169.254.169.254", 80), ("10.1.2.3", 80), ("10.9.0.1", 22), ("45.0.0.1", 22))
ENV = {"NETWORK_MODE": "bridge", "NETWORK_DNS": "10.1.2.4"}


@contextlib.contextmanager
def host():
    """The walk, and the servers it starts, are there in the meantime."""
    world = World()
    try:
        world.net.serve_names("10.1.2.4", "45.0.0.2")
        world.peer(world.host_name).serve(22)
        with inside(world.host_name):
            yield
    finally:
        world.close()


class Network(Scenario):
    """What is allowed is reached, and nothing of the host and its neighbours, whatever failed."""

    name = "network"

    def run(self, walk):
        client = walk.client()
        answer = client.post({"code": REACH % ((OPEN, *CLOSED),), "network": "bridge"},
                             timeout=TIMEOUT)
        client.close()
        if is_refused(answer):
            return REFUSED
        if not answer["success"]:
            raise Wrong(f"200 but: {answer.text[:600]}")
        found = json.loads(answer["stdout"])
        way_out = found.pop(f"{OPEN[0]} {OPEN[1]}")
        if way_out == errno.ENETUNREACH:
            return REFUSED  # the end of the network process takes the links of its runs along
        if way_out != "45.0.0.1":
            raise Wrong(f"no way out: {answer['stdout']}")
        if not all(isinstance(one, int) for one in found.values()):
            raise Wrong(f"REACHED WHAT IT MUST NOT: {found}")
        return RIGHT
