"""Live sandboxes of sessions with the real spawner and the real init, without a server:
build/src/engine/live_driver opens them, runs programs and calls on files there."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import host
from drivers import DIST, built
from server import clean_environment

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(180)]
STAT, LIST, READ, WRITE = 1, 2, 3, 4
PARENTS = 1 << 2
MIB = 1 << 20


class Driver:
    """One live_driver; each op is a call with the fields of its line."""

    def __init__(self, data, *flags):
        self.popen = subprocess.Popen(
            [built("src/engine/live_driver"), DIST, f"--data={data}", *flags], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment())

    def __call__(self, op, **fields):
        print(json.dumps({"op": op, **fields}), file=self.popen.stdin, flush=True)
        return json.loads(self.popen.stdout.readline())

    def open(self, **fields):
        """The handle of a live sandbox."""
        answer = self("open", **fields)
        assert "error" not in answer, answer
        return answer["live"]

    def stop(self):
        """Ends it; everything it said on stderr."""
        self.popen.stdin.close()
        text = self.popen.stderr.read()
        assert self.popen.wait(20) == 0, text
        return text


@pytest.fixture(scope="module")
def driver():
    data = tempfile.mkdtemp(prefix=host.OWN_PREFIX + "live-")
    one = Driver(data)
    yield one
    one.stop()
    left = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
            if data in line]
    shutil.rmtree(data)
    assert not left


@pytest.fixture
def live(driver):
    """A session in memory."""
    handle = driver.open()
    yield handle
    assert driver("close", live=handle)["value"] == 0


def test_programs_share_the_workspace_and_have_their_own_streams(driver, live):
    made = driver("exec", live=live, argv=["sh", "-c", "pwd; cat > a; echo no > /dev/stderr; exit 3"],
                  stdin="kept")
    assert (made["stdout"], made["stderr"], made["exit_code"]) == ("/workspace\n", "no\n", 3), made
    assert driver("exec", live=live, argv=["cat", "a"])["stdout"] == "kept"
    assert "No such file" in driver("exec", live=live, argv=["nonsense"])["refused"]


def test_python_runs_warm_and_again(driver, live):
    warm = 0
    for turn in range(50):
        answer = driver("exec", live=live, argv=["python3", "/workspace/main.py", str(turn)],
                        python=True, script="/workspace/main.py",
                        code="import sys, os; print(sys.argv[1], os.getcwd(), os.getuid())")
        assert answer["stdout"] == f"{turn} /workspace 1000\n", answer
        warm += answer["warm"]
        if warm == 3:
            break
        driver("turn", ms=20)
    assert warm == 3, "the zygote needs a moment after the start, no more"


def test_a_deadline_ends_everything_that_was_started(driver, live):
    answer = driver("exec", live=live, argv=["sh", "-c", "sleep 60 & sleep 60"], timeout_ms=200)
    assert (answer["timed_out"], answer["signal"]) == (True, 9), answer
    left = driver("exec", live=live, argv=["sh", "-c", "cat /proc/[0-9]*/comm"])["stdout"]
    assert "sleep" not in left


def test_what_stays_behind_does_not_hold_the_answer(driver, live):
    answer = driver("exec", live=live, argv=["sh", "-c", "sleep 60 & echo here"], background=True)
    assert (answer["stdout"], answer["exit_code"]) == ("here\n", 0), answer
    assert answer["us"] < 5_000_000


def test_a_terminal_is_one(driver, live):
    answer = driver("exec", live=live, argv=["sh", "-c", "tty; stty size"], terminal=True)
    assert answer["stdout"] == "/dev/pts/0\r\n24 80\r\n", answer


def test_a_large_file_goes_in_and_out(driver, live):
    size = 40 * MIB
    answer = driver("file", live=live, call=WRITE, path="deep/big", size=size, fill=size,
                    flags=PARENTS)
    assert (answer["errno"], answer["frames"][0]["size"]) == (0, size), answer
    answer = driver("file", live=live, call=READ, path="deep/big", size=1 << 40)
    assert (answer["errno"], answer["bytes"]) == (0, size), answer
    assert driver("file", live=live, call=STAT, path="../etc/passwd")["errno"] != 0


def test_the_end_of_all_processes_is_not_the_end_of_the_session(driver, live):
    answer = driver("exec", live=live, argv=["sh", "-c", "kill -9 -1"])
    assert answer["exit_code"] == 0 and not answer["lost"], answer
    assert driver("exec", live=live, argv=["echo", "on"])["stdout"] == "on\n"


def test_a_workspace_outlives_its_sandbox_and_grows(driver):
    live = driver.open(workspace=5, new=True, bytes=20 * MIB)
    assert driver("file", live=live, call=WRITE, path="f", size=4, data="kept")["errno"] == 0
    full = driver("file", live=live, call=WRITE, path="g", size=30 * MIB, fill=30 * MIB)
    assert full["errno"] == 28, full
    assert "error" not in driver("grow", live=live, bytes=60 * MIB)
    assert driver("file", live=live, call=WRITE, path="g", size=30 * MIB, fill=30 * MIB)["errno"] == 0
    assert driver("close", live=live)["value"] > 30 * MIB
    live = driver.open(workspace=5, bytes=60 * MIB)
    assert driver("file", live=live, call=READ, path="f", size=9)["data"] == "kept"
    copied = driver("copy", workspace=5, to=6)
    assert copied["value"] > 30 * MIB, copied
    driver("close", live=live)
    live = driver.open(workspace=6, bytes=60 * MIB)
    assert driver("exec", live=live, argv=["cat", "f"])["stdout"] == "kept"
    driver("close", live=live)
    for number in (5, 6):
        assert "error" not in driver("remove", workspace=number)
    gone = driver("open", workspace=5, bytes=MIB)
    assert (gone["code"], "No such file" in gone["error"]) == (5, True), gone
    driver("close", live=gone["live"])
