"""Starts, watches and stops the real server."""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref

import requests

import host
from client import Client, unique_name, wait_until
from drivers import DIST
from slowness import stretched

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DUNLIN = DIST / "bin" / "dunlin"
START_SECONDS = 90  # the first start makes the private copy of the system files
STOP_SECONDS = stretched(15)
MAX_TIMEOUT = 300  # seconds, of a server's default
MEMORY_DIRECTORY = "/dev/shm"
MEMORY_ROOM = 4 << 30  # bytes that must be free there
# In the environment of every server of the tests; must never be seen inside (R14).
ENVIRONMENT_CANARY = "canary-5f0e2c71-of-the-server"

live_servers = []  # for the log in the report of a failed test


def own_ports():
    """Those between 18000 and 19999 that belong to this process of the tests (of pytest-xdist)."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    share = 2000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(18000 + number * share, 18000 + (number + 1) * share)


def free_port():
    """A port that nobody listens on."""
    ports = own_ports()
    for port in random.sample(ports, len(ports)):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no free port")


def clean_environment(extra=None):
    """The environment that dunlin is started with: nothing of the developer's own settings."""
    kept = {name: value for name, value in os.environ.items()
            if name.endswith("SAN_OPTIONS") or name == "DUNLIN_INSTRUMENT"}
    fixed = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root",
             "DUNLIN_TEST_CANARY": ENVIRONMENT_CANARY}
    return {**kept, **fixed, **(extra or {})}


def dunlin(*arguments, env=None, seconds=START_SECONDS, **options):
    """Runs a dunlin command to its end; returns subprocess.CompletedProcess with text output."""
    return subprocess.run([DUNLIN, *map(str, arguments)], env=clean_environment(env), text=True,
                          capture_output=True, timeout=stretched(seconds), check=False, **options)


class Server:
    """One `dunlin serve`.

    data: the state directory; env: settings as environment variables; args: further flags;
    dotenv: text of a .env file in its working directory, or None; dist: the build to run.
    """

    def __init__(self, data, env=None, args=(), dotenv=None, dist=DIST):
        self.program = pathlib.Path(dist) / "bin" / "dunlin"
        self.data = pathlib.Path(data)
        self.env = env or {}
        self.args = [str(arg) for arg in args]
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=host.OWN_PREFIX))
        self.directory.chmod(0o755)
        weakref.finalize(self, shutil.rmtree, self.directory, True)
        if dotenv is not None:
            (self.directory / ".env").write_text(dotenv)
        self.log = self.directory / "log"
        self.popen = None
        self.port = None
        self.seen = {}  # every process ever noticed, by key
        self.groups = set()  # the cgroup directories of these processes
        self.sessions = set()  # the sessions (setsid) of server and spawner

    # -- life

    def start(self, wait=True):
        """Starts the process; with `wait`, returns when /health answers 200."""
        self.port = free_port()
        command = [self.program, "serve", "--host", "127.0.0.1", "--port", str(self.port),
                   "--data", str(self.data), *self.args]
        with open(self.log, "ab") as log, open(self.directory / "stdout", "ab") as out:
            self.popen = subprocess.Popen(command, env=clean_environment(self.env), stdout=out,
                                          stdin=subprocess.DEVNULL, stderr=log,
                                          cwd=self.directory, start_new_session=True)
        live_servers.append(self)
        if wait:
            self.wait_healthy()
        return self

    def wait_healthy(self, seconds=START_SECONDS):
        """Waits until /health answers 200 and notices all processes."""
        def healthy():
            assert self.popen.poll() is None, \
                f"the server ended with {self.popen.returncode}:\n{self.log_text()[-3000:]}"
            return self.health() == 200
        wait_until(healthy, seconds, "GET /health answers 200")
        self.tree()

    def health(self):
        """The status of /health, or None if nobody answers within 2 s."""
        try:
            return requests.get(self.url + "/health", timeout=2).status_code
        except requests.RequestException:
            return None

    def stop(self):
        """SIGTERM; the server must end by itself, with status 0, within STOP_SECONDS."""
        if self.popen is None:
            return
        self.tree()
        try:
            if self.popen.poll() is None:
                self.popen.send_signal(signal.SIGTERM)
                code = self.popen.wait(STOP_SECONDS)
                assert code == 0, f"SIGTERM ended the server with {code}"
        finally:
            self.abandon()

    def abandon(self):
        """Kills whatever is left of this server; for the end of a test, passed or failed."""
        if self.popen is not None and self.popen.poll() is None:
            self.tree()
            self.popen.kill()
        for one in self.seen.values():
            if host.is_alive(one):
                host.kill(one)
        if self.popen is not None:
            self.popen.wait()
        if self in live_servers:
            live_servers.remove(self)

    # -- seen from the client's side

    @property
    def url(self):
        """http://host:port"""
        return f"http://127.0.0.1:{self.port}"

    def client(self, key=None):
        """A new client of this server."""
        return Client(self.url, key)

    def log_text(self):
        """What the server has logged (written to stderr) so far."""
        return self.log.read_text(errors="replace")

    # -- seen from the machine's side

    @property
    def pid(self):
        """The pid of the process that was started."""
        return self.popen.pid

    def tree(self):
        """Its processes, parents first; also remembers them and their cgroups."""
        found = host.tree(self.popen.pid)
        new = [one.pid for one in found if one.key not in self.seen]
        self.groups |= host.group_roots(new)
        self.sessions |= {host.session(one.pid) for one in found
                          if one.comm in ("dunlin", "dunlin-spawner")} - {None}
        self.seen.update((one.key, one) for one in found)
        return found

    def children(self, comm):
        """The processes of its tree with this comm."""
        return [one for one in self.tree() if one.comm == comm]

    @property
    def spawner(self):
        """The privileged process."""
        return self.children("dunlin-spawner")[0]

    @property
    def http_process(self):
        """The process that holds the listening socket and parses requests."""
        for one in self.tree():
            if one.comm == "dunlin":
                return one
        raise AssertionError("no process called dunlin")

    @property
    def nests(self):
        """The outermost dunlin-init processes: those whose parent is none."""
        inits = {one.pid: one for one in self.children("dunlin-init")}
        return [one for one in inits.values() if one.parent not in inits]

    @property
    def zygotes(self):
        """The Python processes that are children of a nest and stand in no sandbox: the middle
        processes, which are children of the nest too, have entered one for their children."""
        nests = {one.pid for one in self.nests}
        return [one for one in self.tree()
                if one.parent in nests and one.comm.startswith("python")
                and host.namespace(one.pid, "pid") == host.namespace(one.pid, "pid_for_children")]

    @property
    def zygote(self):
        """The one zygote of a server with one nest: the oldest of `zygotes`, among which a middle
        process stands until it has entered its sandbox."""
        return min(self.zygotes, key=lambda one: one.start)

    def all_gone(self, seconds=2.0):
        """Waits until every process ever noticed is dead."""
        def left():
            return [one for one in self.seen.values() if host.is_alive(one)]
        wait_until(lambda: not left(), seconds, f"all processes are dead; left: {left()}")

    def assert_nothing_left(self):
        """No process, mount, cgroup, network of this stopped server remains on the machine.

        Namespaces go with the last process in them; their numbers are used again at once, by
        others on this machine."""
        self.all_gone()
        processes = host.members(self.data, self.sessions)
        assert not processes, f"processes left: {processes}"
        left = [line for line in host.mounts() if str(self.data) in line]
        assert not left, f"mounts left: {left}"
        groups = [group for group in self.groups if os.path.isdir(group)]
        assert not groups, f"cgroups left: {groups}"
        networks = host.network_traces(self.data)
        assert not networks, f"networks left: {networks}"


def state_directory(name):
    """A new directory that the server's user may enter, outside pytest's private ones.

    In memory if there is room: the private copy of the system is 400 MB in 9,000 files.
    """
    room = shutil.disk_usage(MEMORY_DIRECTORY).free if os.path.isdir(MEMORY_DIRECTORY) else 0
    place = MEMORY_DIRECTORY if room > MEMORY_ROOM else None
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{host.OWN_PREFIX}{name}-", dir=place))
    directory.chmod(0o755)
    return directory


@contextlib.contextmanager
def held(server, code="", count=1, **fields):
    """Keeps `count` runs alive that executed `code` and now sleep; yields their host processes.

    The runs are ended from the host when the block ends.
    """
    name = unique_name("h")
    seconds = int(min(MAX_TIMEOUT, stretched(40)))
    source = (f"{code}\nimport ctypes as _c, time as _t\n"
              f"_c.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n_t.sleep({MAX_TIMEOUT})\n")
    answers = []

    def run_one():
        with contextlib.suppress(requests.RequestException):  # the server may be killed meanwhile
            answers.append(server.client().post({"code": source, "timeout": seconds, **fields}))

    threads = [threading.Thread(target=run_one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()

    def ready():
        assert not answers, f"the held run ended: {answers[0].text[:500]}"
        found = host.named(name)
        return found if len(found) == count else None

    try:
        yield wait_until(ready, 10, f"{count} held runs sleep")
    finally:
        end = time.monotonic() + stretched(10)
        while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
            for one in host.named(name):  # also what had to wait for a place until now
                host.kill(one)
            time.sleep(0.02)


class HelloWatch:
    """Asks for hello world again and again in a thread, as another client would, and times it."""

    def __init__(self, server):
        self.server = server
        self.seconds = []
        self.wrong = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        """The thread: one hello every 30 ms until told to stop."""
        client = self.server.client()
        while not self.done.is_set():
            answer = client.post({"code": "print('hello')"})
            self.seconds.append(answer.seconds)
            if answer.status != 200 or answer["stdout"] != "hello\n" or not answer["success"]:
                self.wrong.append(f"{answer.status}: {answer.text[:300]}")
            self.done.wait(0.03)
        client.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(20)

    def check(self, record=None):
        """All answers were right and quick; `record` is pytest's record_property, or None."""
        times = sorted(self.seconds)
        assert times, "no hello was answered at all"
        if record is not None:
            record("hello_ms_p50", round(times[len(times) // 2] * 1000, 2))
            record("hello_ms_max", round(times[-1] * 1000, 2))
        assert not self.wrong, self.wrong[0]
        assert times[len(times) // 2] < stretched(0.5), f"median {times[len(times) // 2]:.3f} s"
        assert times[-1] < stretched(2.0), f"slowest {times[-1]:.3f} s"


def settle(server):
    """Waits until no run is in progress and the tree of processes has stopped changing."""
    last = None
    end = time.monotonic() + 10
    while time.monotonic() < end:
        now = [one.key for one in server.tree()]
        if now == last:
            return
        last = now
        time.sleep(0.3)

