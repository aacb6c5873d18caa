"""Dunlin as a unit of systemd's, as deploy/dunlin.service has it."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest
import requests

from client import Client, wait_until

UNIT = "dunlin.service"
GROUP = pathlib.Path("/sys/fs/cgroup/system.slice") / UNIT
PORT = 8000
START_SECONDS = 60


def systemctl(*words):
    """systemctl's output; it must succeed."""
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=True).stdout


def shown(name):
    """A property of the unit."""
    return systemctl("show", "--value", "-p", name, UNIT).strip()


def is_healthy():
    """Whether /health answers 200."""
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{PORT}/health", timeout=5).status_code == 200
    return False


def is_up(after=None):
    """Whether it serves, as another process than `after`."""
    return shown("MainPID") not in ("0", after) and is_healthy()


def members():
    """The processes of the unit and of its groups."""
    return [int(pid) for place in GROUP.glob("**/cgroup.procs")
            for pid in place.read_text().split()]


def base_groups():
    """The groups that hold sandboxes."""
    return [path for path in GROUP.glob("dunlin-*") if path.name != "dunlin-service"]


@pytest.fixture(scope="module")
def unit():
    """The unit, up."""
    systemctl("start", UNIT)
    wait_until(is_up, START_SECONDS, "the unit serves")
    yield Client(f"http://127.0.0.1:{PORT}")
    systemctl("stop", UNIT)


def test_sandboxes_lie_beneath_the_unit_and_the_service_beside_them(unit):
    assert unit.run("print('hello')")["stdout"] == "hello\n"
    assert len(base_groups()) == 1
    own = pathlib.Path(f"/proc/{shown('MainPID')}/cgroup").read_text()
    assert own.strip().endswith(f"/{UNIT}/dunlin-service")
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("dunlin-*")), "nothing is made elsewhere"


def test_limits_hold_under_systemd(unit):
    answer = unit.run("x = bytearray(b'x') * (150 << 20)", limits={"memory_mb": 64}, timeout=20)
    assert "memory" in answer["limits_hit"]


def test_reloading_systemd_takes_no_controller_away(unit):
    before = (GROUP / "cgroup.subtree_control").read_text()
    systemctl("daemon-reload")
    assert (GROUP / "cgroup.subtree_control").read_text() == before
    test_limits_hold_under_systemd(unit)


def test_a_killed_service_comes_back_by_itself(unit):
    """Also when nobody is left who could clean up."""
    for turn in range(2):
        main = shown("MainPID")
        victims = [int(main)] if turn == 0 else members()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_up(main), START_SECONDS, "the unit serves again")
        assert unit.clone().run("print('again')")["stdout"] == "again\n"
        assert len(base_groups()) == 1


def test_stopping_it_leaves_neither_process_nor_group(unit):
    systemctl("stop", UNIT)
    assert shown("Result") == "success"
    wait_until(lambda: not GROUP.exists(), 10, "the unit's group is gone")
    systemctl("start", UNIT)
    wait_until(is_up, START_SECONDS, "the unit serves")
