"""Where the programs of tests/attacks are run, and what they are told of their surroundings."""
import base64
import contextlib
import json
import lzma
import re
import shlex
import socket
import subprocess
import textwrap
import threading
from dataclasses import dataclass, field

import attack_header
from client import unique_name, wait_until
from environments import environment, log
from inside import PRELUDE
from server import clean_environment
from session_client import Session, session

C_FLAGS = ["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-pthread"]
SCRIPT_MAX = 9500  # bytes of a setup script; the API takes 10,000
VICTIM_PORT = 4321
VICTIM = """
import ctypes, os, socket, time
libc = ctypes.CDLL(None)
key = libc.shmget(0x4475, 4096, 0o1666)
a = socket.socket(); a.bind(("0.0.0.0", {port})); a.listen()
b = socket.socket(socket.AF_UNIX); b.bind("\\0{name}"); b.listen()
open("/tmp/{name}", "w").write("{name}")
print("up", flush=True); time.sleep(600)
"""


@dataclass
class Outcome:
    """How a program ended.  exit_code: None where the place has none; files: name -> bytes."""

    text: str
    exit_code: int | None = None
    limits: list = field(default_factory=list)
    files: dict | None = None

    @property
    def findings(self):
        """What the program told of its attempts."""
        return dict(re.findall(r"^@ (\S+) (\S+)$", self.text, re.MULTILINE))


def numbers():
    """System calls by name, of this machine's architecture."""
    text = subprocess.run(["gcc", "-dM", "-E", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                          check=True, capture_output=True, text=True).stdout
    return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)$", text, re.M)}


class World:
    """A server, a victim in a session of its own, listeners on the host, and a place to compile."""

    def __init__(self, server, watch, directory):
        self.server, self.watch, self.directory = server, watch, directory
        self.compiling = threading.Lock()
        self.numbers = numbers()
        self.name = unique_name("victim")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name + "-host")
        self.abstract.listen()
        self.victim = Session(server.client(), ephemeral=True, size="16M")
        code = VICTIM.format(name=self.name, port=VICTIM_PORT)
        self.process = self.victim.background(f"python3 -c {shlex.quote(code)}")
        wait_until(lambda: "up" in self.victim.get(f"/processes/{self.process}/output")["stdout"],
                   10, "the victim listens")
        for one in (self.listener, self.abstract):
            one.setblocking(False)

    def facts(self):
        """What the programs may know: an attacker who has the source and has looked around."""
        return {"CANARY": str(self.watch.canary), "API_PORT": self.server.port,
                "HOST_PORT": self.listener.getsockname()[1], "VICTIM_PORT": VICTIM_PORT,
                "VICTIM": self.name, "SERVER_PID": self.server.http_process.pid}

    def check(self):
        """Nobody reached the host or the victim."""
        for one in (self.listener, self.abstract):
            with contextlib.suppress(BlockingIOError):
                one.accept()
                raise AssertionError("a sandbox connected to the host")
        assert self.victim.get(f"/processes/{self.process}")["running"], "the victim was ended"
        assert "\x1b" not in self.server.log_text(), "a run's text is in the log"
        self.watch.check()

    def close(self):
        """Ends the victim and the listeners."""
        self.victim.delete()
        self.listener.close()
        self.abstract.close()

    # -- programs

    def python(self, attack):
        """The source of a Python attack with its prelude."""
        text = attack.path.read_text()
        named = {name: n for name, n in self.numbers.items() if f'"{name}"' in text}
        lines = [PRELUDE, f"NR.update({named!r})"]
        lines += [f"{name} = {value!r}" for name, value in self.facts().items()]
        lines.append("def found(name, result):\n    print('@', name, result, flush=True)\n")
        return "\n".join(lines) + "\n" + text

    def binary(self, attack):
        """The static program of a C attack, compiled once; for any number of threads."""
        path = self.directory / attack.name
        with self.compiling:
            if not path.exists():
                defines = [f"-D{name}={json.dumps(value)}" for name, value in self.facts().items()]
                subprocess.run(["gcc", *C_FLAGS, *defines, "-o", path, attack.path], check=True,
                               env=clean_environment())
        return path.read_bytes()

    def shell(self, attack):
        """The source of a shell attack; a C attack is started by one."""
        if attack.language == "c":
            return f"cp {attack.name}.bin /tmp/{attack.name} && chmod 755 /tmp/{attack.name} && " \
                   f"exec /tmp/{attack.name}"
        assigned = [f"{name}={shlex.quote(str(value))}" for name, value in self.facts().items()]
        return "\n".join([*assigned, attack.path.read_text()])

    def inputs(self, attack):
        """The files that go with it: name -> bytes."""
        return {attack.name + ".bin": self.binary(attack)} if attack.language == "c" else {}

    # -- places

    def execute(self, attack, fresh=False):
        """In a sandbox of its own by POST /execute."""
        body = {"timeout": 10, **json.loads(attack.fields.get("request", "{}")), "fresh": fresh}
        if attack.language == "python":
            body["code"] = self.python(attack)
        else:
            body.update(code=self.shell(attack), language="shell")
        body["files"] = {name: base64.b64encode(data).decode()
                         for name, data in self.inputs(attack).items()}
        body["files_mode"] = "changed"
        client = self.server.client()
        answer = client.post(body)
        client.close()
        assert answer.status == 200, answer.text[:500]
        return Outcome(answer["stdout"] + answer["stderr"], answer["exit_code"],
                       answer["limits_hit"],
                       {name: base64.b64decode(data) for name, data in answer["files"].items()})

    def in_session(self, attack, **wanted):
        """In a session of its own."""
        client = self.server.client()
        with session(client, size="32M", **wanted) as one:
            for name, data in self.inputs(attack).items():
                one.write(name, data)
            if attack.language == "python":
                answer = one.run(self.python(attack), timeout=15)
            else:
                answer = one.exec(self.shell(attack), timeout=15)
        client.close()
        return Outcome(answer["stdout"] + answer["stderr"], answer["exit_code"],
                       answer["limits_hit"])

    def run(self, attack, place):
        """The Outcome of an attack in one of attack_header.PLACES but build."""
        if place in ("execute", "fresh"):
            return self.execute(attack, place == "fresh")
        return self.in_session(attack, ephemeral=place == "session")

    def build(self, attacks):
        """The Outcomes of Python attacks that a setup script makes, one after the other."""
        bundle = json.dumps({one.name: self.python(one).removeprefix(PRELUDE) for one in attacks})
        data = {"prelude": PRELUDE, "attacks": bundle}
        packed = base64.b64encode(lzma.compress(json.dumps(data).encode())).decode()
        script = textwrap.dedent("""\
            cat > /tmp/go.py <<'END'
            import base64, json, lzma, subprocess, sys
            data = json.loads(lzma.decompress(base64.b64decode(sys.argv[1])))
            for name, code in json.loads(data["attacks"]).items():
                print("=== " + name, flush=True)
                done = subprocess.run([sys.executable, "-c", data["prelude"] + code], timeout=20)
                print("@ exit", done.returncode, flush=True)
            END
            """) + f"python3 /tmp/go.py {packed}\n"
        assert len(script) <= SCRIPT_MAX, len(script)
        client = self.server.client()
        with environment(client, script) as name:
            lines = [line.split(" ", 1)[-1] for line in log(client, name).splitlines()]
        client.close()
        parts = re.split(r"^=== (\S+)$", "\n".join(lines), flags=re.MULTILINE)
        return {name: Outcome(text) for name, text in zip(parts[1::2], parts[2::2])}


def judge(attack, outcome, place, instead=None):
    """Insists that an attack failed, and for the reason that its header names; `instead` are
    expectations in place of those in the header."""
    told = f"{attack.name} in {place}: {outcome.text[-1500:]}"
    findings = outcome.findings
    ended = findings.pop("exit", outcome.exit_code)
    for name, results in {**attack.expected(), **(instead or {})}.items():
        assert findings.pop(name, "nothing") in results, f"{name}: not {results}; {told}"
    assert not findings, f"nobody expected {findings}; {told}"
    assert str(ended) in attack.fields.get("exit", "0").split("|"), f"exit {ended}; {told}"
    wanted = set(attack.fields.get("limits", "").split() if outcome.files is not None else ())
    assert wanted <= set(outcome.limits), f"{outcome.limits}; {told}"
    if "files" in attack.fields and outcome.files is not None:
        assert sorted(outcome.files) == sorted(attack.fields["files"].split()), told
    for name, data in (outcome.files or {}).items():
        assert attack.fields.get("never", "\0never").encode() not in data, f"{name}; {told}"


def groups_of(attacks):
    """Attacks in groups that fit into one setup script each."""
    return [attacks[i:i + 12] for i in range(0, len(attacks), 12)]


ATTACKS = attack_header.all_attacks()
