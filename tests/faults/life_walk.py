"""Walks faults through the start and the stop of the server itself: see docs/reliability.md, "Faults".

Each external call of the process fails once at each place in the code.  A start that meets that comes up
whole (what was stored is there, hello works), or ends with status 1 or 2 and a word that says why.  A stop that
meets it ends in its time all the same.  Neither leaves anything on the machine, loses anything, or crashes."""
import collections
import contextlib
import re
import shutil
import signal
import subprocess
import threading
import time

import requests

from client import unique_name
from faults.server_results import Row
from faults.server_walk import ACTIONS, CANNOT_FAIL, IO_ERRORS, is_impossible
from faults.talk import KEY
from faults.walk import CRASH, Wrong
from instrument import page as pages
from server import START_SECONDS, STOP_SECONDS, Server, state_directory

ROLES = ("server", "server child")
SETTINGS = {"POOL_MIN": "1", "POOL_MAX": "1", "DISK_RESERVE": "0", "API_KEYS": KEY}
REFUSED = (1, 2)  # exit statuses: the server could not start or go on, its settings could not be read
END_SECONDS = 10  # within which all of a server that was killed is gone
HELLO_SECONDS = 10
LATE_SECONDS = 0.6


class LifeWalk:
    """A state directory with something in each of its parts, and the servers that are started on it."""

    def __init__(self):
        self.dist = pages.build()
        self.data = state_directory("life")
        self.page = None
        self.failed = bytes(pages.PLACES)
        self.writes = 0  # to the session's file, which holds this number
        self.earlier = {}  # the calls of a server before it was told to stop
        self.tally = collections.Counter()
        self.bugs = []
        self.environment, self.session = unique_name("e"), None

    def __enter__(self):
        try:
            self.store()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.data, ignore_errors=True)

    def make(self):
        """A server that is not yet started, with a page of its own."""
        path = self.data.parent / (self.data.name + ".page")
        path.unlink(missing_ok=True)
        self.page = pages.Page(path)
        self.page.failed = self.failed
        return Server(self.data, {**SETTINGS, "DUNLIN_INSTRUMENT": self.page.path}, dist=self.dist)

    # -- what is stored

    def store(self):
        """Makes an environment, and a session with a file."""
        server = self.make()
        try:
            client = server.start().client(KEY)
            answer = client.post({"name": self.environment, "setup_script": "true"},
                                 "/environments?wait=true")
            assert answer["status"] == "ready", answer.text
            self.session = client.post({"size": "4M"}, "/v1/sessions")["id"]
            self.write(client)
            client.close()
            server.stop()
        finally:
            server.abandon()
            self.page.close()

    @property
    def file(self):
        """The path of the session's file."""
        return f"/v1/sessions/{self.session}/files/kept"

    def write(self, client):
        """Writes the next number into the session's file."""
        answer = client.request("PUT", self.file, data=str(self.writes + 1).encode())
        assert answer.status in (200, 201, 204), answer.text
        self.writes += 1

    def check_whole(self, server):
        """What was stored is there, hello works, and strangers are refused.  Raises Wrong."""
        client, stranger = server.client(KEY), server.client()
        try:
            if (refused := stranger.get(self.file).status) != 401:
                raise Wrong(f"a stranger: {refused}")
            found = client.get(self.file)
            if found.status != 200 or found.text != str(self.writes):
                raise Wrong(f"the session's file: {found.status} {found.text[:200]}")
            found = client.get(f"/environments/{self.environment}")
            if found.status != 200 or found["status"] != "ready":
                raise Wrong(f"the environment: {found.status} {found.text[:200]}")
            end = time.monotonic() + HELLO_SECONDS
            while (answer := client.post({"code": "print('hello')"})).status == 503 and \
                    time.monotonic() < end:
                time.sleep(0.05)
            if answer.status != 200 or answer["stdout"] != "hello\n":
                raise Wrong(f"hello: {answer.status} {answer.text[:200]}")
        except requests.RequestException as error:
            raise Wrong(f"no answer: {error}") from None
        finally:
            client.close()
            stranger.close()

    # -- one fault

    def start_up(self, plan):
        """A start that meets the fault; "right" or "honest"."""
        server = self.make()
        if plan:
            self.page.arm(ROLES, **plan)
        try:
            server.start(wait=False)
            end = time.monotonic() + START_SECONDS
            while server.popen.poll() is None and server.health() != 200:
                if time.monotonic() > end:
                    raise Wrong(f"neither up nor ended: {server.log_text()[-300:]}")
                time.sleep(0.02)
            self.page.disarm()
            if server.popen.poll() is not None:
                return self.judge_end(server, plan)
            server.tree()
            self.check_whole(server)
            server.stop()
            server.assert_nothing_left()
            return "right"
        finally:
            server.abandon()

    def shutdown(self, plan):
        """A stop that meets the fault, with a session awake and a run under way; "right" or "honest"."""
        server = self.make()
        answers = []
        run = threading.Thread(target=self.run_late, args=(server, answers))
        try:
            server.start()
            client = server.client(KEY)
            self.write(client)
            client.close()
            run.start()
            time.sleep(LATE_SECONDS / 4)
            server.tree()
            self.earlier = self.page.calls("server")
            if plan:
                self.page.arm(ROLES, **plan)
            server.popen.send_signal(signal.SIGTERM)
            try:
                server.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                raise Wrong(f"SIGTERM did not end it: {server.log_text()[-300:]}") from None
            self.page.disarm()
            run.join()
            if any("late" not in answer.text for answer in answers if answer.status == 200):
                raise Wrong(f"the run under way: {answers[0].text[:300]}")
            return self.judge_end(server, plan)
        finally:
            server.abandon()

    @staticmethod
    def run_late(server, answers):
        """A run that takes a moment."""
        client = server.client(KEY)
        with contextlib.suppress(requests.RequestException):
            answers.append(client.post({"code": f"import time; time.sleep({LATE_SECONDS})\nprint('late')"}))
        client.close()

    def judge_end(self, server, plan):
        """What is to be said of a server that has ended.  Raises Wrong."""
        code, log = server.popen.returncode, server.log_text()
        server.all_gone(END_SECONDS)
        server.assert_nothing_left()
        if plan and plan.get("action") == pages.DIE:
            self.tally["ended by rule"] += 1
            return "honest"
        if code not in (0, *REFUSED) or CRASH.search(log):
            raise Wrong(f"ended with {code}: {log[-300:]}")
        if code != 0 and not self.says_why(log):
            raise Wrong(f"ended without a word: {log[-300:]}")
        return "right" if code == 0 else "honest"

    @staticmethod
    def says_why(log):
        """Whether the last lines have a message of the command, or an event that is an error."""
        return any(re.match(r"dunlin serve: \S", line) or '"level":"error"' in line or '"event":"spawner.' in line
                   for line in log.splitlines()[-3:])

    def inject(self, name, plan):
        """One fault; whether there was a place left for it."""
        wrong, outcome = None, "wrong"
        try:
            outcome = getattr(self, name.replace("-", "_"))({"fresh": True, **plan})
        except (Wrong, AssertionError, requests.RequestException,
                subprocess.TimeoutExpired) as error:
            wrong = f"{type(error).__name__}: {str(error)[:400]}"
        hit, self.failed = self.page.hit, self.page.failed
        self.page.close()
        if hit is None and wrong is None:
            return False
        self.tally[outcome] += 1
        if wrong is None and outcome != "right":
            wrong = self.wrong_afterwards()
        place = pages.place(self.dist, hit) if hit else "nowhere"
        if wrong and is_impossible(plan["call"], plan.get("error", 0), place):
            self.tally["impossible"] += 1
        elif wrong:
            self.bugs.append([plan["call"], plan.get("error", 0), plan.get("action", pages.FAIL), place,
                              wrong])
            print("BUG", name, *self.bugs[-1], flush=True)
        return hit is not None

    def wrong_afterwards(self):
        """What a start without faults shows to be wrong, or None."""
        try:
            self.start_up(None)
        except (Wrong, AssertionError) as error:
            return f"afterwards: {error}"
        finally:
            self.page.close()
        return None

    # -- all of them

    def count(self, name):
        """How often the server makes each call, undisturbed."""
        getattr(self, name.replace("-", "_"))(None)
        calls = collections.Counter(self.page.calls("server"))
        if name == "shutdown":
            calls -= collections.Counter(self.earlier)
        self.page.close()
        return calls

    def walk(self, name, action="fails", seconds=None, calls=None):
        """"start-up" or "shutdown", as a Row; each call of `calls` (None: all) fails once at each place,
        or the server dies there, for so many seconds at most."""
        self.failed = bytes(pages.PLACES)
        before, bugs, start = self.tally.copy(), len(self.bugs), time.monotonic()
        seen, end = self.count(name), time.monotonic() + (seconds or 1e9)
        for call in sorted(seen):
            if (calls and call not in calls) or (action == "fails" and call in CANNOT_FAIL):
                continue
            plan = {"call": call, "action": ACTIONS[action], "error": IO_ERRORS.get(call, (0,))[0]}
            while time.monotonic() < end and self.inject(name, plan):
                pass
        return Row(name, sum(seen.values()), dict(self.tally - before), self.bugs[bugs:],
                   only=calls or (["part"] if time.monotonic() > end else None),
                   seconds=int(time.monotonic() - start), action=action)
