"""What the tests see of a server from outside, as root: processes, mounts, groups, namespaces."""
import contextlib
import glob
import os
import pathlib
import shutil
import signal
import subprocess
from dataclasses import dataclass

CGROUP_ROOT = "/sys/fs/cgroup"
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
# Places where a program might leave something; what the tests themselves make is left out.
SHARED_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/run/netns")
OWN_PREFIX = "dunlin-test-"
OTHER_PREFIXES = (OWN_PREFIX, "dunlin-bench-")


@dataclass(frozen=True)
class Process:
    """A process; `start` (in ticks since boot) tells it from a later one with the same pid."""

    pid: int
    start: int
    parent: int
    comm: str
    state: str

    @property
    def key(self):
        """What names this process for ever."""
        return (self.pid, self.start)


def read(pid, name):
    """The bytes of /proc/PID/NAME; b"" when the process is gone.  What may not be read raises."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def process(pid):
    """The Process with this pid, or None if there is none."""
    text = read(pid, "stat").decode(errors="replace")
    if not text:
        return None
    comm = text[text.index("(") + 1:text.rindex(")")]
    fields = text[text.rindex(")") + 2:].split()
    return Process(int(pid), int(fields[19]), int(fields[1]), comm, fields[0])


def processes():
    """All processes of the machine."""
    found = (process(name) for name in os.listdir("/proc") if name.isdigit())
    return [one for one in found if one is not None]


def tree(root):
    """The process `root` and everything below it, parents first."""
    children = {}
    everything = processes()
    for one in everything:
        children.setdefault(one.parent, []).append(one)
    found = [one for one in everything if one.pid == root]
    for one in found:
        found.extend(children.get(one.pid, []))
    return found


def is_alive(one):
    """Whether this very process still runs (a zombie does not)."""
    now = process(one.pid)
    return now is not None and now.start == one.start and now.state not in "ZX"


def named(comm):
    """All living processes of the machine with this comm."""
    return [one for one in processes() if one.comm == comm and one.state not in "ZX"]


def kill(one, number=signal.SIGKILL):
    """Signals exactly this process: a recycled pid is never hit."""
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return
    try:
        now = process(one.pid)
        if now is not None and now.start == one.start:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def status(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict((part.strip() for part in line.split(":", 1)) for line in lines)


def host_uid(pid):
    """The four user ids of a process, as this namespace sees them."""
    return [int(number) for number in status(pid)["Uid"].split()]


def namespace(pid, kind):
    """The identity of a namespace of a process, like "net:[4026531840]"; None if it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


def descriptor_count(pid):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors(pid):
    """What the descriptors of a process are open on, as /proc says it; empty when it is gone."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def resident_kb(pid):
    """The resident memory of a process in KiB."""
    return int(status(pid)["VmRSS"].split()[0])


def mounts(pid="self"):
    """The lines of a process's mount table."""
    try:
        return pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return []


def group_roots(pids):
    """The topmost cgroup directories called dunlin* that any of the processes is in."""
    roots = set()
    for pid in pids:
        try:
            lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            _, controllers, path = line.split(":", 2)
            parts = path.strip("/").split("/")
            own = [i for i, part in enumerate(parts) if part.startswith("dunlin")]
            if own:
                roots.add((controllers, "/".join(parts[:own[0] + 1])))
    return {directory for controllers, path in roots
            for directory in group_directories(controllers, path)}


def group_directories(controllers, path):
    """Where a cgroup of these controllers may be mounted here (version 1, hybrid or 2)."""
    mounted = controllers.removeprefix("name=") or "unified"
    places = (f"{CGROUP_ROOT}/{mounted}/{path}", f"{CGROUP_ROOT}/{path}")
    return [place for place in places if os.path.isdir(place)]


def group_count(roots):
    """How many cgroups there are at and below these directories."""
    return sum(1 for root in roots for _ in os.walk(root))


def shared_names():
    """Everything called dunlin* in the machine's shared directories, except the tests' and benches' own."""
    found = [name for place in SHARED_DIRECTORIES for name in glob.glob(f"{place}/*dunlin*")]
    return {name for name in found if not os.path.basename(name).startswith(OTHER_PREFIXES)}


def ipc_objects():
    """The machine's System V objects and POSIX shared memory, by name."""
    found = {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")
             if not name.startswith(OTHER_PREFIXES)}
    for kind in ("shm", "msg", "sem"):
        for line in pathlib.Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
            found.add(f"{kind} {line.split()[0]} {line.split()[1]}")
    return found


def files_below(directory):
    """The names of everything below a directory, relative to it."""
    found = set()
    for place, directories, files in os.walk(directory):
        found.update(os.path.relpath(os.path.join(place, name), directory)
                     for name in directories + files)
    return found


def instance(data):
    """The number that the spawner names what belongs to this data directory by (FNV-1a)."""
    number = 0xcbf29ce484222325
    for byte in os.fsencode(data):
        number = (number ^ byte) * 0x100000001b3 % 2**64
    return number


def session(pid):
    """The number of a process's session; None if it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def members(data, sessions=()):
    """The living processes in the cgroups of the instance with this data directory, and those of
    the sessions with these numbers."""
    word = f"dunlin-{instance(data):016x}"
    found = []
    for one in processes():
        groups = read(one.pid, "cgroup").decode()
        if one.state not in "ZX" and (word in groups or session(one.pid) in sessions):
            found.append(one)
    return found


def network_traces(data):
    """What a network of the instance with this data directory leaves on the host: links, routes and
    the table of its filter."""
    number = instance(data)
    words = (f"dunlin{number >> 40:06x}", f"metric {number % 2**32 | 2**31} ",
             f"dunlin_{number:016x}")
    found = []
    for command in (["ip", "-o", "link"], ["ip", "route"], ["nft", "list", "tables"]):
        if shutil.which(command[0]):
            output = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout
            found += [line for line in output.splitlines() if any(w in line for w in words)]
    return found
