"""What is asked of the server while a call fails.  Each checks its answers to the last byte."""
import base64
import json
import time

import requests

import host
from faults import probe
from faults.walk import ENDED, REFUSED, RIGHT, Walk, Wrong, check_refusal

START_SECONDS = 30
TIMEOUT = 20  # seconds of one request


def is_refused(answer):
    """Whether the answer honestly says that the code was not run: a refusal, or a 200 with an error
    that names what failed and no exit status."""
    if answer.status != 200:
        return check_refusal(answer) == REFUSED
    ended = answer["exit_code"] is not None or answer["signal"] or answer["timed_out"]
    return not answer["success"] and not ended and bool(answer["error"]) and not answer["limits_hit"]


class Scenario:
    """One that needs no preparation."""

    name = "?"
    is_session = False
    is_lasting = False  # whether something of it stays on purpose, as groups do
    bound = 30  # seconds, within which there is an answer, whatever fails
    patience = 0.1  # seconds to wait for a call that may come after the answer

    def prepare(self, walk: Walk):
        """Before each run."""

    def run(self, walk: Walk):
        """RIGHT, REFUSED, or Wrong is raised."""
        raise NotImplementedError

    def finish(self, walk: Walk):
        """After each run."""

    def make_lasting(self, walk: Walk):
        """Makes what stays, before anything is counted."""
        self.prepare(walk)
        self.run(walk)
        self.finish(walk)


class Hello(Scenario):
    """The probe as the code of a run: its answer tells whether a lock is missing.  fields: more of
    the request."""

    def __init__(self, name="hello", code=probe.SOURCE, limits=None, **fields):
        self.name, self.code, self.fields = name, code, fields
        self.limits = limits or {}
        self.healthy = None

    def ask(self, walk):
        """One answer; a new connection, so that nothing of the last one is left."""
        client = walk.client()
        try:
            return client.post({"code": self.code, **self.fields}, timeout=TIMEOUT)
        finally:
            client.close()

    @staticmethod
    def is_refused(answer):
        """Whether it is an honest refusal."""
        return is_refused(answer)

    def run(self, walk):
        answer = self.ask(walk)
        if self.is_refused(answer) or (answer["timed_out"] and not answer["success"]):
            return REFUSED
        if not answer["success"]:
            raise Wrong(f"200 but: {answer.text[:600]}")
        found = probe.read(answer["stdout"])
        self.healthy = self.healthy or found
        lacks = probe.missing_locks(found, self.healthy)
        lacks += probe.missing_limits(walk.group, found["slot"], self.limits)
        if lacks:
            raise Wrong(f"MISSING LOCK: {'; '.join(lacks)[:1500]}")
        return RIGHT


class Cold(Hello):
    """The probe in a cold run."""

    def __init__(self, **fields):
        super().__init__("cold", f"exec python3 -I - <<'END'\n{probe.SOURCE}\nEND\n",
                         language="shell", **fields)

    @staticmethod
    def is_refused(answer):
        """A shell that could not be started is told as one, like any program."""
        if answer.status != 200:
            return is_refused(answer)
        return is_refused(answer) or (answer["exit_code"] == 127 and not answer["stdout"] and
                                      "cannot be started" in answer["stderr"])


FILES = {"in.txt": b"some text\n", "folder/in.bin": bytes(range(256)) * 40}
FILES_CODE = """
import os, sys
data = open('in.txt', 'rb').read() + open('folder/in.bin', 'rb').read()
open('out.bin', 'wb').write(data[::-1])
open('small.txt', 'w').write(sys.stdin.read())
print(len(data))
"""


class Files(Scenario):
    """Input files, stdin, and output files, byte by byte."""

    name = "files"

    def run(self, walk):
        client = walk.client()
        files = {name: base64.b64encode(data).decode() for name, data in FILES.items()}
        answer = client.post({"code": FILES_CODE, "files": files, "stdin": "typed"},
                             timeout=TIMEOUT)
        client.close()
        if is_refused(answer):
            return REFUSED
        whole = b"".join(FILES.values())
        wanted = {"out.bin": whole[::-1], "small.txt": b"typed"}
        got = {name: base64.b64decode(data) for name, data in answer["files"].items()
               if name in wanted}
        missing = wanted.keys() - got.keys()
        told = {one["name"] for one in answer["skipped_files"] if one["reason"] == "unreadable"}
        if (not answer["success"] or answer["stdout"] != f"{len(whole)}\n" or missing - told
                or any(wanted[name] != data for name, data in got.items())):
            raise Wrong(f"200 but: {answer.text[:600]}")
        return REFUSED if missing else RIGHT


class Ending(Scenario):
    """A run that reaches a limit, which the answer must name.  right: what it says, as a function of
    the answer."""

    def __init__(self, name, code, right, **fields):
        self.name, self.code, self.right, self.fields = name, code, right, fields

    def run(self, walk):
        client = walk.client()
        answer = client.post({"code": self.code, **self.fields}, timeout=TIMEOUT)
        client.close()
        if is_refused(answer):
            return REFUSED
        if not self.right(answer):
            raise Wrong(f"200 but: {json.dumps(answer.body)[:600]}")
        return RIGHT


class Start(Hello):
    """A start of the whole server.  killed: after SIGKILL of server and spawner, so that it sweeps what
    they left; else after an orderly end."""

    def __init__(self, killed=False):
        super().__init__("sweep" if killed else "start")
        self.killed = killed

    def prepare(self, walk):
        server = walk.server
        if server.popen.poll() is None and self.killed:
            for one in (server.spawner, server.http_process):
                host.kill(one)
            server.popen.wait()
        elif server.popen.poll() is None:
            server.stop()
        walk.replace()

    def run(self, walk):
        walk.server.start(wait=False)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if walk.server.popen.poll() is not None:
                if walk.said_why():
                    return ENDED
                raise Wrong(f"ended with {walk.server.popen.returncode} and no reason: "
                            f"{walk.server.log_text()[-300:]}")
            if walk.server.health() == 200:
                walk.server.tree()
                return super().run(walk)
            time.sleep(0.05)
        raise Wrong(f"neither up nor ended after {START_SECONDS} s: {walk.server.log_text()[-500:]}")


class HungSpawner(Hello):
    """The spawner stands still: /health and hello are answered all the same, one way or the other."""

    def __init__(self):
        super().__init__("hung-spawner")

    def run(self, walk):
        verdict = super().run(walk)
        if requests.get(walk.server.url + "/health", timeout=2).status_code not in (200, 503):
            raise Wrong("/health")
        return verdict
