"""A session's programs against their own init: that it never spins, hangs or loses one of them."""
import os
import pathlib
import signal
import time

import pytest

import nest as nests
from nest_session import ALL, STARTED, Session, read_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes")


@pytest.fixture(scope="module")
def nest():
    with nests.Nest("/", nests.RUN, warm=True) as one:
        one.wait()
        yield one


@pytest.fixture
def session(nest):
    with Session(nest) as one:
        yield one


def cpu_seconds(pid):
    """What a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_heard(session, op, number, seconds):
    """Whether a message comes in time."""
    try:
        session.wait(op, number, seconds)
    except TimeoutError:
        return False
    return True


def test_hanging_up_on_one_that_does_not_read_ends_it(session):
    """What was typed ahead waits in init, for nobody: it neither spins nor keeps the terminal."""
    number, tty = session.terminal(["bash", "-c", "stty raw -echo; echo ready; exec sleep 1001"])
    read_until(tty, b"ready")
    tty.settimeout(0.3)
    try:
        while True:
            tty.send(b"x" * 4096)
    except TimeoutError:
        pass
    before = cpu_seconds(session.init_pid())
    tty.close()
    assert session.ended(number, 5).status == -signal.SIGHUP
    assert cpu_seconds(session.init_pid()) - before < 0.3


def test_one_that_others_stop_before_it_runs_can_be_ended(session):
    """A program that stops everything of its user catches the next one before exec(2)."""
    stopper = session.start(["python3", "-c", "import os\nwhile True:\n  try: os.kill(-1, 19)\n"
                                              "  except OSError: pass"])
    session.wait(STARTED, stopper)
    time.sleep(0.3)
    for _ in range(100):
        number = session.start(["sleep", "1001"])
        if not is_heard(session, STARTED, number, 0.5):
            session.signal(number, signal.SIGKILL)
            assert session.ended(number, 5).status == -signal.SIGKILL
            break
    else:
        pytest.fail("the attack never reached its moment")
    session.signal(0, signal.SIGKILL, ALL)
    assert session.ended(stopper, 5).status == -signal.SIGKILL
