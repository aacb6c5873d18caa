"""Crashes: any process is killed at any moment, under load; nothing is left and no answer is wrong
(R46, R47).  CRASH_ROUNDS sets the number of rounds (12; 50 for the acceptance)."""
import os
import random
import threading
import time

import pytest
import requests

import host
from client import together, wait_until
from server import Server, held
from slowness import stretched

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "12"))
RECOVERY_SECONDS = 2.0
DEATH_SECONDS = 2.0


class Load:
    """Eight clients that run small programs as fast as they can and check every answer."""

    CLIENTS = 8

    def __init__(self, server):
        self.server = server
        self.right = 0
        self.wrong = []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(self.CLIENTS)]

    def work(self, seed):
        """One client: a broken connection or a 5xx is no answer; any other must be right."""
        numbers = random.Random(seed)
        client = self.server.client()
        while not self.done.is_set():
            n = numbers.randrange(10**6)
            code = f"import os; open('f', 'w').write('{n}'); print({n} * 3)"
            try:
                answer = client.request("POST", "/execute", json={"code": code}, timeout=5)
            except requests.RequestException:
                client.close()
                self.done.wait(0.02)
                continue
            if answer.status == 200 and answer["success"]:
                if answer["stdout"] == f"{n * 3}\n" and answer["files"].keys() == {"f"}:
                    self.right += 1
                else:
                    self.wrong.append(answer.text[:300])
            elif answer.status == 200:
                # Told to have failed in the sandbox, never as the code's own exit or output.
                if answer["exit_code"] == 0 or answer["timed_out"]:
                    self.wrong.append(answer.text[:300])
            elif answer.status not in (500, 502, 503):
                self.wrong.append(f"{answer.status}: {answer.text[:300]}")
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.right >= 3, 10, "the load gets its first answers")
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(10)
        assert not self.wrong, self.wrong[0]


def kill_server(server):
    """SIGKILL of the process that serves HTTP."""
    host.kill(server.http_process)


def kill_spawner(server):
    """SIGKILL of the privileged process."""
    host.kill(server.spawner)


def kill_both(server):
    """SIGKILL of both, the order left to chance."""
    pair = [server.http_process, server.spawner]
    random.shuffle(pair)
    for one in pair:
        host.kill(one)


@pytest.mark.deadline(60 + 5 * ROUNDS)
def test_sigkill_of_server_spawner_or_both_under_load_leaves_nothing_and_no_wrong_answer(
        spare_directory):
    """R46"""
    names, ipc = host.shared_names(), host.ipc_objects()
    files = None
    right = 0
    server = None
    try:
        for turn in range(ROUNDS):
            server = Server(spare_directory).start()
            if files is None:
                files = host.files_below(spare_directory)
            with Load(server) as load:
                time.sleep(random.uniform(0, 0.25))
                server.tree()
                (kill_server, kill_spawner, kill_both)[turn % 3](server)
                # Whoever is left must notice and end: a server without its spawner is no use.
                server.all_gone(DEATH_SECONDS) if turn % 3 != 1 else ended_or_recovered(server)
            right += load.right
            server.abandon()
        server = Server(spare_directory).start()
        assert server.client().run("print('up')")["stdout"] == "up\n"
        groups = host.group_count(server.groups)
        server.stop()
        server.assert_nothing_left()
    finally:
        if server is not None:
            server.abandon()
    assert right >= 3 * ROUNDS
    assert groups < 400, "cgroups of killed servers are swept at the start"
    assert host.files_below(spare_directory) - files <= database_files(spare_directory)
    assert host.shared_names() <= names
    assert host.ipc_objects() <= ipc
    assert not host.members(spare_directory)


def database_files(directory):
    """Journals that SQLite may leave: they are the state, not its remains."""
    return {name for name in host.files_below(directory) if ".db" in name or "dunlin.db" in name}


def ended_or_recovered(server):
    """After the death of the spawner the sandboxes die, and the server ends or makes a new one."""
    old = [one for one in server.seen.values() if one.pid != server.pid]
    wait_until(lambda: not any(map(host.is_alive, old)), DEATH_SECONDS, "the sandboxes are dead")

    def settled():
        return server.popen.poll() is not None or server.health() == 200
    wait_until(settled, DEATH_SECONDS + 1, "the server ended, or runs again")


@pytest.fixture
def own_server(make_server):
    """A server of the test's own, and after the test one that must work without a restart."""
    return make_server()


def hello_works(server):
    """Hello world is answered rightly again within RECOVERY_SECONDS, and /health recovers."""
    def works():
        try:
            answer = server.client().request("POST", "/execute", json={"code": "print('hi')"},
                                             timeout=RECOVERY_SECONDS)
        except requests.RequestException:
            return False
        return answer.status == 200 and answer["stdout"] == "hi\n"
    wait_until(works, RECOVERY_SECONDS, "hello world works again")
    wait_until(lambda: server.health() == 200, RECOVERY_SECONDS, "/health recovers")


def test_a_killed_zygote_nest_or_init_is_replaced_without_a_restart(own_server):
    """R47, under load: answers stay right or are refused, and all recovers within 2 s."""
    for kind in ("zygote", "nest", "init", "zygote", "nest"):
        with Load(own_server) as load:
            victims = {"zygote": own_server.zygotes, "nest": own_server.nests,
                       "init": inits_below(own_server)}[kind]
            assert victims, kind
            host.kill(random.choice(victims))
            before = load.right
            wait_until(lambda: load.right > before + 3, RECOVERY_SECONDS + 1,
                       f"answers after the death of a {kind}")
        hello_works(own_server)
        assert own_server.popen.poll() is None


def inits_below(server):
    """The inits of sandboxes: dunlin-init processes whose parent is a nest."""
    nests = {one.pid for one in server.nests}
    return [one for one in server.children("dunlin-init") if one.parent in nests]


def test_a_stopped_zygote_is_replaced_and_health_never_hangs(own_server):
    """R47"""
    for one in own_server.zygotes:
        host.kill(one, 19)
    start = time.monotonic()
    own_server.health()
    assert time.monotonic() - start < stretched(2)
    drain = [own_server.client() for _ in range(8)]
    together([lambda c=c: c.request("POST", "/execute", json={"code": "print(1)"}, timeout=60)
              for c in drain])
    wait_until(lambda: own_server.health() == 200, 10, "/health recovers")
    hello_works(own_server)


def test_killing_the_init_of_a_run_ends_that_run_only(own_server):
    """R47, R48: its client is told, another run goes on."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(own_server.client().post(
        {"code": "import time; time.sleep(1); print('survived')"})), daemon=True)
    thread.start()
    time.sleep(0.2)
    with held(own_server) as runs:
        victim = runs[0]
        own = host.namespace(victim.pid, "pid")
        init = next(one for one in own_server.children("dunlin-init")
                    if host.namespace(one.pid, "pid") == own)
        host.kill(init)
        wait_until(lambda: not host.is_alive(victim), 1, "the run died with its init")
    thread.join(10)
    assert answers[0]["stdout"] == "survived\n"
    hello_works(own_server)


def test_sigterm_ends_the_server_in_good_order_while_runs_are_in_progress(make_server):
    """R46"""
    server = make_server()
    with Load(server):
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < stretched(15)
    server.assert_nothing_left()


def test_a_run_dies_with_the_server_even_if_it_ignores_everything(make_server):
    """R46: parent-death signals and the pid namespace, not the daemon, do it."""
    server = make_server()
    code = ("import os, signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
            "    except (OSError, ValueError): pass\nctypes = __import__('ctypes')\n"
            "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n")
    with held(server, code, count=2):
        server.tree()
        host.kill(server.http_process)
        server.all_gone(DEATH_SECONDS)
    server.abandon()


def test_what_these_tests_call_left_is_found_by_its_groups_alone(server):
    with held(server):
        tree = {one.key for one in server.tree()}
        found = {one.key for one in host.members(server.data, server.sessions)}
        # Sandboxes that wait come and go meanwhile.
        running = {one.key for one in server.tree()} & tree
    assert running and running <= found
    assert not host.members(server.data / "another")
