"""What is measured of the server, from outside, as root: the gauges and their limits.

Only /proc, /sys and the sizes of files are read; the server is not asked.
"""
import os
import re
from dataclasses import dataclass

import host
import procfs

SLAB_CACHES = ("dentry", "mnt_cache", "net_namespace", "pid_namespace", "kernfs_node_cache",
               "inode_cache", "proc_inode_cache", "shmem_inode_cache", "ext4_inode_cache", "filp",
               "task_struct", "cred_jar", "sock_inode_cache", "user_namespace")
NAMESPACES = host.NAMESPACES
MEMORY = ("Rss", "Pss", "Anonymous")  # of smaps_rollup
TCP_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Gauge:
    """One figure of a sample.

    per_hour: growth per hour that is allowed, in its own unit; share: the same as a share of its
    median, whichever is more; None: shown and not judged.  rest: how much more than before the
    load there may be when all is quiet after it; None: not judged.
    """

    name: str
    unit: str
    panel: str
    per_hour: float = None
    share: float = 0.0
    rest: float = None


GAUGES = (
    Gauge("server_rss", "KiB", "memory of the server", 4096, 0.10, 16384),
    Gauge("server_pss", "KiB", "memory of the server", 4096, 0.10),
    Gauge("server_anonymous", "KiB", "memory of the server", 4096, 0.10),
    Gauge("spawner_rss", "KiB", "memory of spawner and builder", 256, 0.10, 512),
    Gauge("spawner_pss", "KiB", "memory of spawner and builder", 256, 0.10),
    Gauge("builder_rss", "KiB", "memory of spawner and builder", 128, 0.10, 128),
    Gauge("builder_pss", "KiB", "memory of spawner and builder", 128, 0.10),
    Gauge("zygote_rss", "KiB", "memory of the zygote", 2048, 0.05),
    Gauge("zygote_pss", "KiB", "memory of the zygote", 4096, 0.15),
    Gauge("server_descriptors", "", "descriptors", 5, 0.10, 2),
    Gauge("spawner_descriptors", "", "descriptors", 5, 0.10, 2),
    Gauge("spawner_group_descriptors", "", "control groups", 20, 0.05),
    Gauge("builder_descriptors", "", "descriptors", 2, 0.10, 2),
    Gauge("server_connections", "", "descriptors", 2, 0.10, 0),
    Gauge("server_deleted_open", "", "descriptors", 1, 0.10, 0),
    Gauge("spawner_deleted_open", "", "descriptors", 1, 0.10, 0),
    Gauge("inotify", "", "descriptors", 1, 0.10, 0),
    Gauge("server_threads", "", "processes and threads", 0.5, 0, 0),
    Gauge("processes", "", "processes and threads", 5, 0.10, 4),
    Gauge("threads", "", "processes and threads", 5, 0.10, 8),
    Gauge("orphans", "", "processes and threads", 1, 0, 0),
    Gauge("zombies", "", "processes and threads", 2, 0, 0),
    Gauge("cgroups", "", "control groups", 5, 0.05),
    Gauge("kernel_memory_cgroups", "", "control groups", 10, 0.05),
    Gauge("spawner_mounts", "", "mounts and loop devices", 1, 0.10, 0),
    Gauge("loop_devices", "", "mounts and loop devices", 1, 0.10, 0),
    *(Gauge(f"{kind}_namespaces", "", "namespaces", 5, 0.10, 2) for kind in NAMESPACES),
    Gauge("kernel_net_namespaces", "", "namespaces", 10, 0.20),
    Gauge("slab_unreclaimable", "KiB", "kernel memory", 8192, 0.10),
    Gauge("slab_reclaimable", "KiB", "kernel memory"),
    Gauge("percpu", "KiB", "kernel memory", 2048, 0.10),
    Gauge("kernel_stack", "KiB", "kernel memory", 512, 0.10),
    Gauge("page_tables", "KiB", "kernel memory", 2048, 0.10),
    Gauge("vmalloc", "KiB", "kernel memory", 2048, 0.10),
    Gauge("cgroup_memory", "KiB", "memory of the control group"),
    Gauge("cgroup_kernel_memory", "KiB", "memory of the control group", 8192, 0.10),
    Gauge("data_disk", "KiB", "disk of the data directory", 4096, 0.05, 2048),
    Gauge("layers_disk", "KiB", "disk of the data directory", 2048, 0.05, 0),
    Gauge("workspaces_disk", "KiB", "disk of the data directory", 4096, 0.10, 0),
    Gauge("data_files", "", "files of the data directory", 10, 0.02, 2),
    Gauge("database", "KiB", "database", 256, 0.05),
    Gauge("database_wal", "KiB", "database", 256, 0.05),
    Gauge("build_logs", "KiB", "database", 64, 0.10, 0),
    Gauge("open_files", "", "kernel tables", 100, 0.10),
    Gauge("tcp_sockets", "", "kernel tables", 10, 0.10),
    *(Gauge(f"slab_{name}", "objects", "slab objects") for name in SLAB_CACHES),
)


class Sampler:
    """Takes samples of one server.  server: tests/server.py's Server; data: its directory."""

    def __init__(self, server):
        self._server = server
        self._spawner = server.spawner.pid
        self._http = server.http_process.pid
        self._builder = min(server.nests, key=lambda one: one.start).pid
        self._groups = procfs.own_cgroups(self._builder)

    def sample(self):
        """{gauge: figure}, all of GAUGES."""
        tree = host.tree(self._server.pid)
        found = self._of_processes(tree)
        found |= self._of_memory(tree)
        found |= self._of_groups()
        found |= of_kernel()
        found |= of_disk(self._server.data)
        found["spawner_mounts"] = len(host.mounts(self._spawner))
        found["loop_devices"] = len(loop_devices(self._server.data))
        return found

    def _of_processes(self, tree):
        found = {"processes": len(tree), "threads": sum(procfs.threads_of(p.pid) for p in tree)}
        inside = {one.pid for one in tree}
        found["orphans"] = self._orphans(inside)
        found["zombies"] = sum(one.state == "Z" for one in tree)
        for kind in NAMESPACES:
            found[f"{kind}_namespaces"] = len(procfs.namespaces_of(inside, kind))
        found["inotify"] = sum(link == "anon_inode:inotify" for one in tree
                               for link in links_of(one.pid))
        found["server_threads"] = procfs.threads_of(self._http)
        for name, pid in (("server", self._http), ("spawner", self._spawner),
                          ("builder", self._builder)):
            links = links_of(pid)
            groups = sum(link.startswith(host.CGROUP_ROOT) for link in links)
            found[f"{name}_descriptors"] = len(links) - groups
            if name == "spawner":
                found["spawner_group_descriptors"] = groups
            if name == "server":
                found["server_connections"] = connections(links)
            found[f"{name}_deleted_open"] = sum(link.endswith("(deleted)") for link in links)
        del found["builder_deleted_open"]
        return found

    def _of_memory(self, tree):
        zygotes = [one.pid for one in tree if one.parent == self._builder and is_zygote(one)]
        found = {}
        for name, pids in (("server", [self._http]), ("spawner", [self._spawner]),
                           ("builder", [self._builder]), ("zygote", zygotes)):
            memory = max((rollup(pid) for pid in pids), key=lambda one: one["Rss"],
                         default=dict.fromkeys(MEMORY, 0))
            found[f"{name}_rss"], found[f"{name}_pss"] = memory["Rss"], memory["Pss"]
            if name == "server":
                found["server_anonymous"] = memory["Anonymous"]
        return found

    def _orphans(self, tree):
        """How many processes are in our control groups and no descendants of the server's."""
        suspects = self._members() - tree
        suspects -= {one.pid for one in host.tree(self._server.pid)}
        return len(suspects & self._members())

    def _members(self):
        """The pids of everything that lives in our control groups."""
        found = set()
        for group in self._groups:
            for place, _, _ in os.walk(group):
                found.update(map(int, procfs.read_text(f"{place}/cgroup.procs").split()))
        return {pid for pid in found if (one := host.process(pid)) and one.state not in "ZX"}

    def _of_groups(self):
        usage = procfs.cgroup_usage([self._builder])
        return {"cgroups": host.group_count(self._groups),
                "kernel_memory_cgroups": procfs.count_kernel_cgroups(),
                "cgroup_memory": usage["usage"], "cgroup_kernel_memory": usage["kernel"]}


def rollup(pid):
    """Rss, Pss and Anonymous of a process in KiB; 0 when it is gone."""
    text = procfs.read_text(f"/proc/{pid}/smaps_rollup")
    return {name: int(match[1]) if (match := re.search(rf"^{name}:\s+(\d+)", text, re.M)) else 0
            for name in MEMORY}


def is_zygote(one):
    """Whether a Python child of a builder stands in no sandbox, as those that wait for a run do."""
    inside = host.namespace(one.pid, "pid")
    return (one.comm.startswith("python") and inside is not None
            and inside == host.namespace(one.pid, "pid_for_children"))


def links_of(pid):
    """What the descriptors of a process lead to."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []
    return [procfs.read_link(f"/proc/{pid}/fd/{name}") for name in names]


def connections(links):
    """How many of these descriptors are TCP sockets."""
    inodes = {line.split()[9] for path in TCP_TABLES
              for line in procfs.read_text(path).splitlines()[1:]}
    return sum(link.removeprefix("socket:[").rstrip("]") in inodes for link in links)


def loop_devices(data):
    """The loop devices whose file lies in the data directory."""
    found = []
    for name in os.listdir("/sys/block"):
        if name.startswith("loop"):
            file = procfs.read_text(f"/sys/block/{name}/loop/backing_file").strip()
            if file.startswith(str(data)):
                found.append(name)
    return found


def of_kernel():
    """Gauges of the whole machine."""
    memory = {name: int(kb) for name, kb in
              re.findall(r"^(\w+):\s+(\d+) kB", procfs.read_text("/proc/meminfo"), re.M)}
    slab = {line.split()[0]: int(line.split()[1])
            for line in procfs.read_text("/proc/slabinfo").splitlines()[2:]}
    tcp = re.search(r"^TCP: inuse (\d+) orphan (\d+)", procfs.read_text("/proc/net/sockstat"), re.M)
    return {"slab_unreclaimable": memory["SUnreclaim"], "slab_reclaimable": memory["SReclaimable"],
            "percpu": memory["Percpu"], "kernel_stack": memory["KernelStack"],
            "page_tables": memory["PageTables"], "vmalloc": memory["VmallocUsed"],
            "open_files": int(procfs.read_text("/proc/sys/fs/file-nr").split()[0]),
            "tcp_sockets": int(tcp[1]) + int(tcp[2]),
            "kernel_net_namespaces": procfs.count_kernel_net_namespaces(),
            **{f"slab_{name}": slab.get(name, 0) for name in SLAB_CACHES}}


def of_disk(data):
    """Gauges of the data directory; sizes are blocks on the disk, in KiB."""
    sizes = {}
    count = 0
    for place, _, names in os.walk(data):
        part = os.path.relpath(place, data).split("/")[0]
        for name in names:
            try:
                blocks = os.lstat(f"{place}/{name}").st_blocks
            except OSError:
                continue
            count += 1
            key = name if name.startswith("dunlin.db") else part
            sizes[key] = sizes.get(key, 0) + blocks // 2
    logs = sizes.get("db", 0)
    return {"data_disk": sum(sizes.values()), "data_files": count,
            "layers_disk": sizes.get("layers", 0), "workspaces_disk": sizes.get("workspaces", 0),
            "database": sizes.get("dunlin.db", 0), "database_wal": sizes.get("dunlin.db-wal", 0),
            "build_logs": logs}


def cpu_seconds():
    """CPU time that the whole machine has used since boot, in seconds."""
    return procfs.busy_cpu_us() / 1e6


def cpu_seconds_of(pids):
    """CPU time of these processes, in seconds."""
    return sum(procfs.cpu_ticks_of(pid) for pid in pids) / TICKS
