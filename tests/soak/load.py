"""The load and the probe, each a process of its own, so that neither waits for the other's lock.

The load has `clients` threads for the closed loop and `lanes` for the paced kinds.  It obeys words
over a pipe: prepare, once, start, stop, clear, end.  Each is answered when it is done.
"""
import array
import collections
import itertools
import json
import multiprocessing
import os
import random
import resource
import threading
import time
import traceback

import kinds_clients
import kinds_environments
import kinds_limits
import kinds_runs
import kinds_sessions
import mix
from caller import Caller, Wrong

# Importing a module registers its kinds.
MODULES = (kinds_clients, kinds_environments, kinds_limits, kinds_runs, kinds_sessions)
KINDS = tuple(mix.KINDS.values())
LANES = 8
RESIDENTS = 16  # long-lived sessions
IDLE_ENVIRONMENTS = 2
FAILURES_KEPT = 500
PAUSE_AFTER_WRONG = 0.2  # seconds, so that a server that is down is not asked a million times
PROBE_RATE = 10  # a second
PROBES = 8  # connections of the probe
PROBE_PATIENCE = 10.0  # seconds; a question that could not be sent for so long is missed


class World:
    """What all kinds share: the environments and sessions that are there all the time."""

    def __init__(self):
        self.busy_environment = None
        self.idle_environments = []
        self.residents = None

    def prepare(self, caller):
        """Makes them."""
        names = [kinds_environments.create(caller, kinds_environments.CACHED_SCRIPT)
                 for _ in range(1 + IDLE_ENVIRONMENTS)]
        self.busy_environment, *self.idle_environments = names
        self.residents = kinds_sessions.Residents(caller, RESIDENTS)

    def clear(self, caller):
        """Deletes them."""
        self.residents.delete(caller)
        for name in (self.busy_environment, *self.idle_environments):
            kinds_environments.delete(caller, name)


class Tally:
    """What was asked and how it went, by kind.  For any number of threads."""

    def __init__(self, out):
        self.right = collections.Counter()
        self.wrong = collections.Counter()
        self._us = collections.defaultdict(lambda: array.array("I"))
        self._file = out / "failures.jsonl"
        self._lock = threading.Lock()

    def ask(self, kind, caller):
        """Asks once; a wrong answer is counted and kept."""
        start = time.monotonic()
        try:
            kind.ask(caller)
        except Exception as error:  # whatever it is, it is no right answer
            caller.close()
            self._fail(kind, caller, error)
            time.sleep(PAUSE_AFTER_WRONG)
            return
        us = round((time.monotonic() - start) * 1e6)
        with self._lock:
            self.right[kind.name] += 1
            self._us[kind.name].append(us)

    def _fail(self, kind, caller, error):
        told = {"kind": kind.name, "time": time.time(), "why": str(error) or repr(error),
                "asked": caller.asked, "got": caller.got}
        if not isinstance(error, Wrong):
            told["trace"] = traceback.format_exc()
        with self._lock:
            self.wrong[kind.name] += 1
            if self.wrong.total() <= FAILURES_KEPT:
                with open(self._file, "a", encoding="utf-8") as out:
                    out.write(json.dumps(told, ensure_ascii=False) + "\n")

    def counts(self):
        """{kind: [right, wrong]}."""
        with self._lock:
            return {kind.name: [self.right[kind.name], self.wrong[kind.name]] for kind in KINDS}

    def milliseconds(self):
        """{kind: {p50, p99, max}} of the right answers, in milliseconds."""
        return {name: quantiles(us) for name, us in self._us.items()}


def quantiles(us):
    """p50, p99 and max of microseconds, in milliseconds (nearest rank)."""
    ordered = sorted(us)
    last = len(ordered) - 1
    return {"p50": ordered[last // 2] / 1000, "p99": ordered[last * 99 // 100] / 1000,
            "max": ordered[last] / 1000}


class Load:
    """The process's inside; one method for each word."""

    def __init__(self, port, seed, clients, out):
        self._port = port
        self._seed = seed
        self._clients = clients
        self._world = World()
        self._tally = Tally(out)
        self._done = threading.Event()
        self._threads = []
        self._schedule = None
        self._caller = self._new_caller("main")

    def _new_caller(self, name):
        return Caller(self._port, random.Random(f"{self._seed} {name}"), self._world)

    def prepare(self):
        """Makes what is there all the time."""
        self._world.prepare(self._caller)

    def clear(self):
        """Deletes it."""
        self._world.clear(self._caller)
        self._caller.close()

    def once(self):
        """Asks every kind once, on as many connections as the load has."""
        todo = list(KINDS)
        lock = threading.Lock()

        def work(name):
            caller = self._new_caller(f"once {name}")
            while True:
                with lock:
                    if not todo:
                        break
                    kind = todo.pop()
                self._tally.ask(kind, caller)
            caller.close()

        threads = [threading.Thread(target=work, args=(i,)) for i in range(self._clients + LANES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def start(self):
        """Begins the load."""
        self._done.clear()
        self._schedule = mix.Schedule(KINDS, f"{self._seed} schedule")
        work = [(self._closed_loop, f"client {i}") for i in range(self._clients)]
        work += [(self._lane, f"lane {i}") for i in range(LANES)]
        self._threads = [threading.Thread(target=function, args=(name,)) for function, name in work]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Ends the load when every question asked has been answered."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def end(self):
        """Nothing more to do."""

    def _closed_loop(self, name):
        caller = self._new_caller(name)
        for kind in mix.draw(KINDS, random.Random(f"{self._seed} {name} draw")):
            if self._done.is_set():
                break
            self._tally.ask(kind, caller)
        caller.close()

    def _lane(self, name):
        caller = self._new_caller(name)
        while not self._done.is_set():
            kind = self._schedule.take()
            if kind is None:
                self._done.wait(0.05)
            else:
                self._tally.ask(kind, caller)
        caller.close()

    def report(self):
        """What the parent wants to know after each word."""
        return {"counts": self._tally.counts(), "milliseconds": self._tally.milliseconds(),
                "lag": self._schedule.lag if self._schedule else 0.0,
                "own_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}

    def counts(self):
        """Right and wrong answers so far."""
        return self._tally.counts()


def _load_main(pipe, port, seed, clients, out):
    load = Load(port, seed, clients, out)
    while True:
        word = pipe.recv()
        if word == "counts":
            pipe.send(load.counts())
            continue
        try:
            getattr(load, word)()
            pipe.send(load.report())
        except Exception:  # the parent raises it
            pipe.send(traceback.format_exc())
        if word == "end":
            os._exit(0)


class LoadProcess:
    """The load, as the parent sees it."""

    def __init__(self, port, seed, clients, out):
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_load_main, daemon=True,
                                                args=(theirs, port, seed, clients, out))
        self._process.start()
        theirs.close()
        self.pid = self._process.pid
        self.last = None

    def tell(self, word):
        """Has it do this, and waits until it is done; its report."""
        self._pipe.send(word)
        answer = self._pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"the load could not {word}:\n{answer}")
        self.last = answer
        return answer

    def counts(self):
        """{kind: [right, wrong]} so far."""
        self._pipe.send("counts")
        return self._pipe.recv()

    def end(self):
        """Ends the process."""
        self.tell("end")
        self._process.join(10)


def _probe_main(pipe, port, seed, path):
    tally = Tally(path.parent)
    kind = mix.Kind("probe", kinds_runs.hello)
    numbers = itertools.count()
    missed = []
    done = threading.Event()
    start = time.monotonic()

    def work(name):
        caller = Caller(port, random.Random(f"{seed} probe {name}"), None)
        while True:
            due = start + next(numbers) / PROBE_RATE
            if done.wait(max(0.0, due - time.monotonic())):
                break
            if time.monotonic() - due > PROBE_PATIENCE:
                missed.append(due)
                continue
            tally.ask(kind, caller)
            out.write(f"{due - start:.2f},{(time.monotonic() - due) * 1000:.3f}\n")
        caller.close()

    with open(path, "w", encoding="ascii", buffering=1) as out:
        out.write("seconds,ms\n")
        threads = [threading.Thread(target=work, args=(i,)) for i in range(PROBES)]
        for thread in threads:
            thread.start()
        pipe.recv()
        done.set()
        for thread in threads:
            thread.join()
    pipe.send((tally.right["probe"], tally.wrong["probe"], len(missed)))


class Probe:
    """Asks for hello ten times a second beside the load, and writes what each took.

    Question k is due at start + k / rate whatever the server does, and its latency counts from
    then: a stall shows in every answer that it delays.  Where all connections have waited for
    PROBE_PATIENCE the machine is overloaded, and what was due meanwhile is missed.
    """

    def __init__(self, port, seed, path):
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_probe_main, daemon=True,
                                                args=(theirs, port, seed, path))
        self._process.start()
        theirs.close()
        self.pid = self._process.pid

    def end(self):
        """Ends it; right and wrong answers, and questions that were missed."""
        self._pipe.send("end")
        counts = self._pipe.recv()
        self._process.join(10)
        return counts
