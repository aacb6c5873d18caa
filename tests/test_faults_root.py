"""Faults in the processes that build and guard sandboxes: a short form of tests/faults/run, and what
that has found."""
import errno

import pytest

from client import wait_until
from faults import fitting, scenarios
from faults import session_scenarios as sessions
from faults.walk import DIE, FAIL, RIGHT, Row, Walk, loops
from session_client import Session, session

LOCKING = (1, 14, 80, 95, 112, 117, 119, 126, 135, 140, 157, 257, 292, 302, 317, 436, 444, 445,
           446)  # the calls of a warm run before its code starts, by number (x86-64)


@pytest.fixture(scope="module", name="walk")
def a_walk(spare_directory):
    """A server whose calls can be made to fail; nothing may be left of it."""
    one = Walk("faults", data=spare_directory)
    try:
        one.start()
        yield one
        one.stop()
    finally:
        one.close()


def run_sample(walk, scenario, role, every, actions=(FAIL,)):
    """A walk that leaves faults out must find nothing."""
    row = walk.walk(scenario, role, actions, every)
    assert row.injected > 0 and not row.bugs, "\n".join(row.bugs)


def test_each_step_that_locks_a_warm_run_in_ends_it_when_it_fails(walk):
    """R2, also for what a run cannot see of itself (Landlock)."""
    hello = scenarios.Hello()
    assert hello.run(walk) == RIGHT
    walk.rest()
    row = Row("hello", "run")
    hello.patience = 5
    for number in LOCKING:
        walk.inject(hello, fitting.Fault("run", "syscall", number, 1, FAIL, errno.ENOMEM), row)
    assert row.injected == len(LOCKING) and not row.bugs, "\n".join(row.bugs)


@pytest.mark.parametrize("role, every", [("spawner", 9), ("builder", 9), ("init", 9)])
def test_a_fault_in_any_process_of_a_run_is_healed(walk, role, every):
    run_sample(walk, scenarios.Hello(), role, every)


@pytest.mark.parametrize("role", ["builder", "init", "zygote"])
def test_the_end_of_any_process_of_a_run_is_healed(walk, role):
    run_sample(walk, scenarios.Hello(), role, 17, (DIE,))


def test_a_failed_step_is_not_told_as_a_workspace_that_is_gone(walk):
    """The advice to delete a session whose image is there was given for any step's ENOENT."""
    client = walk.client()
    with session(client, size="1M") as one:
        one.write("f", b"kept")
        one.sleep()
        with walk.page.failing("spawner child", call="mount", error=errno.ENOENT):
            answer = one.get("/files/f")
        assert answer.status in (500, 503) and "delete" not in answer.text, answer.text
        assert one.read("f") == b"kept"
    client.close()


def test_a_session_whose_closing_failed_wakes_and_can_be_deleted(walk):
    """What the closing left in its place kept it from being opened, until the next start."""
    client = walk.client()
    one = Session(client, size="1M")
    one.write("f", b"kept")
    for _ in range(2):
        with walk.page.failing("spawner child", call="chdir", error=errno.EIO):
            client.post({}, path=one.path + "/sleep")
            wait_until(lambda: walk.page.hit.call == "chdir", 5, "a fault")
        wait_until(lambda: one.get("/files/f").status == 200, 10, "it wakes")
    with walk.page.failing("spawner child", call="chdir", error=errno.EIO):
        client.post({}, path=one.path + "/sleep")
    assert one.delete() == 204
    wait_until(lambda: not loops(walk.data), 10, "no loop device is left")
    client.close()


def test_a_file_call_without_a_descriptor_left_is_told_as_such(walk):
    """It was answered by 409, a conflict, with an errno that nothing had given."""
    client = walk.client()
    with session(client, size="1M") as one:
        with walk.page.failing("init child", call="open", error=errno.EMFILE):
            answer = one.write("f", b"x")
        assert answer.status == 503, answer.text
        assert one.write("f", b"x").status == 201
    client.close()


@pytest.mark.deadline(90)
def test_the_wait_for_a_child_that_neither_is_ready_nor_ends_is_bounded(walk):
    """init waited for its end for ever, and the pool for init."""
    hello, before = scenarios.Hello(), len(walk.server.log_text())
    with walk.page.failing("init", call="recv", error=errno.ECONNRESET):
        wait_until(lambda: hello.run(walk) and walk.page.hit.call == "recv", 20, "a fault")
    wait_until(lambda: "sandbox.failed" in walk.server.log_text()[before:], 20, "it is given up")
    walk.heal()


def test_files_that_could_not_be_collected_are_told(walk):
    """The answer was a success without files, as if there were none."""
    client = walk.client()
    with walk.page.failing("init", call="syscall", number=217, error=errno.ENOMEM):
        answer = client.post({"code": "open('made', 'w').write('x')"})
    assert answer.status == 503 or "files" in answer["limits_hit"], answer.text
    assert client.run("open('made', 'w').write('x')")["files"]["made"] == "eA=="
    client.close()


def test_a_fault_in_a_session_is_healed(walk):
    run_sample(walk, sessions.InSession("session", sessions.create), "spawner child", 23)


@pytest.mark.deadline(90)
def test_the_service_outlives_a_moment_without_memory_for_messages(walk):
    """One ENOBUFS ended the server and everything in it.  When it stays so, it ends and says why."""
    hello, before = scenarios.Hello(), walk.server.spawner.pid
    for nth in range(1, 7):
        hits = walk.page.hits
        with walk.page.failing("spawner", nth=nth, call="sendmsg", error=errno.ENOBUFS):
            wait_until(lambda n=hits: hello.run(walk) and walk.page.hits > n, 20, "a fault")
        walk.heal()
    assert walk.server.spawner.pid == before
    with walk.page.failing("spawner", call="sendmsg", error=errno.ENOBUFS, repeat=True):
        wait_until(lambda: walk.server.popen.poll() is not None, 20, "the end")
    assert walk.said_why() and "cannot be answered" in walk.server.log_text()
    walk.restart()


def test_a_wait_that_is_interrupted_leaves_no_dead_process(walk):
    """The spawner took a child for reaped that it was not."""
    grow = sessions.InSession("grow", sessions.grow)
    walk.scenario = grow
    walk.rest()
    row = Row("grow", "spawner")
    walk.inject(grow, fitting.Fault("spawner", "waitpid", -1, 1, FAIL, errno.EINTR), row)
    assert row.injected == 1 and not row.bugs + walk.leaks(), row.bugs


@pytest.mark.deadline(120)
def test_a_spawner_that_cannot_leave_a_nests_tree_ends(walk):
    """It went on in there, and the nest's process, cloned already, stayed as a dead one."""
    build = sessions.Build()
    walk.scenario = build
    walk.rest()
    row = Row("build", "spawner")
    walk.inject(build, fitting.Fault("spawner", "chdir", -1, 2, FAIL, errno.EIO), row)
    assert (row.injected, row.ended) == (1, 1) and not row.bugs + walk.leaks(), row.bugs


@pytest.mark.parametrize("call, ask", [
    ({"call": "lseek", "error": errno.EIO},
     lambda one: one.client.post({"from": "d/a", "to": "d/b"}, path=one.path + "/copy")),
    ({"call": "syscall", "number": 217, "error": errno.EIO}, lambda one: one.get("/ls?path=d")),
    ({"call": "syscall", "number": 217, "error": errno.EIO},
     lambda one: one.get("/search?path=d&text=kept")),
    ({"call": "read", "error": errno.EIO}, lambda one: one.get("/search?path=d&text=kept")),
    ({"call": "fstat", "nth": 3, "error": errno.EIO},
     lambda one: one.get("/search?path=d&text=kept")),
], ids=["copy", "list", "walk", "read", "search"])
def test_what_could_not_be_read_is_not_left_out(walk, call, ask):
    """A copy was all zeros, a listing or a search lacked what was there, and all were successes."""
    client = walk.client()
    with session(client, size="1M") as one:
        for name in ("d/a", "d/c"):
            assert one.write(name, b"kept" * 3000).status == 201
        hits = walk.page.hits
        with walk.page.failing("init child", **call):
            answer = ask(one)
        assert walk.page.hits > hits and answer.status in (500, 503), answer.text
    client.close()
