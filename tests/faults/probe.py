"""The program that reports the locks it runs under, and what of that every run must have."""
import json
import os

import host

# Any Python from 3.8 on, warm or cold.  Prints one line of JSON.
SOURCE = r'''
import ctypes, json, os, resource
def text(path):
    with open(path) as f:
        return f.read()
status = dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines() if ":\t" in line)
libc = ctypes.CDLL(None, use_errno=True)
def refusal(number, *args):
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args)) < 0 else 0
def writable(place):
    try:
        os.close(os.open(place + "/.probe", os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(place + "/.probe")
        return True
    except OSError as error:
        return error.errno
mounts = []
for line in text("/proc/self/mountinfo").splitlines():
    before, after = line.split(" - ")
    mounts.append([before.split()[4], before.split()[5], after.split()[0],
                   sorted(o for o in after.split()[2].split(",") if o[:4] in ("size", "nr_i", "hide", "subs", "ro", "rw"))])
found = {name: status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
         "NoNewPrivs", "Seccomp", "Seccomp_filters", "Uid", "Gid", "Groups", "SigIgn", "SigBlk",
         "Umask") if name in status}
found["maps"] = [[line.split()[0::2] for line in text("/proc/self/" + f).splitlines()] for f in ("uid_map", "gid_map")]
found["slot"] = (int(text("/proc/self/uid_map").split()[-2]) - 1001) // 2
found["setgroups"] = text("/proc/self/setgroups").strip()
found["namespaces"] = {n: os.readlink("/proc/self/ns/" + n) for n in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")}
found["groups"] = sorted(line.split(":", 1)[1] for line in text("/proc/self/cgroup").splitlines()
                         if set(line.split(":")[1].split(",")) & {"memory", "cpu", "cpuacct", "pids", ""})
found["rlimits"] = {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")}
found["mounts"] = mounts
found["pids"] = sorted(int(n) for n in os.listdir("/proc") if n.isdigit())
found["fds"] = sorted(os.readlink("/proc/self/fd/" + n).split(":")[0] for n in ("0", "1", "2"))
found["count"] = len(os.listdir("/proc/self/fd"))
found["hostname"] = os.uname().nodename
found["loopback"] = text("/proc/self/net/dev").count(":") if os.path.exists("/proc/self/net/dev") else None
found["priority"] = os.getpriority(os.PRIO_PROCESS, 0)
found["securebits"] = libc.prctl(27, 0, 0, 0, 0)
found["dumpable"] = libc.prctl(3, 0, 0, 0, 0)
found["session"] = os.getsid(0) == os.getpid()
found["refused"] = {n: refusal(n, *a) for n, a in ((272, (0x10000000,)), (165, (0, 0, 0, 0, 0)), (101, (0, 0, 0, 0)), (298, (0, 0, -1, -1, 0)))}
found["writable"] = {p: writable(p) for p in ("/", "/usr", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/var", "/etc", ".")}
def device_control():
    try:
        fd = os.open("/tmp/.fifo", os.O_RDWR) if not os.mkfifo("/tmp/.fifo") else -1
    except OSError as error:
        return error.errno
    os.close(fd)
    os.unlink("/tmp/.fifo")
    return 0
found["fifo"] = device_control()
layers = 0
attr = (ctypes.c_uint64 * 1)(1 << 1)
while layers < 20:
    fd = libc.syscall(444, ctypes.byref(attr), ctypes.c_long(8), ctypes.c_long(0))
    if fd < 0 or libc.syscall(446, ctypes.c_long(fd), ctypes.c_long(0)) < 0:
        break
    os.close(fd)
    layers += 1
found["landlock"] = [layers, ctypes.get_errno()]
found["cwd"] = os.getcwd()
print(json.dumps(found))
'''

# The same in every healthy run of one kind; namespaces and the slot's number differ.
VARYING = ("namespaces", "slot", "count")
HOST = {kind: host.namespace("self", kind) for kind in host.NAMESPACES}


def normal(found):
    """What must be equal in every run of this kind."""
    return {name: value for name, value in found.items() if name not in VARYING}


def missing_locks(found, healthy):
    """What a run lacks, as a list of sentences; both as the probe printed them."""
    lacks = [f"the host's {kind} namespace" for kind, one in found["namespaces"].items()
             if one == HOST[kind]]
    mine, right = normal(found), normal(healthy)
    lacks += [f"{name}: {mine.get(name)} instead of {right.get(name)}"
              for name in right if mine.get(name) != right[name]]
    return lacks


# File of a group: what must be in it, as a function of the limits (bytes, CPU, processes).
GROUP_FILES = {
    "memory/{}/memory.limit_in_bytes": lambda limits: limits["memory"],
    "pids/{}/pids.max": lambda limits: limits["processes"],
    "cpu/{}/cpu.cfs_quota_us": lambda limits: int(100000 * limits["cpu"]),
}
DEFAULTS = {"memory": 512 << 20, "processes": 64, "cpu": 1}


def missing_limits(base, slot, limits):
    """What the group of a slot lacks, seen from outside (version 1); base: the instance's group."""
    lacks = []
    for name, value in GROUP_FILES.items():
        path = os.path.join(host.CGROUP_ROOT, name.format(f"{base}/s{slot}"))
        with open(path, encoding="ascii") as f:
            there = f.read().strip()
        if there != str(value({**DEFAULTS, **limits})):
            lacks.append(f"{path}: {there}")
    return lacks


def read(stdout):
    """What the probe printed."""
    return json.loads(stdout.strip().splitlines()[-1])
