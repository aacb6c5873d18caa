"""One server of the instrumented build, into which one fault at a time is put while a scenario runs.

A scenario is an object with

    name        a word
    prepare(w)  called before each run of it, undisturbed; w: the Walk
    run(w)      asks the server; returns RIGHT or REFUSED, raises Wrong (or AssertionError) if the
                answer is neither, and lets requests.RequestException through
    finish(w)   called after each run, undisturbed: removes what it made

so a walk is:  Walk(...).start(); row = walk.walk(scenario, role); walk.stop(); print(table([row]))
"""
import collections
import contextlib
import functools
import os
import pathlib
import re
import subprocess
import time

import requests

import host
from client import together, wait_until
from faults import fitting
from faults.row import Row, table
from instrument import page as instrument
from instrument.page import DIE, FAIL, HANG, SHORT, Page, build
from server import Server, state_directory

RIGHT, REFUSED, ENDED = "right", "refused", "ended"
HEAL_SECONDS = 15  # until hello is answered again, restart of the server included
REQUEST_SECONDS = 30  # no answer may take longer, whatever fails
HUNG_SECONDS = 8  # for which a thread is kept hanging
LEAK_SECONDS = 4  # until what a fault used is given back
SLOTS = 6  # runs at once, pool and those on their way out included
HOLD_SECONDS = 1  # until all runs at once have begun, and the pool is full beside them
BETWEEN = 40  # faults between two complete looks at what is left over
GROWTH = {"dunlin": 8192, "dunlin-spawner": 256, "dunlin-init": 256}  # KiB in one walk, at most
ENV = {"POOL_MIN": "2", "POOL_MAX": "2", "CONCURRENT_LIMIT": "6", "LOG_FORMAT": "text"}
LOCKS = ("confine.c:", "landlock.c:", "mounts.c:", "enter_groups ", "open_stdin ", "write_file build.c",
         "loopback_up ", "enter_sandbox ")  # a step that fails there ends the sandbox (R2)
CRASH = re.compile(r"(Assertion .* failed|assertion|stack smashing|double free|corrupted|Sanitizer|runtime error:)")


place = functools.lru_cache(None)(instrument.place)  # a fifth of a second each


class Wrong(Exception):
    """An answer that is neither right nor an honest refusal."""


def check_refusal(answer):
    """An answer that refuses says why, and in a way that a client can handle."""
    if answer.status not in (500, 503, 507):
        raise Wrong(f"{answer.status}: {answer.text[:300]}")
    if answer.body is None or len(str(answer.body.get("detail") or answer.body)) < 12:
        raise Wrong(f"{answer.status} without a reason: {answer.text[:300]}")
    return REFUSED


class Walk:
    """`name`: of the data directory; env: settings; data: a directory to use, which stays; dist: an
    instrumented build to use, else that of this repository."""

    def __init__(self, name, env=None, data=None, dist=None):
        self.dist = dist or build()
        self.name = name
        self.env = {**ENV, **(env or {})}
        self.keep_data = data is not None
        self.data = pathlib.Path(data) if data else state_directory(name)
        self.folder = state_directory("page")
        self.page = Page(self.folder / "page")
        self.server = None
        self.base = None
        self.log_seen = 0
        self.scenario = None  # what it makes once and keeps belongs to the beginning

    # -- life

    def start(self):
        """Starts the server and waits until it is at rest."""
        self.replace()
        self.server.start()
        self.rest()
        return self

    def replace(self):
        """A server that is not started yet, in the place of one that has ended."""
        if self.server:
            self.server.abandon()
            subprocess.run(["rm", "-rf", self.server.directory], check=False)
        self.server = Server(self.data, {**self.env, "DUNLIN_INSTRUMENT": self.page.path},
                             dist=self.dist)
        self.log_seen = 0

    def stop(self):
        """SIGTERM, and nothing is left."""
        try:
            self.page.disarm()
            self.server.stop()
            self.assert_nothing_left()
        finally:
            self.close()

    def assert_nothing_left(self):
        """As Server's, but walks last for hours beside other servers: only what is this one's."""
        self.server.all_gone()
        left = [line for line in host.mounts() if str(self.data) in line]
        left += [group for group in self.server.groups if os.path.isdir(group)]
        left += loops(self.data) + host.network_traces(self.data)
        assert not left, f"left over: {left}"

    def close(self):
        """Kills whatever is left; the data directory goes with it."""
        self.page.disarm()
        if self.server:
            self.server.abandon()
        self.page.close()
        subprocess.run(["rm", "-rf", self.folder, *([self.server.directory] if self.server else []),
                        *([] if self.keep_data else [self.data])], check=False)

    def restart(self):
        """A server that has ended is started again, which sweeps what it left."""
        self.start()

    def rest(self):
        """Waits until hello works, all the slots there may be at once are made and the pool is full, then
        notes what is there."""
        self.heal()
        for _ in range(2):
            together([self.hold] * SLOTS)
        if self.scenario and self.scenario.is_lasting:
            self.scenario.make_lasting(self)
        self.base = self.settled(lambda now, last: now == last)

    def client(self):
        """A client with a connection of its own."""
        return self.server.client()

    @property
    def group(self):
        """The name of the instance's control groups."""
        roots = {os.path.basename(root) for root in self.server.groups}
        return next(iter(roots))

    # -- what is there

    def quick_figures(self):
        """Descriptors of the processes that stay."""
        figures = {}
        for one in (self.server.http_process, self.server.spawner, *self.server.nests):
            with contextlib.suppress(OSError):
                figures[f"descriptors of {one.comm}"] = host.descriptor_count(one.pid)
        return figures

    def memory(self):
        """KiB that the processes that stay have of their own, by comm; of two nests the larger."""
        found = {}
        for one in (self.server.http_process, self.server.spawner, *self.server.nests):
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{one.pid}/status").read_text(encoding="ascii")
                size = int(re.search(r"RssAnon:\s+(\d+)", text)[1])
                found[one.comm] = max(size, found.get(one.comm, 0))
        return found

    def figures(self):
        """Everything that a fault could leave behind."""
        figures = self.quick_figures()
        tree = self.server.tree()
        figures["processes"] = len(tree)
        figures["groups"] = host.group_count(self.server.groups)
        figures["mounts"] = len(host.mounts(self.server.spawner.pid))
        figures["loops"] = len(loops(self.data))
        names = {one.pid: one.comm for one in tree}
        figures.update(collections.Counter(f"dead {one.comm} of {names.get(one.parent)}"
                                           for one in tree if one.state == "Z"))
        return figures

    def settled(self, enough, seconds=LEAK_SECONDS):
        """Looks until enough(now, before) is true twice, or the time is over; the last figures."""
        end = time.monotonic() + seconds
        last, good = self.figures(), 0
        while time.monotonic() < end and good < 2:
            time.sleep(0.1)
            now = self.figures()
            good = good + 1 if enough(now, last) else 0
            last = now
        return last

    def leaks(self):
        """What is more than at the beginning, as texts; then that is the beginning."""
        def is_back(now, _):
            return all(value <= self.base.get(name, 0) for name, value in now.items())
        now = self.settled(is_back)
        more = [f"{name}: {self.base.get(name, 0)} before, {value} now"
                for name, value in now.items() if value > self.base.get(name, 0)]
        if more:
            self.base = now
        return more

    # -- one fault

    def count(self, scenario, role):
        """How often a role makes each call in a healthy run of the scenario: the most of three."""
        most = {}
        for _ in range(3):
            scenario.prepare(self)
            time.sleep(0.3)  # what follows the run before
            before = self.counts(role)
            verdict = scenario.run(self)
            assert verdict == RIGHT, f"{scenario.name} does not work without any fault"
            time.sleep(0.3)
            for call, number in self.counts(role).items():
                most[call] = max(most.get(call, 0), number - before.get(call, 0))
            scenario.finish(self)
        return {call: number for call, number in most.items() if number > 0}

    def counts(self, role):
        """The page's counters, by (call, number)."""
        plain = {(call, -1): n for call, n in self.page.calls(role).items() if call != "syscall"}
        return {**plain, **{("syscall", nr): n for nr, n in self.page.numbers(role).items()}}

    def inject(self, scenario, fault, row):
        """Runs the scenario with one fault; what came of it goes into the row.  Returns whether it happened."""
        scenario.prepare(self)
        hits = self.page.hits
        self.page.arm(fault.role, nth=fault.nth or 1, call=fault.call, action=fault.action,
                      number=fault.number if fault.number >= 0 else None, error=fault.error,
                      fresh=fault.nth == 0)
        start = time.monotonic()
        verdict, text = self.ask(scenario)
        if fault.action != HANG:
            end = time.monotonic() + scenario.patience
            while self.page.hits == hits and time.monotonic() < end:
                time.sleep(0.005)
        took = time.monotonic() - start
        self.page.disarm()
        hit = self.page.hits > hits
        where = f"{fault} at {place(self.dist, self.page.hit)}" if hit else str(fault)
        if hit and verdict != REFUSED and self.is_lock(fault, where, scenario) and not self.has_failed():
            row.bugs.append(f"{where}: A FAILED LOCK DID NOT END THE SANDBOX")
        if hit:
            row.injected += 1
            row.places.add((self.page.hit.program, self.page.hit.offset))
            setattr(row, verdict, getattr(row, verdict) + 1) if verdict else None
        if text:
            row.bugs.append(f"{where}: {text}")
        if hit and verdict == ENDED:
            row.endings.append(where)
        if took > scenario.bound:
            row.bugs.append(f"{where}: took {took:.1f} s")
        row.bugs += [f"{where}: {problem}" for problem in self.after(scenario)]
        return hit

    @staticmethod
    def is_lock(fault, where, scenario):
        """Whether a step of the isolation was made to fail, and a sandbox is to end.  close(2) lets go
        whatever it says, and rt_sigaction(2) cannot fail.  In a session only the one program ends, or
        the keeper that would have become one."""
        if fault.role in ("init child", "run") and scenario.is_session:
            return False
        return fault.action == FAIL and any(file in where for file in LOCKS) and \
            fault.call != "close" and fault.number not in (3, 13)

    def has_failed(self):
        """Whether the log says that a sandbox has failed since the fault before."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            if "sandbox.failed" in self.server.log_text()[self.log_seen:]:
                return True
            time.sleep(0.02)
        return self.server.popen.poll() is not None

    def ask(self, scenario):
        """(RIGHT, REFUSED, "ended" or None, what is wrong)."""
        try:
            return scenario.run(self), ""
        except requests.RequestException as error:
            if self.has_ended():
                return ENDED, "" if self.said_why() else "the server ended without a word"
            return None, f"no answer: {error}"
        except (Wrong, AssertionError, KeyError, TypeError, ValueError) as error:
            if self.has_ended():
                return ENDED, "" if self.said_why() else "the server ended without a word"
            return None, f"{type(error).__name__}: {error}"

    def has_ended(self):
        """Whether the server is gone or about to be."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.popen.wait(1.5)
        return self.server.popen.poll() is not None

    def said_why(self):
        """A server that ends by itself leaves a line that says so, and status 1."""
        text = self.server.log_text()
        return self.server.popen.returncode == 1 and \
            ("spawner.gone" in text or "spawner.note" in text)

    def after(self, scenario):
        """What is wrong once nothing fails any more."""
        problems = []
        try:
            if self.server.popen.poll() is not None:
                self.restart()
            scenario.finish(self)
            self.heal()
        except (AssertionError, Wrong, requests.RequestException) as error:
            problems.append(f"not healed: {error}")
            self.restart()
        log = self.server.log_text()
        problems += CRASH.findall(log[self.log_seen:])
        self.log_seen = len(log)
        return problems

    def heal(self):
        """Hello must work again soon, and until then say honestly that it does not."""
        client = self.client()

        def hello():
            answer = client.post({"code": "print('hello')"}, timeout=REQUEST_SECONDS)
            if answer.status != 200:
                return check_refusal(answer) == RIGHT
            if answer["stdout"] != "hello\n":
                raise Wrong(f"hello: {answer.text[:300]}")
            return True
        try:
            wait_until(hello, HEAL_SECONDS, "hello works again")
        except requests.RequestException:
            if not self.has_ended():
                raise
            self.restart()
        finally:
            client.close()

    def hold(self):
        """A run that others begin beside."""
        client = self.client()
        try:
            answer = client.post({"code": f"import time\ntime.sleep({HOLD_SECONDS})"},
                                 timeout=REQUEST_SECONDS)
            assert answer.status == 200, answer.text
        finally:
            client.close()

    # -- all faults

    def walk(self, scenario, role, actions=(FAIL, SHORT), every=1, seconds=None, say=None,
             out=None):
        """Every `every`th fault of a role, at most for so many seconds; returns the Row, which is also
        written into the folder `out` now and then."""
        row = Row(scenario.name, role, tuple(actions))
        counts = self.count(scenario, role)
        row.calls = sum(counts.values())
        plan = fitting.faults(role, counts, actions)
        row.planned = len(plan)
        self.scenario = scenario
        self.rest()
        before = self.memory()
        end = time.monotonic() + (seconds or 1e9)
        for number, fault in enumerate(plan[::every]):
            if time.monotonic() > end:
                break
            known = len(row.bugs)
            row.tried += 1
            self.inject(scenario, fault, row)
            if number % BETWEEN == BETWEEN - 1 or len(row.bugs) > known:
                row.bugs += [f"{fault} or one of {BETWEEN} before: left over: {one}"
                             for one in self.leaks()]
                if out:
                    row.save(out)
            if say:
                for bug in row.bugs[known:]:
                    say(f"BUG {scenario.name}: {bug}")
        row.bugs += [f"after the walk: left over: {one}" for one in self.leaks()]
        row.memory = {comm: [before[comm], now] for comm, now in self.memory().items()
                      if comm in before}
        row.bugs += [f"after the walk: {comm} has grown from {old} to {new} KiB"
                     for comm, (old, new) in row.memory.items() if new - old > GROWTH[comm]]
        if out:
            row.save(out)
        return row

    def walk_places(self, scenario, role, seconds=None, say=None):
        """Fails each kind of call once at each place that has not failed yet; returns the Row."""
        row = Row(scenario.name, role)
        counts = self.count(scenario, role)
        row.calls = sum(counts.values())
        self.scenario = scenario
        self.rest()
        end = time.monotonic() + (seconds or 1e9)
        for fault in fitting.kinds(role, counts):
            known = len(row.bugs)
            while time.monotonic() < end and self.inject(scenario, fault, row):
                pass
            row.bugs += [f"{fault}, or an earlier one: left over: {one}" for one in self.leaks()]
            for bug in row.bugs[known:]:
                say(f"BUG {scenario.name}: {bug}")
        return row


def loops(data):
    """Loop devices with a file of this directory behind them."""
    found = []
    for name in os.listdir("/sys/block"):
        with contextlib.suppress(OSError):
            path = pathlib.Path(f"/sys/block/{name}/loop/backing_file").read_text(encoding="utf-8")
            found += [path] if path.startswith(str(data)) else []
    return found


__all__ = ["DIE", "FAIL", "HANG", "SHORT", "RIGHT", "REFUSED", "Row", "Walk", "Wrong",
           "check_refusal", "table"]
