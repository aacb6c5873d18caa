"""Crashes during builds: any process is killed at any moment; nothing is left over, no record is lost
or stuck.  CRASH_ROUNDS sets the number of rounds (6; 30 for the acceptance)."""
import os
import random
import threading
import time

import pytest
import requests

import host
from client import unique_name, wait_until
from environments import create, layers
from server import Server

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "6"))
SCRIPT = """
echo begun
for i in $(seq 40); do head -c 200K /dev/urandom > /data$i; sleep 0.02; done
echo over {name}
"""


def builds_of(server):
    """Processes of BUILD sandboxes: whoever runs as root of a nest's range (uid a multiple of 65536)."""
    return [one for one in server.tree()
            if (uid := uid_of(one)) is not None and uid > 0x70010000 and uid % 0x10000 == 0]


def uid_of(one):
    """The real uid of a process, None if it is gone."""
    try:
        return host.host_uid(one.pid)[0]
    except (OSError, KeyError):
        return None


def victim(server):
    """Any process that the server has: server, spawner, worker, builder, init or script."""
    kinds = [[server.http_process], [server.spawner], server.nests,
             server.children("dunlin-init"), builds_of(server)]
    return random.choice(random.choice([kind for kind in kinds if kind]))


def start_builds(server, names):
    """Asks for builds from a thread; the server may die meanwhile."""
    def work():
        client = server.client()
        try:
            for name in names:
                client.post({"name": name, "setup_script": SCRIPT.format(name=name)},
                            path="/environments?wait=false")
        except requests.RequestException:
            pass
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def finish(server):
    """Waits until the server has ended by itself or no build is in progress; returns a running one."""
    def settled():
        if server.popen.poll() is not None:
            return True
        try:
            answer = server.client().get("/environments", timeout=2)
        except requests.RequestException:
            return False
        return answer.status == 200 and \
            all(one["status"] != "building" for one in answer["environments"])
    wait_until(settled, 40, "no build is stuck")


@pytest.mark.deadline(90 + 25 * ROUNDS)
def test_sigkill_of_any_process_during_builds_leaves_nothing_and_loses_no_record(spare_directory):
    """Records asked for and answered are there after each restart, ready or failed, never building."""
    server = Server(spare_directory, {"BUILD_CONCURRENCY": "2"}).start()
    before = layers(server.data)  # of images that other tests have imported, too
    kept = create(server.client(), "echo kept > /x")["name"]
    known = set()
    try:
        for _ in range(ROUNDS):
            names = [unique_name("c") for _ in range(3)]
            thread = start_builds(server, names)
            time.sleep(random.uniform(0, 2.0))
            server.tree()
            known |= {one["name"] for one in listing(server)}
            host.kill(victim(server))
            thread.join(10)
            finish(server)
            if server.popen.poll() is not None or server.health() is None:
                server.abandon()
                server = Server(spare_directory, {"BUILD_CONCURRENCY": "2"}).start()
            check(server, known, kept)
        used = {one["name"] for one in listing(server)} - {kept}
        client = server.client()
        for name in used:
            assert client.request("DELETE", f"/environments/{name}").status == 200
        wait_until(lambda: len(layers(server.data) - before) <= 2, 15,
                   f"the base and one layer are left of {layers(server.data)}, before {before}")
        client.request("DELETE", f"/environments/{kept}")
        server.stop()
        server.assert_nothing_left()
        assert not loops(server.data), "no loop device holds one of our files"
    finally:
        server.abandon()


def listing(server):
    """The environments, or nothing when the server is gone."""
    try:
        return server.client().get("/environments", timeout=5).body["environments"]
    except (requests.RequestException, TypeError):
        return []


def check(server, known, kept):
    """No record that was seen is gone; none is building for ever; what was ready still runs."""
    wait_until(lambda: all(one["status"] != "building" for one in listing(server)), 40,
               "no record stays building")
    now = {one["name"]: one for one in listing(server)}
    assert known <= now.keys(), known - now.keys()
    for one in now.values():
        assert one["status"] == "ready" or one["error"], one
    ready = [name for name, one in now.items() if one["status"] == "ready"]
    assert kept in ready
    name = random.choice(ready)
    answer = server.client().run("print('up')", environment=name)
    assert answer["stdout"] == "up\n", answer.text


def loops(data):
    """Backing files beneath `data` of loop devices."""
    found = []
    for name in os.listdir("/sys/block"):
        try:
            with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8") as f:
                found.append(f.read().strip())
        except OSError:
            continue
    return [path for path in found if path.startswith(str(data))]
