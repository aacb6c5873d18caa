"""Fixtures: one server for the session, and a way to start others with settings of their own."""
import os
import shutil
import signal
import subprocess
import threading

import pytest

import server as servers
from server import Server, state_directory
from slowness import stretched

TEST_SECONDS = 60
# The files that take longest begin first, so that no processor is left with one of them at the end.
LONGEST = ("test_vm.py", "test_image_tools.py", "test_network.py", "test_contract_environments.py",
           "test_faults_root.py", "test_environments_real.py", "test_environment_builds.py",
           "test_environment_archives.py", "test_cli_env.py")
# A store with a copy of the system that was made earlier, as in the machine of tests/vm.
MADE_STORE = os.environ.get("DUNLIN_TEST_STORE")


@pytest.fixture(scope="session")
def data_directory():
    """The state directory of the session's server; holds its private copy of the system."""
    directory = state_directory("data")
    if MADE_STORE:
        subprocess.run(["cp", "-al", MADE_STORE, directory / "store"], check=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def spare_directory(data_directory):
    """A second state directory, used by one server of make_server after the other.  It gets the
    copy of the system from the first if that has one: a start that makes it takes 10 s."""
    directory = state_directory("spare")
    if (data_directory / "store" / "current.json").exists():
        subprocess.run(["cp", "-a", data_directory / "store", directory], check=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def server(data_directory):
    """The server that most tests share, with default settings.  After its SIGTERM nothing is left
    on the machine."""
    instance = Server(data_directory)
    try:
        instance.start()
        yield instance
        instance.stop()
        instance.assert_nothing_left()
    finally:
        instance.abandon()
        shutil.rmtree(instance.directory, ignore_errors=True)


@pytest.fixture
def client(server):
    """A client of the shared server."""
    one = server.client()
    yield one
    one.close()


@pytest.fixture
def make_server(spare_directory):
    """make_server(args=(), dotenv=None, start=True, **env) starts a server with these settings on
    the spare state directory, one at a time.  It is stopped at the end of the test."""
    made = []

    def make(args=(), dotenv=None, start=True, **env):
        for earlier in made:
            earlier.stop()
        one = Server(spare_directory, {name: str(value) for name, value in env.items()},
                     args, dotenv)
        made.append(one)
        if start:
            one.start()
        return one

    try:
        yield make
        for one in made:
            one.stop()
            one.assert_nothing_left()
    finally:
        for one in made:
            one.abandon()
            shutil.rmtree(one.directory, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Whole files first; the order is otherwise as it was."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST
               else len(LONGEST))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Ends a test that hangs."""
    marker = item.get_closest_marker("deadline")
    seconds = stretched(marker.args[0] if marker else TEST_SECONDS)

    def late(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    item.log_marks = [(one, one.log.stat().st_size) for one in servers.live_servers]
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the servers logged during a failed test."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    marks = dict(getattr(item, "log_marks", []))
    for one in servers.live_servers:
        text = one.log_text()[marks.get(one, 0):]
        report.sections.append((f"log of dunlin {one.pid} on port {one.port}", text[-4000:]))
