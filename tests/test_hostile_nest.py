"""A builder that was taken over speaks to the real spawner: it can lose its own sandboxes and nothing else."""
import errno
import os
import time

import pytest

from client import wait_until
from drivers import built
from spawner import CLOSE, LAYER_NEXT, OPEN, Spawner

PROMPT_SECONDS = 2  # a busy machine; what is left behind lingers for an hour
SILENCE_SECONDS = 20  # ANSWER_US in nest_process.c


def open_slot(spawner, seconds=10):
    """Has the nest build; the slot, and its descriptors are closed."""
    def opened():
        spawner.send(OPEN)
        reply, descriptors = spawner.receive()
        for fd in descriptors:
            os.close(fd)
        assert reply.error in (0, errno.EAGAIN)  # it is being killed, or has just been
        return reply if reply.error == 0 else None
    return wait_until(opened, seconds, "the nest").slot


@pytest.fixture(scope="module", autouse=True)
def silent():
    """A spawner whose nest has been asked for all slots that there are, and when; the other tests run
    while it waits."""
    with Spawner(init=bytes(built("src/spawner/hostile_nest")), work_dir=b"/silent", slots=2) as spawner:
        slots = {open_slot(spawner) for _ in range(2)}
        yield spawner, slots, time.monotonic()


@pytest.mark.parametrize("what", ("peer", "self", "server", "linger", "surplus"))
def test_the_spawner_goes_on_and_in_time(what):
    with Spawner(init=bytes(built("src/spawner/hostile_nest")), work_dir=b"/" + what.encode()) as spawner:
        for _ in range(3):
            slot = open_slot(spawner)
            spawner.send(CLOSE, slot=slot)
            before = time.monotonic()
            assert spawner.ask(LAYER_NEXT).error == 0
            assert spawner.ask(LAYER_NEXT).error == 0
            assert time.monotonic() - before < PROMPT_SECONDS
        assert spawner.popen.poll() is None


def test_one_that_falls_silent_gives_its_slots_back(silent):
    spawner, slots, asked = silent
    spawner.send(OPEN)
    assert spawner.receive()[0].error == errno.EAGAIN  # there are no more
    for slot in slots:
        spawner.send(CLOSE, slot=slot)
    left = SILENCE_SECONDS - (time.monotonic() - asked)
    again = {open_slot(spawner, left + 10) for _ in range(2)}
    assert again == slots and time.monotonic() - asked > SILENCE_SECONDS - 1
    assert spawner.popen.poll() is None
