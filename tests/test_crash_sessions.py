"""Crashes under load in durable sessions: any process is killed at any moment; every write that was
acknowledged is there afterwards, byte for byte, and nothing is left over.  CRASH_ROUNDS sets the
number of rounds (8; 50 for the acceptance)."""
import hashlib
import os
import random
import threading
import time

import pytest
import requests

import host
from client import wait_until
from server import Server
from session_client import Session
from test_crash_builds import loops

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "8"))
SESSIONS = 3
RECOVERY_SECONDS = 20  # until a crashed server is up again and a session of it wakes


class Writer:
    """One client that writes files into one session as fast as it can, by upload and by command, and
    remembers what was acknowledged."""

    def __init__(self, session, seed):
        self.session = session
        self.numbers = random.Random(seed)
        self.kept = {}  # name: the digests that are right now, None: it need not be there
        self.wrong = []
        self.turn = 0

    def work(self, url, done):
        """Writes until `done` is set or the server is gone."""
        http = requests.Session()
        while not done.is_set():
            self.turn += 1
            name = f"{random.choice(('a', 'b/c', 'd/e/f'))}-{self.turn % 40}"
            try:
                self.upload(http, url, name) if self.turn % 3 else self.command(http, url, name)
            except requests.RequestException:
                if done.wait(0.05):
                    break

    def upload(self, http, url, name):
        """PUT of a new content; until it is answered, old and new are both right."""
        data = self.numbers.randbytes(self.numbers.randrange(1, 300_000))
        digest = hashlib.sha256(data).hexdigest()
        self.kept[name] = self.kept.get(name, {None}) | {digest}
        answer = http.put(f"{url}{self.session}/files/{name}", data=data, timeout=10)
        if answer.status_code in (200, 201):
            self.kept[name] = {digest}
        elif answer.status_code not in (500, 502, 503):
            self.wrong.append(f"PUT {answer.status_code}: {answer.text[:300]}")

    def command(self, http, url, name):
        """The same by a command in the session, which says the digest of what it wrote."""
        seed = self.numbers.randrange(10**9)
        code = (f"import hashlib, os, random\nos.makedirs(os.path.dirname('{name}') or '.', exist_ok=True)\n"
                f"d = random.Random({seed}).randbytes(5000)\nopen('{name}.new', 'wb').write(d)\n"
                f"os.rename('{name}.new', '{name}')\nprint(hashlib.sha256(d).hexdigest())")
        digest = hashlib.sha256(random.Random(seed).randbytes(5000)).hexdigest()
        self.kept[name] = self.kept.get(name, {None}) | {digest}
        answer = http.post(f"{url}{self.session}/run", json={"code": code}, timeout=20)
        if answer.status_code == 200 and answer.json()["exit_code"] == 0:
            self.kept[name] = {digest}
            if answer.json()["stdout"] != digest + "\n":
                self.wrong.append(answer.text[:300])
        elif answer.status_code == 200 and answer.json()["signal"] is None:
            self.wrong.append(f"a command that was cut off is told as its own exit: {answer.text[:300]}")

    def check(self, client):
        """Everything acknowledged is there, and nothing half-written."""
        for name, digests in self.kept.items():
            response = client.session.get(f"{client.url}{self.session}/files/{name}", timeout=30)
            assert response.status_code in (200, 404), response.text
            found = (hashlib.sha256(response.content).hexdigest() if response.status_code == 200
                     else None)
            assert found in digests, (name, found, digests)
            self.kept[name] = {found}
        assert not self.wrong, self.wrong[0]


def victim(server):
    """Any process that the server has."""
    kinds = [[server.http_process], [server.spawner], server.nests, server.children("dunlin-init")]
    return random.choice(random.choice([kind for kind in kinds if kind]))


def settled(server):
    """Whether the server has ended, or works."""
    return server.popen.poll() is not None or server.health() == 200


@pytest.mark.deadline(120 + 20 * ROUNDS)
def test_sigkill_of_any_process_loses_no_acknowledged_write_and_leaves_nothing(spare_directory):
    """R46"""
    server = Server(spare_directory).start()
    workspaces = spare_directory / "workspaces"
    before = set(workspaces.glob("*"))  # of sessions that other tests have left
    made = [Session(server.client(), size="64M", labels={"n": str(i)}) for i in range(SESSIONS)]
    writers = [Writer(one.path, i) for i, one in enumerate(made)]
    try:
        for _ in range(ROUNDS):
            done = threading.Event()
            threads = [threading.Thread(target=w.work, args=(server.url, done), daemon=True)
                       for w in writers]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.05, 1.0))
            server.tree()
            host.kill(victim(server))
            time.sleep(random.uniform(0, 0.2))
            done.set()
            for thread in threads:
                thread.join(30)
            wait_until(lambda: settled(server), RECOVERY_SECONDS, "the server ended, or works")
            if server.popen.poll() is not None:
                server.abandon()
                server = Server(spare_directory).start()
            client = server.client()
            listed = {one["id"] for one in client.get("/v1/sessions")["sessions"]}
            assert {one.id for one in made} <= listed
            for writer in writers:
                writer.check(client)
        assert sum(len(w.kept) for w in writers) > 3 * SESSIONS
        client = server.client()
        for one in made:
            assert client.request("DELETE", one.path).status == 204
        server.stop()
        server.assert_nothing_left()
        assert not loops(server.data), "no loop device holds one of our files"
        assert set(workspaces.glob("*")) <= before, "no workspace is left"
    finally:
        server.abandon()
