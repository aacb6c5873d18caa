"""What the bench drivers share: the programs they run, the server they start, and the report.

Standard library only.  A driver is a file without extension beside this one; it measures, and a
Report prints its tables and writes its JSON.
"""

import argparse
import array
import contextlib
import datetime
import http.client
import json
import math
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import procfs

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("DUNLIN_BUILD", ROOT / "build"))
DIST = Path(os.environ.get("DUNLIN_DIST", BUILD / "dist"))
RESULTS = ROOT / "bench" / "results"

# Controls and server see no PYTHON* variable, no setting and no API key of whoever benches.
ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}

PORTS = range(18000, 20000)
HELLO = "print('Hello, World!')"
HELLO_EXPECTED = ('"success":true', '"stdout":"Hello, World!\\n"')
START_TIMEOUT_S = 120  # the very first start copies system files
BUSY_LOAD = 0.7  # load average above which something else evidently runs
IDLE_TICKS = 5  # of 10 ms: what an idle server may use while we watch that it is idle
QUANTILES = (("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


class BenchError(Exception):
    """Something that makes the figures worthless; the driver ends with its text."""


class Samples:
    """Latencies in microseconds, of one or several runs of bench/load or bench/control."""

    def __init__(self):
        self.us = array.array("I")
        self._sorted = True

    def add_file(self, path):
        """Add the samples a program wrote."""
        with open(path, "rb") as f:
            self.us.frombytes(f.read())
        self._sorted = False

    def add(self, us):
        """Add one sample."""
        self.us.append(us)
        self._sorted = False

    def quantile(self, q):
        """Return the smallest sample that a share `q` of all does not exceed, in microseconds."""
        if not self._sorted:
            self.us = array.array("I", sorted(self.us))
            self._sorted = True
        if not self.us:
            raise BenchError("no request was answered rightly: there is nothing to report")
        return self.us[max(0, math.ceil(len(self.us) * q) - 1)]

    def summary(self):
        """Return {"count", "min", "p50", "p90", "p99", "max"}."""
        return {"count": len(self.us)} | {name: self.quantile(q) for name, q in QUANTILES}


def _run_program(name, arguments, samples):
    """Run bench/load or bench/control; add its samples; return its own report."""
    program = BUILD / "bench" / name
    if not program.exists():
        raise BenchError(f"{program} is missing: run tools/dev build first")
    with tempfile.NamedTemporaryFile(prefix="dunlin-bench-") as raw:
        command = [str(program), *map(str, arguments), "--samples", raw.name]
        done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise BenchError(f"bench/{name} failed: {' '.join(command)}")
        if samples is not None:
            samples.add_file(raw.name)
    return json.loads(done.stdout)


def run_control(kind, samples=None, **options):
    """Run bench/control.  `options` are its flags (runners, count, duration, memory_mb)."""
    return _run_program("control", [kind, *flags(options)], samples)


def flags(options):
    """Turn {"memory_mb": 20} into ["--memory-mb", 20]; None values are left out."""
    found = []
    for name, value in options.items():
        if value is not None:
            found += ["--" + name.replace("_", "-"), value]
    return found


class Job:
    """A request for bench/load to send: a JSON body in a file, and what its answer must hold."""

    def __init__(self, directory, name, fields, expected=HELLO_EXPECTED, path="/execute"):
        self.fields = fields
        self.path = path
        self.expected = expected
        self.file = None
        if fields is not None:
            self.file = Path(directory) / f"{name}.json"
            self.file.write_text(json.dumps(fields), encoding="utf-8")

    def arguments(self):
        """Return the flags that tell bench/load about it."""
        found = flags({"path": self.path, "body": self.file})
        for text in self.expected:
            found += ["--expect", text]
        return found


class Target:
    """A server to measure: its address, and when it is our own its processes too."""

    def __init__(self, url, token=None):
        parts = urllib.parse.urlsplit(url)
        self.host = socket.gethostbyname(parts.hostname)
        self.port = parts.port or 80
        self.token = token
        self.pid = None

    def request(self, method, path, fields=None, timeout=60):
        """Send one request on a new connection; return the status and the decoded body."""
        headers = {"Content-Type": "application/json"} if fields is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        with contextlib.closing(connection):
            body = json.dumps(fields) if fields is not None else None
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def isolation(self):
        """Run hello world once; return what the answer says was in force."""
        status, answer = self.request("POST", "/execute", {"code": HELLO})
        if status != 200 or answer.get("stdout") != "Hello, World!\n":
            raise BenchError(f"hello world got {status}: {answer}")
        return answer.get("isolation")

    def load(self, job, samples=None, **options):
        """Run bench/load against it; an answer that is wrong ends the bench."""
        address = flags({"host": self.host, "port": self.port, "token": self.token})
        report = _run_program("load", address + job.arguments() + flags(options), samples)
        if report["errors"]:
            raise BenchError(
                f"{report['errors']} of {report['errors'] + report['done']} requests failed "
                f"{report['errors_by_kind']}; the first: {report['first_bad']}"
            )
        return report


class Server(Target):
    """Our own `dunlin serve`, started on a free port, ended by SIGTERM when the block is left."""

    def __init__(self, data, **settings):
        self.log = Path(data) / "serve.log"
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        program = DIST / "bin" / "dunlin"
        if not program.exists():
            raise BenchError(f"{program} is missing: run tools/dev build first")
        if os.geteuid() != 0:
            raise BenchError("the bench starts a server with full isolation: run it as root")
        self._command = [str(program), "serve", *map(str, flags(
            {"host": "127.0.0.1", "port": port, "data": Path(data) / "data"} | settings))]
        self._process = None
        self.seconds_to_healthy = None

    def __enter__(self):
        began = time.monotonic()
        # The folder matters: a .env file in the working directory would be read.
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._command, env=ENVIRONMENT, cwd=self.log.parent,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self._process.pid
        try:
            self._wait_until_healthy(began)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_healthy(self, began):
        while time.monotonic() - began < START_TIMEOUT_S:
            if self._process.poll() is not None:
                break
            try:
                if self.request("GET", "/health", timeout=5)[0] == 200:
                    self.seconds_to_healthy = time.monotonic() - began
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.002)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise BenchError(f"the server did not become healthy: {' '.join(self._command)}\n{tail}")

    def stop(self):
        """End it; a server that does not end in time is killed, and the bench fails."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise BenchError("the server did not end within 30 s of SIGTERM") from None

    def processes(self):
        """Return the pids of everything that belongs to it."""
        return procfs.tree(self.pid)

    def _of_host(self, program):
        ours = procfs.read_link("/proc/self/ns/pid")
        return [pid for pid in self.processes() if procfs.program_of(pid) == program
                and procfs.read_link(f"/proc/{pid}/ns/pid") == ours]

    def server_pid(self):
        """Return the pid of the unprivileged process that speaks HTTP."""
        found = self._of_host("dunlin")
        if not found:
            raise BenchError("no process named dunlin belongs to the server")
        return max(found, key=lambda pid: procfs.memory_of(pid)["Rss"])

    def spawner_pid(self):
        """Return the pid of the privileged process: the first one, its children are helpers."""
        found = self._of_host("dunlin-spawner")
        if not found:
            raise BenchError("no process named dunlin-spawner belongs to the server")
        return found[0]

    def wait_until_settled(self, timeout=60, quiet=2.0):
        """Wait until its processes have neither changed nor worked for `quiet` seconds."""
        deadline = time.monotonic() + timeout
        last, ticks_then, since = None, 0, 0.0
        while time.monotonic() < deadline:
            now = self.processes()
            ticks = sum(procfs.cpu_ticks_of(pid) for pid in now)
            if now != last or ticks - ticks_then > IDLE_TICKS:
                last, ticks_then, since = now, ticks, time.monotonic()
            elif time.monotonic() - since >= quiet:
                return
            time.sleep(0.2)
        raise BenchError(f"the pool was still changing after {timeout} s")


def free_port():
    """Return a port of our range that nobody listens on."""
    first = PORTS.start + os.getpid() % len(PORTS)
    for offset in range(len(PORTS)):
        port = PORTS.start + (first - PORTS.start + offset) % len(PORTS)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                return port
    raise BenchError("no free port")


@contextlib.contextmanager
def work_directory():
    """Give a directory for bodies, logs and the server's data, and remove it afterwards."""
    path = tempfile.mkdtemp(prefix="dunlin-bench-")
    os.chmod(path, 0o755)  # the server is not root and has to reach its data
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def server_for(args, work, **settings):
    """Give the server named by --url, or one of our own with these settings."""
    if args.url:
        yield Target(args.url, args.token)
    else:
        with Server(work, **settings) as server:
            yield server


def machine():
    """Describe the machine in a few words each."""
    info = procfs.read_text("/proc/cpuinfo")
    models = [line.split(":", 1)[1].strip() for line in info.splitlines()
              if line.startswith("model name")]
    total_kb = int(procfs.read_text("/proc/meminfo").split()[1])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(total_kb / 1024 / 1024, 1),
        "kernel": platform.release(),
        "system": system,
        "virtual": " hypervisor" in info,
        "load_before": os.getloadavg()[0],
    }


def machine_line(info):
    """Say the same in one line."""
    kind = "virtual machine, " if info["virtual"] else ""
    return (f"{kind}{info['cpus']} × {info['cpu']}, {info['memory_gib']} GiB, "
            f"Linux {info['kernel']}, {info['system']}; load {info['load_before']:.2f} before")


def isolation_line(isolation):
    """Say in one line what isolation an answer named."""
    if not isolation:
        return "the answer names none"
    texts = {key: " ".join(value) if isinstance(value, list) else value
             for key, value in isolation.items()}
    return ", ".join(f"{key} {text}" for key, text in texts.items())


def ms(us):
    """Format microseconds as milliseconds with three digits that mean something."""
    value = us / 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


class Report:
    """Collects tables, targets and notes; prints them as they come and writes them as JSON."""

    def __init__(self, name, args):
        self._result_file = args.result
        self._date = datetime.datetime.now().astimezone()
        self.data = {"name": name, "date": self._date.isoformat(timespec="seconds"),
                     "machine": machine(), "isolation": None, "tables": [], "targets": [],
                     "notes": [], "raw": {}}
        print(f"{name}: {machine_line(self.data['machine'])}", flush=True)
        load = self.data["machine"]["load_before"]
        if load > BUSY_LOAD:
            self.note(f"the machine was busy before the start, load {load:.1f}: figures are worse")

    def isolation(self, isolation):
        """Record what was in force around the runs, and say it once."""
        if isolation == self.data["isolation"]:
            return
        self.data["isolation"] = isolation
        if isolation and not isolation.get("warm", True):
            self.note("hello world was not forked from a warm zygote")
        print(f"isolation: {isolation_line(isolation)}", flush=True)

    def table(self, title, header, rows):
        """Print a table: the first column to the left, the others to the right."""
        rows = [[str(cell) for cell in row] for row in rows]
        self.data["tables"].append({"title": title, "header": list(header), "rows": rows})
        widths = [max(map(len, column)) for column in zip(header, *rows)]
        print(f"\n{title}")
        for row in [header, *rows]:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            print("  " + "  ".join(cells).rstrip())
        sys.stdout.flush()

    def target(self, text, measured, is_met):
        """Record whether a promised figure was reached."""
        self.data["targets"].append({"target": text, "measured": measured, "met": bool(is_met)})

    def note(self, text):
        """Record and print a remark."""
        self.data["notes"].append(text)
        print(f"note: {text}", flush=True)

    def raw(self, key, value):
        """Keep a value in the JSON only."""
        self.data["raw"][key] = value

    def finish(self):
        """Print the targets, write the JSON, and say where it is."""
        if self.data["targets"]:
            print("\ntargets")
        for target in self.data["targets"]:
            verdict = "met" if target["met"] else "MISSED"
            print(f"  {verdict:6}  {target['target']}: {target['measured']}")
        path = self._result_file
        if not path:
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"{self.data['name']}-{self._date:%Y%m%d-%H%M%S}.json"
        text = json.dumps(self.data, indent=2, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")
        print(f"\nwritten: {path}", flush=True)


LATENCY_HEADER = ("ms", "runs", "min", "p50", "p90", "p99", "max", "p50 to control")


def latency_row(name, samples, control):
    """Return a row for LATENCY_HEADER; `control` are the samples to compare with."""
    s = samples.summary()
    ratio = s["p50"] / control.quantile(0.5)
    text = f"1/{1 / ratio:.1f}" if ratio < 1 else f"{ratio:.1f}"
    return [name, s["count"], *(ms(s[q]) for q in ("min", "p50", "p90", "p99", "max")), text]


def parser(description):
    """Return the argument parser with what every driver understands."""
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--url", help="measure this running server instead of one of our own")
    p.add_argument("--token", help="API key for --url")
    p.add_argument("--quick", action="store_true", help="a tenth of the time: does it work at all")
    p.add_argument("--result", metavar="FILE", help="write the JSON here")
    return p


def main(name, measure, p):
    """Run a driver: parse, measure, report; an error is one line and status 1."""
    args = p.parse_args()
    try:
        report = Report(name, args)
        with work_directory() as work:
            measure(args, report, work)
        report.finish()
    except BenchError as error:
        sys.exit(f"bench/{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"bench/{name}: interrupted")
