"""Hostile system calls from inside sandboxes, for as long as wanted, with the host watched.

The generator is tests/syscalls/syscall_fuzz.c.  A campaign is a row of rounds, each in a sandbox of
its own with the next seed, by turns by POST /execute, in a session in memory and in a durable one.
"""
import base64
import json
import pathlib
import subprocess
from dataclasses import dataclass, field

from server import HelloWatch, clean_environment
from session_client import session

FOLDER = pathlib.Path(__file__).resolve().parent / "syscalls"
PLACES = ("execute", "session", "durable")
ROUND_SECONDS = 10
PROGRAM = "/tmp/syscall_fuzz"


def compile_generator(directory):
    """The static program, in a directory; its path."""
    path = pathlib.Path(directory) / "syscall_fuzz"
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", path,
                    FOLDER / "syscall_fuzz.c", FOLDER / "arguments.c"], check=True,
                   env=clean_environment())
    return path


def in_sandbox(client, program, place, arguments, seconds):
    """Runs the generator; its answer from /execute or from a session's exec."""
    name = program.name
    code = f"cp {name} {PROGRAM} && chmod 755 {PROGRAM} && exec {PROGRAM} {arguments}"
    data = program.read_bytes()
    if place == "execute":
        return client.run(code, language="shell", timeout=seconds + 10, files_mode="changed",
                          files={name: base64.b64encode(data).decode()})
    with session(client, size="64M", ephemeral=place == "session") as one:
        one.write(name, data)
        return one.exec(code, timeout=seconds + 10)


@dataclass
class Campaign:
    """What a campaign has seen.  calls: made; done: carried out by the kernel; numbers: different
    ones, at most in one round; ended: children by the signal that ended them ("0": none); early:
    rounds that a call ended before their time; hellos: answers of the server meanwhile."""

    rounds: int = 0
    calls: int = 0
    done: int = 0
    numbers: int = 0
    early: int = 0
    hellos: int = 0
    ended: dict = field(default_factory=dict)

    def add(self, answer, seed):
        """Counts a round.  At least one report must have come out of it."""
        lines = [line for line in answer["stdout"].splitlines() if line.startswith("{")]
        assert lines, f"seed {seed} reported nothing: {answer.text[:1000]}"
        found = json.loads(lines[-1])
        self.rounds += 1
        self.calls += found["calls"]
        self.done += found["done"]
        self.numbers = max(self.numbers, found["numbers"])
        self.early += answer["exit_code"] != 0
        for signal, count in found["ended"].items():
            self.ended[signal] = self.ended.get(signal, 0) + count


def run(server, watch, program, seed, seconds, length=ROUND_SECONDS, say=lambda text: None):
    """Runs rounds of `length` seconds for so many seconds; the Campaign.  AssertionError as soon as
    the host has changed, the kernel complains, or the server gives a wrong answer."""
    total, left = Campaign(), seconds
    client = server.client()
    while left > 0:
        length, place = min(length, left), PLACES[total.rounds % len(PLACES)]
        with HelloWatch(server) as hellos:
            answer = in_sandbox(client, program, place, f"{seed} {length}", length)
        assert not hellos.wrong, f"seed {seed} in {place}: {hellos.wrong[0]}"
        total.add(answer, seed)
        total.hellos += len(hellos.seconds)
        watch.check()
        say(f"seed {seed} in {place}: {total}")
        seed, left = seed + 1, left - length
    watch.check_store()
    client.close()
    return total
