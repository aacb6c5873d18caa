"""What no sandbox may change or learn: the host, watched while hostile programs run."""
import glob
import os
import pathlib
import re
import socket
import subprocess
import time

import host
from client import unique_name
from server import state_directory

# A run that gets through often shows here first.
KERNEL_FAULT = re.compile(r"WARNING: CPU|BUG: |kernel BUG|Oops|KASAN|UBSAN|refcount_t|"
                          r"general protection fault, |stack-protector|double free|list_(add|del) "
                          r"corruption|Kernel panic")
SYSCTLS = ("kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/domainname",
           "kernel/pid_max", "kernel/sysrq", "kernel/randomize_va_space", "kernel/hotplug",
           "kernel/io_uring_disabled", "kernel/perf_event_paranoid", "kernel/dmesg_restrict",
           "kernel/msgmax", "kernel/shmmax", "kernel/threads-max", "kernel/printk",
           "kernel/unprivileged_bpf_disabled", "vm/overcommit_memory", "vm/mmap_min_addr",
           "vm/nr_hugepages", "vm/panic_on_oom", "fs/file-max", "fs/suid_dumpable",
           "fs/binfmt_misc/status", "fs/protected_hardlinks",
           "user/max_user_namespaces")
OTHERS_MOUNT_IN = ("/run/netns/", "/tmp/", "/work/", "/var/tmp/", "/dev/shm/", "/mnt/")
FIRST_SANDBOX_ID = 0x70000000  # of the host ids that sandboxes, zygotes and nests have
CLOCK_SLACK_SECONDS = 2.0


def read(path):
    """The text of a file, or None."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return None


def interfaces():
    """The host's network interfaces but those of sandboxes with networks."""
    return sorted(name for name in os.listdir("/sys/class/net") if not name.startswith("dunlin"))


def mounts_of_the_machine():
    """The host's mount table without what tests mount beside this one."""
    return [line for line in host.mounts(1)
            if "dunlin" not in line and not line.split()[4].startswith(OTHERS_MOUNT_IN)]


def keys_of_sandboxes():
    """Lines of /proc/key-users of ids that sandboxes have."""
    lines = (read("/proc/key-users") or "").splitlines()
    return [line for line in lines if int(line.split(":")[0]) >= FIRST_SANDBOX_ID]


def objects_of_sandboxes():
    """Lines of the host's System V objects whose owner or creator is a sandbox's id."""
    found = []
    for kind, first in (("shm", 7), ("msg", 7), ("sem", 4)):
        for line in (read(f"/proc/sysvipc/{kind}") or "").splitlines()[1:]:
            if any(int(word) >= FIRST_SANDBOX_ID for word in line.split()[first:first + 4]):
                found.append(line)
    return found


def files_of(directory):
    """Every file below a directory, with what would show that it was changed."""
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            status = os.lstat(path)
            found[path] = (status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns)
    return found


class KernelLog:
    """The kernel's messages from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def faults(self):
        """The new messages that tell of a fault in the kernel."""
        found = []
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue  # messages were overwritten before they were read
            if KERNEL_FAULT.search(line):
                found.append(line)

    def close(self):
        """Ends the reading."""
        os.close(self.fd)


class HostWatch:
    """Remembers the host; check() insists that it is unchanged and that the server is well.

    canary: a file of the host that anybody may read, and nobody in a sandbox may reach.
    """

    def __init__(self, server):
        self.server = server
        self.directory = state_directory("watch")
        self.canary = self.directory / "canary"
        self.secret = unique_name("secret")
        self.canary.write_text(self.secret)
        self.canary.chmod(0o666)
        self.log = KernelLog()
        self.main = [server.pid, server.spawner.pid, server.http_process.pid]
        self.store = files_of(server.data / "store")
        self.before = self.look()

    def look(self):
        """Everything that must stay as it is."""
        return {
            "canary": (self.canary.read_text(), sorted(os.listdir(self.directory))),
            "sysctls": {name: read(f"/proc/sys/{name}") for name in SYSCTLS},
            "host name": (socket.gethostname(), os.uname()),
            "clock": round((time.time() - time.monotonic()) / CLOCK_SLACK_SECONDS),
            "interfaces": interfaces(),
            "mounts": mounts_of_the_machine(),
            "release agents": {path: read(path)
                               for path in glob.glob("/sys/fs/cgroup/*/release_agent")},
            "System V objects": objects_of_sandboxes(),
            "keys": keys_of_sandboxes(),
            "swap": read("/proc/swaps"),
            "modules": read("/proc/modules"),
            "accounting": read("/proc/sys/kernel/acct"),
        }

    def check(self):
        """Nothing has changed, the kernel has complained of nothing, the server answers."""
        now = self.look()
        if abs(now["clock"] - self.before["clock"]) <= 1:
            now["clock"] = self.before["clock"]  # it is rounded
        changed = {name: (self.before[name], now[name]) for name in now
                   if now[name] != self.before[name]}
        assert not changed, f"the host has changed: {changed}"
        faults = self.log.faults()
        assert not faults, f"the kernel says: {faults}"
        assert self.server.health() == 200
        alive = [pid for pid in self.main if host.process(pid) is not None]
        assert alive == self.main, "a process of the server was replaced"

    def check_store(self):
        """The files that sandboxes execute from are as they were (takes 0.1 s)."""
        now = files_of(self.server.data / "store")
        changed = [path for path in self.store if now.get(path) != self.store[path]]
        assert not changed, f"system files were changed: {changed[:5]}"

    def close(self):
        """Removes the canary."""
        self.log.close()
        subprocess.run(["rm", "-rf", str(self.directory)], check=True)
