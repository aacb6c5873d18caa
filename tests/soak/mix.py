"""The mix: what kinds of requests there are, and which one comes next.

A kind is a function of a Caller that asks, and raises Wrong when an answer is not what it must be.
Cheap kinds are drawn by weight, as fast as answers come (the closed loop).  Dear ones (bombs,
builds, timeouts, slow clients, sessions) come at a rate of their own, so that they take a minor
share of the machine however fast it is.
"""
import random
import threading
import time
from dataclasses import dataclass

FIRST_SECONDS = 20.0  # within which every paced kind comes for the first time


@dataclass(frozen=True)
class Kind:
    """weight: share in the closed loop, or 0; per_hour: rate when paced, or 0."""

    name: str
    ask: object
    weight: int = 0
    per_hour: int = 0


KINDS = {}


def loop(weight):
    """Registers a kind of the closed loop; its name is the function's."""
    return _registered(weight=weight)


def paced(per_hour):
    """Registers a kind with a rate of its own."""
    return _registered(per_hour=per_hour)


def _registered(**options):
    def register(ask):
        KINDS[ask.__name__] = Kind(ask.__name__, ask, **options)
        return ask
    return register


class Schedule:
    """Says which paced kind is due next.  For any number of threads.

    Every kind comes first within FIRST_SECONDS, then at its rate, a quarter of its interval more
    or less.  A kind that is late is not made up for: `lag` tells the worst lateness in seconds.
    """

    def __init__(self, kinds, seed):
        self.lag = 0.0
        self._rng = random.Random(seed)
        self._kinds = [kind for kind in kinds if kind.per_hour]
        now = time.monotonic()
        self._due = {kind.name: now + self._rng.random() * min(FIRST_SECONDS, 3600 / kind.per_hour)
                     for kind in self._kinds}
        self._lock = threading.Lock()

    def take(self):
        """The kind that is due, or None."""
        with self._lock:
            now = time.monotonic()
            kind = min(self._kinds, key=lambda one: self._due[one.name])
            late = now - self._due[kind.name]
            if late < 0:
                return None
            self.lag = max(self.lag, late)
            interval = 3600 / kind.per_hour
            self._due[kind.name] = now + interval * self._rng.uniform(0.75, 1.25)
            return kind


def draw(kinds, rng):
    """An endless draw by weight."""
    drawn = [kind for kind in kinds if kind.weight]
    weights = [kind.weight for kind in drawn]
    while True:
        yield from rng.choices(drawn, weights, k=1000)
