"""Sessions, environments and what the spawner's workers do, while a call fails.

What was acknowledged must be there afterwards: each keeps a file whose bytes are compared."""
import contextlib
import io
import tarfile
import time

import requests

from client import read_events, unique_name
from faults import probe
from faults.scenarios import TIMEOUT, Scenario, is_refused
from faults.walk import RIGHT, Wrong, check_refusal
from test_session_terminal import Terminal

KEPT = bytes(range(256)) * 16
SIZE = "4M"


class Refused(Exception):
    """An honest refusal ended the scenario early."""


def must(answer, *statuses):
    """The answer, which has one of these statuses; else it must be an honest refusal."""
    if answer.status in statuses:
        return answer
    check_refusal(answer)
    raise Refused


def equal(got, wanted, what):
    """Anything else is a wrong answer."""
    if got != wanted:
        raise Wrong(f"{what}: {str(got)[:300]} instead of {str(wanted)[:300]}")


def fetch(client, path):
    """The bytes of a GET; one that breaks off is seen as such, which requests alone does not do."""
    try:
        response = client.session.get(client.url + path, timeout=TIMEOUT)
    except requests.exceptions.ChunkedEncodingError as error:
        raise Refused from error
    size = response.headers.get("Content-Length")
    if response.status_code not in (200, 500, 503, 507):
        raise Wrong(f"{response.status_code}: {response.text[:300]}")
    if response.status_code != 200:
        raise Refused
    if size is not None and int(size) != len(response.content):
        raise Refused
    return response.content


class InSession(Scenario):
    """steps(walk, client, path) works on a session that is made before; it is looked at afterwards,
    undisturbed.  durable: whether it survives its processes; warm: whether it is replaced once it has
    no warm interpreters any more, as after three that failed."""

    is_session = is_lasting = True

    def __init__(self, name, steps, durable=True, warm=False):
        self.name, self.steps, self.durable, self.warm = name, steps, durable, warm
        self.path = None

    def prepare(self, walk):
        client = walk.client()
        if self.path is None or client.get(self.path).status != 200:
            answer = client.post({"size": SIZE, "ephemeral": not self.durable},
                                 path="/v1/sessions", timeout=TIMEOUT)
            assert answer.status == 201, answer.text
            self.path = f"/v1/sessions/{answer['id']}"
            put = client.request("PUT", self.path + "/files/kept", data=KEPT, timeout=TIMEOUT)
            assert put.status == 201, put.text
        client.get(self.path + "/files/kept", timeout=TIMEOUT)
        client.close()

    def run(self, walk):
        client = walk.client()
        try:
            self.steps(walk, client, self.path)
            return RIGHT
        except Refused:
            return "refused"
        finally:
            client.close()

    def finish(self, walk):
        """What was acknowledged is there; an ephemeral one may have died."""
        client = walk.client()
        answer = client.request("GET", self.path + "/files/kept", timeout=TIMEOUT)
        gone = answer.status != 200 and not self.durable
        cold = not gone and self.warm and not any(
            client.post({"code": "pass"}, path=self.path + "/run", timeout=TIMEOUT)["warm"]
            for _ in range(2))
        if gone or cold:
            client.request("DELETE", self.path, timeout=TIMEOUT)
            self.path = None
        elif answer.status != 200 or answer.text != KEPT.decode("utf-8", "replace"):
            raise Wrong(f"the session's file: {answer.status} {answer.text[:300]}")
        client.close()


def create(_, client, __):
    """A session from its making to its end."""
    made = must(client.post({"size": "1M"}, path="/v1/sessions", timeout=TIMEOUT), 201)
    path = f"/v1/sessions/{made['id']}"
    try:
        must(client.request("PUT", path + "/files/f", data=b"x" * 5000, timeout=TIMEOUT), 201)
        equal(fetch(client, path + "/files/f"), b"x" * 5000, "file")
    finally:
        with contextlib.suppress(requests.ConnectionError):
            must(client.request("DELETE", path, timeout=TIMEOUT), 204)


def sleep_and_wake(_, client, path):
    """To sleep, and up again by reading."""
    must(client.post({}, path=path + "/sleep", timeout=TIMEOUT), 200, 409)
    equal(fetch(client, path + "/files/kept"), KEPT, "file after sleep")


def grow(_, client, path):
    """Larger while awake, then back at the start of the next run (never smaller)."""
    size = must(client.get(path, timeout=TIMEOUT), 200)["size"] + (1 << 20)
    answer = must(client.request("PATCH", path, json={"size": size}, timeout=TIMEOUT), 200, 400)
    if answer.status == 200:
        equal(client.get(path)["size"], size, "size")


def copies(_, client, path):
    """A snapshot, a change, and back to the snapshot."""
    kept = must(client.post({}, path=path + "/snapshots", timeout=TIMEOUT), 201)["id"]
    later = unique_name("l")
    try:
        must(client.request("PUT", f"{path}/files/{later}", data=b"later", timeout=TIMEOUT), 200, 201)
        must(client.post({"snapshot": kept}, path=path + "/restore", timeout=TIMEOUT), 200)
        must(client.get(f"{path}/files/{later}", timeout=TIMEOUT), 404)
    finally:
        with contextlib.suppress(requests.ConnectionError):
            must(client.request("DELETE", f"/v1/snapshots/{kept}", timeout=TIMEOUT), 204)


healthy_locks = {}  # by kind of program


def check_locks(got):
    """A program that printed the probe's findings had all its locks.  A warm one has the zygote's
    seccomp filter besides; code whose interpreter could not be had warm starts as a command does."""
    if got["signal"] is not None or got["exit_code"] != 0:
        raise Refused  # it was told as failed
    kind = "warm" if got["warm"] else "cold"
    found = probe.read(got["stdout"])
    found.pop("pids")  # whoever else works in the session just now
    right = healthy_locks.setdefault(kind, found)
    lacks = probe.missing_locks(found, right)
    if lacks:
        raise Wrong(f"MISSING LOCK: {'; '.join(lacks)[:1500]}")


def locks(_, client, path):
    """The probe as a command, and as Python code: the second time in the interpreter that was made
    after the first."""
    got = must(client.post({"argv": ["python3", "-I", "-c", probe.SOURCE]}, path=path + "/exec",
                           timeout=TIMEOUT), 200)
    check_locks(got)
    for _ in range(2):
        got = must(client.post({"code": probe.SOURCE}, path=path + "/run", timeout=TIMEOUT), 200)
        check_locks(got)


def execute(_, client, path):
    """A command, and Python."""
    got = must(client.post({"command": "cat kept | wc -c; exit 3"}, path=path + "/exec",
                           timeout=TIMEOUT), 200)
    if got["signal"] is None:
        equal((got["stdout"], got["exit_code"]), ("4096\n", 3), "command")
    got = must(client.post({"code": "print(open('kept', 'rb').read() == bytes(range(256)) * 16)"},
                           path=path + "/run", timeout=TIMEOUT), 200)
    if got["signal"] is None:
        equal((got["stdout"], got["exit_code"]), ("True\n", 0), "code")


def files(_, client, path):
    """Write, read, list, move, search, archive, remove."""
    data = b"needle\n" + b"some more text\n" * 5000
    must(client.post({"path": "d"}, path=path + "/mkdir", timeout=TIMEOUT), 200, 201)
    must(client.request("PUT", path + "/files/d/a", data=data, timeout=TIMEOUT), 200, 201)
    equal(fetch(client, path + "/files/d/a"), data, "file")
    must(client.post({"from": "d/a", "to": "d/b", "replace": True}, path=path + "/copy",
                     timeout=TIMEOUT), 200, 201)
    names = must(client.get(path + "/ls?path=d", timeout=TIMEOUT), 200)["entries"]
    equal({one["name"] for one in names}, {"a", "b"}, "names")
    found = must(client.get(path + "/search?path=d&text=needle", timeout=TIMEOUT), 200)
    equal(len(found["matches"]), 2, "matches")
    packed = fetch(client, path + "/tar?path=d")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        sizes = {one.size for one in archive if one.isfile()}
    equal(sizes, {len(data)}, "archive")
    must(client.post({"path": "e"}, path=path + "/mkdir", timeout=TIMEOUT), 200, 201)
    must(client.request("PUT", path + "/tar?path=e", data=packed, timeout=TIMEOUT), 200)
    for name in ("d", "e"):
        must(client.post({"path": name, "recursive": True}, path=path + "/remove",
                         timeout=TIMEOUT), 204, 404)


def watch(walk, client, path):
    """A watch sees a file that is made after it began."""
    with client.session.get(client.url + path + "/watch", stream=True, timeout=5) as response:
        if response.status_code != 200:
            raise Refused
        other = walk.client()
        name = unique_name("w")
        try:
            must(other.request("PUT", f"{path}/files/{name}", data=b"1", timeout=TIMEOUT), 201)
            for event in read_events(response.iter_content(None), 0):
                if event.name in ("error", "overflow", "end"):
                    raise Refused
                if event.data.get("path") == name:
                    return
        finally:
            other.request("DELETE", f"{path}/files/{name}", timeout=TIMEOUT)
            other.close()
        raise Refused


def terminal(walk, _, path):
    """A command at a terminal."""
    try:
        with Terminal(walk.server, path + "/terminal?command=tty%3B%20echo%20typed") as one:
            one.until(b"typed")
            one.exit()
    except (AssertionError, OSError, ValueError, IndexError) as error:
        if walk.server.popen.poll() is not None:
            raise requests.ConnectionError from error
        raise Refused from error


class Build(Scenario):
    """An environment: built, used, deleted."""

    name = "build"
    is_lasting = True
    bound = 90

    def __init__(self):
        self.made = None

    def run(self, walk):
        client = walk.client()
        self.made = unique_name("e")
        script = f"echo {self.made} > /usr/share/{self.made}"
        try:
            answer = must(client.post({"name": self.made, "setup_script": script},
                                      path="/environments?wait=true", timeout=self.bound), 200)
            if answer["status"] != "ready":
                if not answer["error"]:
                    raise Wrong(f"a build that failed without a word: {answer.text[:300]}")
                return "refused"
            equal(self.look(client, self.bound)["stdout"], f"{self.made}\n\n", "what the build left")
            return RIGHT
        except Refused:
            return "refused"
        finally:
            client.close()

    def make_lasting(self, walk):
        """Two environments beside each other: after a fault one may be on its way out while the next is
        made, and groups of nests stay for the next that has its number."""
        both = Build(), Build()
        for one in both:
            one.run(walk)
        for one in both:
            one.finish(walk)

    def look(self, client, seconds):
        """The answer of a run in the environment that prints what the build left there."""
        code = f"print(open('/usr/share/{self.made}').read())"
        return must(client.post({"code": code, "environment": self.made}, timeout=seconds), 200)

    def finish(self, walk):
        client = walk.client()
        answer = client.request("DELETE", f"/environments/{self.made}", timeout=self.bound)
        if answer.status not in (200, 204, 404):
            raise Wrong(f"delete: {answer.text[:300]}")
        client.close()


class Nest(Build):
    """An environment that is there: woken by a run, and asleep again."""

    name = "nest"
    IDLE = 1  # seconds, a setting of the server
    patience = IDLE + 2

    def prepare(self, walk):
        client = walk.client()
        if self.made is None or client.get(f"/environments/{self.made}").status != 200:
            assert super().run(walk) == RIGHT, "the environment cannot be built"
        client.close()
        time.sleep(self.patience)  # until it sleeps

    def run(self, walk):
        client = walk.client()
        try:
            got = self.look(client, TIMEOUT)
            if is_refused(got):
                return "refused"
            equal(got["stdout"], f"{self.made}\n\n", "what the build left")
            return RIGHT
        except Refused:
            return "refused"
        finally:
            client.close()

    def finish(self, walk):
        """It stays for the next."""
