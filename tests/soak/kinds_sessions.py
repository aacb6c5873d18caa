"""Kinds of the soak: sessions, from their making to their end, and long-lived ones."""
import io
import json
import tarfile
import threading
import time

from caller import clip, events_of, read_reply, require, require_fields, require_hit, texts
from mix import loop, paced
from test_websocket import BINARY, TEXT, Client

EXPIRY_SECONDS = 2
GONE_SECONDS = 60  # within which an expired session must be gone
SMALL = "1M"


class Session:
    """One session, as the caller that holds it sees it."""

    def __init__(self, caller, id_):
        self.caller = caller
        self.id = id_
        self.path = f"/v1/sessions/{id_}"

    @classmethod
    def made(cls, caller, **wanted):
        """A new one."""
        return cls(caller, caller.call("POST", "/v1/sessions", wanted, 201)["id"])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.delete()
        else:
            with self.caller.tidying():
                self.delete()

    def delete(self):
        """Removes it; it must be there."""
        self.caller.call("DELETE", self.path, status=204)

    def post(self, what, status=200, **fields):
        """POST beneath it."""
        return self.caller.call("POST", f"{self.path}/{what}", fields, status)

    def exec(self, command, stdout, **fields):
        """A command that must succeed and print this."""
        answer = self.post("exec", command=command, **fields)
        require_fields(answer, stdout=stdout, stderr="", exit_code=0, signal=None, timed_out=False,
                       limits_hit=[])

    def run(self, code, stdout):
        """Python that must succeed and print this."""
        require_fields(self.post("run", code=code), stdout=stdout, stderr="", exit_code=0)

    def write(self, name, data):
        """PUT of a file."""
        self.caller.call("PUT", f"{self.path}/files/{name}", data, (200, 201))

    def read(self, name, data):
        """GET of a file, which must be this."""
        got = self.caller.call("GET", f"{self.path}/files/{name}").data
        require(got == data, f"the file {name} is wrong: {len(got)} bytes, {clip(got)[:50]!r}")


class Residents:
    """Long-lived sessions, each in the hands of one caller at a time.

    What each must hold is known: the file `state` with how often it was asked, and the last word.
    """

    def __init__(self, caller, number):
        self._free = threading.Condition()
        self._idle = [Resident(caller, i % 4 == 3) for i in range(number)]
        self._all = list(self._idle)

    def take(self, rng):
        """One that nobody uses; give it back with give()."""
        with self._free:
            self._free.wait_for(lambda: self._idle)
            return self._idle.pop(rng.randrange(len(self._idle)))

    def give(self, one):
        """Makes it free again."""
        with self._free:
            self._idle.append(one)
            self._free.notify()

    def delete(self, caller):
        """Deletes all."""
        for one in self._all:
            Session(caller, one.id).delete()


class Resident:
    """One long-lived session and what it must hold."""

    def __init__(self, caller, is_ephemeral):
        self.is_ephemeral = is_ephemeral
        self.make(caller)

    def make(self, caller):
        """Makes its session, a new one if it had another."""
        session = Session.made(caller, size="4M", ephemeral=self.is_ephemeral)
        session.write("state", b"0 none\n")
        self.id, self.count, self.last = session.id, 0, "none"

    def asked(self, word):
        """It was asked once more, with this word; what its state must have been until then."""
        before = f"{self.count} {self.last}\n"
        self.count, self.last = self.count + 1, word
        return before


def with_resident(ask):
    """A kind that is done in a long-lived session: ask(caller, session, resident)."""
    def kind(caller):
        one = caller.world.residents.take(caller.rng)
        try:
            ask(caller, Session(caller, one.id), one)
        except BaseException:
            # What it holds is unknown now: one wrong answer must not make all later ones wrong.
            with caller.tidying():
                Session(caller, one.id).delete()
            with caller.tidying():
                one.make(caller)
            raise
        finally:
            caller.world.residents.give(one)
    kind.__name__, kind.__doc__ = ask.__name__, ask.__doc__
    return kind


@loop(30)
@with_resident
def session_exec(caller, session, resident):
    """A command reads the state that the last one left, and leaves another."""
    nonce = caller.nonce()
    session.exec(f'read n word < state; echo $((n + 1)) {nonce} > state; echo $n $word',
                 resident.asked(nonce))


@loop(20)
@with_resident
def session_python(caller, session, resident):
    """The same with Python."""
    nonce = caller.nonce()
    session.run(f"n, word = open('state').read().split()\n"
                f"print(int(n) + 1, '{nonce}', file=open('state', 'w'))\nprint(n, word)",
                resident.asked(nonce))


@loop(20)
@with_resident
def session_file(caller, session, _):
    """A file in and out."""
    data = caller.rng.randbytes(caller.rng.randrange(100_000))
    session.write("d/data", data)
    session.read("d/data", data)
    require_fields(caller.call("GET", f"{session.path}/stat?path=d/data"), size=len(data))


@paced(400)
@with_resident
def session_sleep(caller, session, resident):
    """Sleep, and waking by the next command, which finds everything."""
    if not resident.is_ephemeral:
        session.post("sleep")
    session.exec("cat state", f"{resident.count} {resident.last}\n")


@paced(400)
def session_life(caller):
    """A durable session from its making to its end."""
    nonce = caller.nonce()
    with Session.made(caller, size=SMALL, labels={"n": nonce}) as session:
        session.write("f", nonce.encode())
        session.exec("cat f", nonce)
        session.run(f"import os\nos.rename('f', 'g')\nprint('{nonce}')", nonce + "\n")
        session.read("g", nonce.encode())
        session.post("sleep")
        session.exec("cat g; ls", f"{nonce}g\n")
        require_fields(caller.call("GET", session.path), labels={"n": nonce}, state="awake")
    caller.call("GET", session.path, status=404)


@paced(400)
def session_in_memory(caller):
    """An ephemeral session from its making to its end."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        session.exec(f"echo {nonce} > f; cat f", nonce + "\n")
        session.run("print(open('f').read())", nonce + "\n\n")


@paced(300)
def session_snapshot(caller):
    """A snapshot, a change, and the way back; a copy that goes its own way."""
    nonce, other = caller.nonce(), caller.nonce()
    with Session.made(caller, size=SMALL) as session:
        session.write("f", nonce.encode())
        kept = session.post("snapshots", 201, name=nonce)["id"]
        session.write("f", other.encode())
        with Session(caller, session.post("fork", 201)["id"]) as fork:
            fork.read("f", other.encode())
            session.post("restore", snapshot=kept)
            session.read("f", nonce.encode())
            fork.exec("cat f", other)
        caller.call("DELETE", f"/v1/snapshots/{kept}", status=204)


@paced(300)
def session_expiry(caller):
    """A session that nobody deletes is gone when its time is over."""
    session = Session.made(caller, size=SMALL, ttl=EXPIRY_SECONDS)
    session.exec("echo x | tee f", "x\n")
    end = time.monotonic() + GONE_SECONDS
    while caller.call("GET", session.path, status=(200, 404)).status == 200:
        require(time.monotonic() < end, f"not gone {GONE_SECONDS} s after its time")
        time.sleep(0.2)


@paced(250)
def session_full(caller):
    """A workspace that is full says so, and goes on."""
    nonce = caller.nonce()
    with Session.made(caller, size=SMALL) as session:
        caller.call("PUT", f"{session.path}/files/big", bytes(3_000_000), 507)
        answer = session.post("exec", command="head -c 3000000 /dev/zero > big2")
        require(answer["exit_code"] == 1 and "No space left" in answer["stderr"], "not full")
        session.exec(f"rm big2; echo {nonce} > f; cat f", nonce + "\n")


@paced(250)
def session_process(caller):
    """A background process: its output, its end by a signal."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        number = session.post("exec", 202, command=f"echo {nonce}; exec sleep 100",
                              background=True)["process"]
        path = f"{session.path}/processes/{number}"
        end = time.monotonic() + 20
        while caller.call("GET", path + "/output")["stdout"] != nonce + "\n":
            require(time.monotonic() < end, "no output of the background process")
            time.sleep(0.05)
        caller.call("POST", path + "/signal", {"signal": "TERM"}, (200, 202, 204))
        while caller.call("GET", path)["running"]:
            require(time.monotonic() < end, "the background process does not end")
            time.sleep(0.05)


@paced(250)
def session_bombs(caller):
    """Limits inside a session: a deadline, and too much memory; it goes on."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True, limits={"memory_mb": 64}) as session:
        answer = session.post("exec", command=f"echo {nonce}; sleep 50 & sleep 60", timeout=1)
        require_fields(answer, stdout=nonce + "\n", timed_out=True)
        answer = session.post("run", code="x = bytearray(900_000_000)")
        require_fields(answer, exit_code=-9)
        require_hit(answer, "memory")
        session.exec(f"echo {nonce}", nonce + "\n")


@paced(250)
def session_stream(caller):
    """Events of a command."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        answer = caller.call("POST", session.path + "/exec",
                             {"command": f"for i in 1 2 3 4 5; do echo {nonce} $i; done; exit 7"},
                             headers={"Accept": "text/event-stream"})
        events = events_of(answer.data)
        wanted = "".join(f"{nonce} {i}\n" for i in range(1, 6))
        require(texts(events, "stdout") == wanted, "stdout is wrong")
        require(events[-1][0] == "result" and events[-1][1]["exit_code"] == 7, "no result")


@paced(250)
def session_tar(caller):
    """A tar archive in and out."""
    data = {f"t/{caller.nonce()}": caller.rng.randbytes(5000) for _ in range(5)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in data.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with Session.made(caller, size=SMALL) as session:
        caller.call("PUT", session.path + "/tar", packed.getvalue(),
                    headers={"Content-Type": "application/x-tar"})
        got = caller.call("GET", session.path + "/tar?path=t").data
        with tarfile.open(fileobj=io.BytesIO(got)) as archive:
            found = {entry.name.split("/")[-1]: archive.extractfile(entry).read()
                     for entry in archive if entry.isfile()}
        require(found == {name[2:]: content for name, content in data.items()},
                f"the archive has {sorted(found)}")


@paced(200)
def session_watch(caller):
    """Changes as events (inotify)."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        with caller.open("GET", session.path + "/watch",
                         headers={"Accept": "text/event-stream"}) as sock:
            seen = sock.recv(4096)
            require(b"200" in seen.split(b"\r\n")[0], "no stream")
            while b"event:" not in seen:
                seen += sock.recv(4096)
            Session(caller, session.id).write(nonce, b"x")
            sock.settimeout(20)
            while nonce.encode() not in seen:
                part = sock.recv(65536)
                require(part, "the stream of changes ended")
                seen += part


class _Door:
    """What the WebSocket client of the tests takes for a server."""

    def __init__(self, caller):
        self.connect = caller.connect


@paced(200)
def session_terminal(caller):
    """A terminal over a WebSocket; it is left by closing, or by its shell's end."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        with Client(_Door(caller), session.path + "/terminal?command=sh") as terminal:
            seen, opcode = b"", TEXT
            terminal.send(BINARY, f"echo {nonce[:4]}''{nonce[4:]}\n".encode())
            while nonce.encode() not in seen:
                opcode, data = terminal.receive()
                seen += data if opcode == BINARY else b""
            if caller.rng.random() < 0.5:
                terminal.send(BINARY, b"exit 3\n")
                while opcode != TEXT:
                    opcode, data = terminal.receive()
                require(json.loads(data)["exit_code"] == 3, "the terminal's exit is wrong")


@paced(250)
def gone_during_session_exec(caller):
    """A client that goes away ends its command, and the session goes on."""
    nonce = caller.nonce()
    with Session.made(caller, ephemeral=True) as session:
        sock = caller.open("POST", session.path + "/exec", {"command": f"sleep 60; : {nonce}"})
        time.sleep(caller.rng.uniform(0.05, 0.2))
        sock.close()
        end = time.monotonic() + 20
        while nonce in str(caller.call("GET", session.path + "/processes?all=true")["tree"]):
            require(time.monotonic() < end, "its command goes on")
            time.sleep(0.05)
        session.exec(f"echo {nonce}", nonce + "\n")


@paced(100)
def gone_during_session_delete(caller):
    """A session is deleted while a command runs in it: the command's client gets an answer."""
    session = Session.made(caller, size=SMALL)
    with caller.open("POST", session.path + "/exec", {"command": "sleep 60"}) as sock:
        time.sleep(caller.rng.uniform(0, 0.2))
        session.delete()
        answer = read_reply(sock)
        require(answer.status in (200, 404, 409, 503), f"status {answer.status}")
