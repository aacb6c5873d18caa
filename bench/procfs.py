"""What the kernel says about a running Dunlin: its processes, their memory, and what they hold.

Read as root, from /proc and /sys/fs/cgroup only.  Everything here is a snapshot: a process that
ends while it is being read counts as absent.
"""

import ctypes
import os
import platform
import re

CGROUP_ROOT = "/sys/fs/cgroup"
CGROUP_PREFIX = "dunlin"

# Kernel memory that grows with processes and namespaces and belongs to no process's PSS.  Shmem is
# the contents of tmpfs: workspaces, and mappings that are counted in PSS too, which errs upwards.
# Slab counts without the caches of file systems on disks: sandboxes write to tmpfs only, and those
# grow with whatever else reads files on this machine.
KERNEL_FIELDS = ("Slab", "KernelStack", "PageTables", "Percpu", "Shmem")


DISK_CACHES = re.compile(r"(ext[24]|jbd2|xfs|btrfs|fat|isofs)_|buffer_head$")

KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())  # kcmp(2) has no function in libc
KCMP_VM = 1
_libc = ctypes.CDLL(None, use_errno=True)


def read_text(path):
    """Return the text of a file, or "" when it cannot be read (any more)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def read_link(path):
    """Return where a symbolic link points, or "" when it cannot be read (any more)."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def all_pids():
    """Return the numbers of all processes that are visible here."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat_fields(pid):
    # The command name stands in brackets and may itself hold brackets and blanks.  What follows is
    # proc(5)'s list from the third field (state) on; 0 everywhere for a process that is gone.
    return read_text(f"/proc/{pid}/stat").rpartition(")")[2].split() or ["0"] * 50


def parent_of(pid):
    """Return the parent's pid, 0 for a process that is gone."""
    return int(_stat_fields(pid)[1])


def cpu_ticks_of(pid):
    """Return the CPU time of a process in clock ticks."""
    fields = _stat_fields(pid)
    return int(fields[11]) + int(fields[12])


def own_cgroups(pid):
    """Return the directories of the topmost Dunlin cgroups that a process is in."""
    found = set()
    for line in read_text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        parts = path.strip("/").split("/")
        tops = [i for i, part in enumerate(parts) if part.startswith(CGROUP_PREFIX)]
        if not tops:
            continue
        hierarchy = controllers.split("=")[-1]
        inside = "/".join(parts[: tops[0] + 1])
        for base in (hierarchy, "unified", ""):
            directory = os.path.join(CGROUP_ROOT, base, inside)
            if os.path.isdir(directory):
                found.add(os.path.normpath(directory))
                break
    return found


def tree(root):
    """Return the pids of `root`, its descendants, and all members of the cgroups these are in.

    The cgroups matter: a process whose parent has died belongs to pid 1 of the host, and only its
    cgroup still says whose it is.
    """
    children = {}
    for pid in all_pids():
        children.setdefault(parent_of(pid), []).append(pid)
    pids, todo = set(), [root]
    while todo:
        pid = todo.pop()
        if pid not in pids:
            pids.add(pid)
            todo += children.get(pid, [])
    tops = set().union(*(own_cgroups(pid) for pid in pids))
    for top in tops:
        for directory, _, _ in os.walk(top):
            pids.update(int(p) for p in read_text(f"{directory}/cgroup.procs").split())
    return sorted(pids)


def program_of(pid):
    """Return the base name of the program a process runs, or its command name."""
    exe = os.path.basename(read_link(f"/proc/{pid}/exe").removesuffix(" (deleted)"))
    return exe or read_text(f"/proc/{pid}/comm").strip()


def _kb_fields(path):
    return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+):\s+(\d+) kB$", read_text(path), re.M)}


def memory_of(pid):
    """Return {"Rss", "Pss"} of a process in KiB, both 0 when it is gone."""
    fields = _kb_fields(f"/proc/{pid}/smaps_rollup")
    return {"Rss": fields.get("Rss", 0), "Pss": fields.get("Pss", 0)}


def address_spaces(pids):
    """Return one pid for each address space.

    Processes made with CLONE_VM share one, and each of them shows all of it: the waiting parents of
    runs are such, and adding them up would count their zygote again and again.
    """
    found = []
    for pid in pids:
        if not any(_share_memory(pid, other) for other in found):
            found.append(pid)
    return found


def _share_memory(pid, other):
    return KCMP is not None and _libc.syscall(KCMP, pid, other, KCMP_VM, 0, 0) == 0


def total_pss(pids):
    """Return the memory of processes in KiB, what they share counted once."""
    return sum(memory_of(pid)["Pss"] for pid in address_spaces(pids))


def peak_rss(pid):
    """Return the highest resident size of a process since reset_peak_rss, in KiB."""
    return _kb_fields(f"/proc/{pid}/status").get("VmHWM", 0)


def reset_peak_rss(pid):
    """Make the present resident size of a process its peak, proc(5) clear_refs."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def threads_of(pid):
    """Return how many threads a process has."""
    match = re.search(r"^Threads:\s+(\d+)", read_text(f"/proc/{pid}/status"), re.M)
    return int(match[1]) if match else 0


def descriptors_of(pid):
    """Return how many descriptors a process has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def namespaces_of(pids, kind):
    """Return the set of namespaces of one kind ("pid", "net") that processes are in."""
    return {link for pid in pids if (link := read_link(f"/proc/{pid}/ns/{kind}"))}


def mounts_of(pid):
    """Return how many mounts the mount namespace of a process has."""
    return len(read_text(f"/proc/{pid}/mountinfo").splitlines())


def kernel_memory():
    """Return the machine's kernel memory by KERNEL_FIELDS, in KiB."""
    fields = _kb_fields("/proc/meminfo")
    kernel = {name: fields.get(name, 0) for name in KERNEL_FIELDS}
    kernel["Slab"] -= sum(kb for name, kb in slab_caches().items() if DISK_CACHES.match(name))
    return kernel


def slab_caches():
    """Return {cache: KiB} of the kernel's slab allocator."""
    page_kb = os.sysconf("SC_PAGE_SIZE") // 1024
    caches = {}
    for line in read_text("/proc/slabinfo").splitlines()[2:]:
        fields = line.split()
        caches[fields[0]] = int(fields[14]) * int(fields[5]) * page_kb
    return caches


def available_memory():
    """Return the machine's MemAvailable in KiB."""
    return _kb_fields("/proc/meminfo").get("MemAvailable", 0)


def cgroup_usage(pids):
    """Return {"usage", "kernel"} in KiB that the memory cgroups of processes are charged with.

    v1 has memory.usage_in_bytes and memory.kmem.usage_in_bytes, v2 memory.current and a line
    in memory.stat.
    """
    usage = kernel = 0
    for top in set().union(*(own_cgroups(pid) for pid in pids)) if pids else ():
        for name in ("memory.usage_in_bytes", "memory.current"):
            usage += int(read_text(f"{top}/{name}") or 0)
        kernel += int(read_text(f"{top}/memory.kmem.usage_in_bytes") or 0)
        match = re.search(r"^kernel (\d+)$", read_text(f"{top}/memory.stat"), re.M)
        kernel += int(match[1]) if match else 0
    return {"usage": usage // 1024, "kernel": kernel // 1024}


def count_cgroups():
    """Return how many cgroups with our prefix, or below one, exist in all hierarchies."""
    count = 0
    for directory, _, _ in os.walk(CGROUP_ROOT):
        inside = os.path.relpath(directory, CGROUP_ROOT).split("/")
        count += any(part.startswith(CGROUP_PREFIX) for part in inside)
    return count


def count_kernel_cgroups():
    """Return how many memory cgroups the kernel holds, removed ones that still linger included."""
    match = re.search(r"^memory\s+\d+\s+(\d+)", read_text("/proc/cgroups"), re.M)
    return int(match[1]) if match else 0


def count_kernel_net_namespaces():
    """Return how many network namespaces the kernel holds, those being torn down included."""
    match = re.search(r"^net_namespace\s+(\d+)", read_text("/proc/slabinfo"), re.M)
    return int(match[1]) if match else 0


def busy_cpu_us():
    """Return the CPU time that everything on this machine has used since boot, in microseconds.

    Kernel threads and interrupts count, idling and time stolen by the host do not.
    """
    fields = [int(f) for f in read_text("/proc/stat").split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) * 1_000_000 // os.sysconf("SC_CLK_TCK")
