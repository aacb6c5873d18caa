"""Attacks on what the code can see: mounts, /proc, /sys, /dev, other runs, pid 1 (R3, R20-R26)."""
import ctypes
import os
import pathlib

import pytest

import host
from client import unique_name, visible_mounts
from inside import attack
from server import REPOSITORY, held

PROC_MASKED = ["kcore", "kmsg", "kallsyms", "keys", "key-users", "timer_list", "vmallocinfo",
               "kpagecount", "kpageflags", "kpagecgroup", "sched_debug", "sysrq-trigger",
               "iomem", "ioports", "slabinfo", "modules", "config.gz", "acpi", "scsi", "bus"]
DEV_ALLOWED = {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout",
               "stderr", "shm", "pts", "ptmx"}


@pytest.fixture
def marked_file():
    """A file on the host that everybody may read."""
    path = pathlib.Path("/tmp") / f"{host.OWN_PREFIX}{unique_name()}"
    path.write_text("host file")
    path.chmod(0o644)
    yield path
    path.unlink()


def test_no_file_of_the_host_is_visible(client, server, marked_file):
    """R20"""
    paths = [str(marked_file), str(REPOSITORY), str(server.data), str(server.directory),
             "/home", "/root/.bashrc", "/root/.ssh", "/var/lib/dpkg/status", "/etc/shadow",
             "/boot/grub", "/sys/fs/cgroup", "/run/systemd", "/var/run/docker.sock",
             "/etc/machine-id", "/proc/1/root/etc", "/var/log"]
    found = client.find(attack(f"""
        def readable(path):
            return attempt(os.listdir if os.path.isdir(path) else open, path) == "ok"
        paths = {paths!r}
        report(seen=[p for p in paths if readable(p) and (os.path.isfile(p) or os.listdir(p))],
               up=[os.path.exists("/.." * n + {str(marked_file)!r}) for n in (1, 5, 50)],
               top=sorted(os.listdir("/")))
        """))
    assert found["seen"] == [] and not any(found["up"])
    assert set(found["top"]) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc",
                                 "run", "runtime", "sandbox", "sbin", "tmp", "usr", "var", "opt",
                                 "home", "root", "sys", "workspace"}


def test_no_way_leads_out_of_the_root(client, marked_file):
    """R20"""
    found = client.find(attack(f"""
        marked = {str(marked_file)!r}
        escapes = []
        base = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        for path in ("../" * 20 + marked[1:], "../../../../../.." + marked):
            if attempt(os.open, path, os.O_RDONLY, dir_fd=base) == "ok":
                escapes.append(path)
        for pid in ("self", "1", *(p for p in os.listdir("/proc") if p.isdigit())):
            for link in ("root", "cwd"):
                if attempt(open, f"/proc/{{pid}}/{{link}}{{marked}}") == "ok":
                    escapes.append(f"{{pid}}/{{link}}")
        for fd in range(64):
            if attempt(open, f"/proc/self/fd/{{fd}}{{marked}}") == "ok":
                escapes.append(f"fd {{fd}}")
        os.makedirs("jail", exist_ok=True)
        report(escapes=escapes, chroot=call("chroot", ctypes.c_char_p(b"jail")),
               pivot=call("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b".")))
        """))
    assert found["escapes"] == []
    assert found["chroot"] != "ok" and found["pivot"] != "ok"


def test_the_system_files_are_not_the_hosts_inodes(client):
    """R3: a bug in the page cache must not reach the host's files."""
    paths = ["/usr/bin/python3", "/bin/sh", "/lib/x86_64-linux-gnu/libc.so.6", "/etc/passwd",
             "/usr/lib/python3.11/os.py", "/usr/bin/env"]
    found = client.find(attack(f"""
        def name(path):
            s = os.stat(path)
            return [s.st_dev, s.st_ino]
        report(inodes={{p: name(p) for p in {paths!r} if os.path.exists(p)}})
        """))["inodes"]
    assert "/usr/bin/python3" in found
    for path, inode in found.items():
        if os.path.exists(path):
            there = os.stat(path)
            assert inode != [there.st_dev, there.st_ino], path


def test_mounts_are_few_and_read_only_but_for_the_writable_storage(client):
    """R20"""
    text = client.run("print(open('/proc/self/mountinfo').read())")["stdout"]
    assert len(text.splitlines()) < 40
    for place, options, kind, own in visible_mounts(text):
        if "rw" in options & own:
            assert kind in ("tmpfs", "devpts", "mqueue") or place.startswith("/dev/"), place
        assert kind not in ("cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf",
                            "sysfs", "configfs", "efivarfs"), place


def test_mounts_cannot_be_changed(client):
    """R20, R71"""
    found = client.find(attack("""
        s = ctypes.c_char_p
        report(
            tmpfs=call("mount", s(b"x"), s(b"/tmp"), s(b"tmpfs"), 0, None),
            proc=call("mount", s(b"proc"), s(b"/sandbox"), s(b"proc"), 0, None),
            remount=call("mount", None, s(b"/proc"), None, 32, None),
            bind=call("mount", s(b"/usr"), s(b"/sandbox"), None, 4096, None),
            umount=call("umount2", s(b"/proc"), 2), umount_work=call("umount2", s(b"/sandbox"), 2),
            tree=call("open_tree", -100, s(b"/"), 1), fsopen=call("fsopen", s(b"tmpfs"), 0),
            attr=call("mount_setattr", -100, s(b"/"), 0, None, 0))
        """))
    assert set(found.values()) <= {"EPERM", "ENOSYS"}, found


def test_proc_is_read_only_and_shows_nothing_of_the_kernel(client):
    """R21"""
    found = client.find(attack(f"""
        names = {PROC_MASKED!r}
        targets = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_adj",
                   "/proc/self/oom_score_adj", "/proc/sys/kernel/hostname", "/proc/self/comm",
                   "/proc/self/uid_map", "/proc/self/setgroups", "/proc/self/loginuid",
                   "/proc/self/coredump_filter", "/proc/self/attr/current",
                   "/proc/self/timerslack_ns", "/proc/sys/vm/drop_caches", "/proc/1/oom_score_adj"]
        def write(path):
            fd = os.open(path, os.O_WRONLY)
            os.write(fd, b"1")
        report(mounts=read_file("/proc/self/mountinfo"),
               readable=[n for n in names if read_file("/proc/" + n, 10)[:1] not in ("<", "")],
               written=[t for t in targets if attempt(write, t) == "ok"],
               pids=sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
               threads=[p for p in os.listdir("/proc") if p.isdigit()
                        and "Uid:\\t1000" not in read_file(f"/proc/{{p}}/status")])
        """))
    assert ["ro" in options for place, options, *_ in visible_mounts(found["mounts"])
            if place == "/proc"] == [True]
    assert found["readable"] == [] and found["written"] == []
    assert len(found["pids"]) <= 3
    assert found["threads"] == [], "processes of other users are hidden"


def test_sys_shows_no_cgroups_and_cannot_be_written(client):
    """R22"""
    found = client.find(attack("""
        writable, groups = [], []
        for place, _, files in os.walk("/sys"):
            writable += [f for f in files if attempt(os.open, f"{place}/{f}", os.O_WRONLY) == "ok"]
            groups += [f for f in files if f.startswith(("cgroup.", "memory."))]
        report(writable=writable, groups=groups, cgroup=read_file("/proc/self/cgroup"))
        """))
    assert found["writable"] == [] and found["groups"] == []
    assert "dunlin" not in found["cgroup"], "the path of the group is the host's business"


def test_dev_has_only_harmless_devices(client):
    """R23"""
    found = client.find(attack("""
        import stat
        devices = {}
        for place, _, files in os.walk("/dev"):
            for name in files:
                path = os.path.join(place, name)
                s = os.lstat(path)
                if stat.S_ISBLK(s.st_mode) or stat.S_ISCHR(s.st_mode):
                    devices[path] = [os.major(s.st_rdev), os.minor(s.st_rdev)]
        made = [attempt(os.mknod, f"{d}/n", 0o666 | k, os.makedev(*n))
                for d in ("/dev", "/tmp", ".", "/dev/shm") for k, n in
                ((stat.S_IFCHR, (1, 1)), (stat.S_IFBLK, (254, 0)), (stat.S_IFCHR, (1, 3)))]
        report(names=os.listdir("/dev"), devices=devices, made=made)
        """))
    assert set(found["names"]) <= DEV_ALLOWED
    harmless = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}
    assert {tuple(number) for number in found["devices"].values()} <= harmless, found
    assert "ok" not in found["made"]


def test_devices_work(client):
    """R23"""
    found = client.find("""
        import json
        def read(n): return len(open("/dev/" + n, "rb").read(8))
        open("/dev/null", "w").write("x")
        try:
            open("/dev/full", "w", buffering=1).write("x\\n"); full = "ok"
        except OSError as error:
            full = error.errno
        print(json.dumps([read("zero"), read("urandom"), read("random"), read("null"), full]))
        """)
    assert found == [8, 8, 8, 0, 28]


def test_every_namespace_is_the_runs_own(server):
    """R24"""
    with held(server, count=2) as runs:
        for kind in host.NAMESPACES:
            ours = host.namespace("self", kind)
            theirs = [host.namespace(one.pid, kind) for one in runs]
            assert None not in theirs and ours not in theirs, kind
            assert theirs[0] != theirs[1], f"{kind} is shared by two runs"


def test_two_runs_share_no_files_and_no_ipc_objects(server, client):
    """R24"""
    before = host.ipc_objects()
    code = attack("""
        for place in ("/tmp", "/dev/shm", "/sandbox", "/var/tmp", "/run", "/run/lock"):
            attempt(lambda: open(place + "/shared-name", "w").write("x"))
        raw(NR["shmget"], 0x44554e4c, 4096, 0o1666)
        libc.msgget(0x44554e4c, 0o1666)
        libc.semget(0x44554e4c, 1, 0o1666)
        socket.socket(socket.AF_UNIX).bind("\\0shared-name")
        """)
    with held(server, code):
        found = client.find(attack("""
            places = ("/tmp", "/dev/shm", "/sandbox", "/var/tmp", "/run", "/run/lock")
            report(files=[p for p in places if os.path.exists(p + "/shared-name")],
                   shm=call("shmget", 0x44554e4c, 0, 0), msg=libc.msgget(0x44554e4c, 0),
                   sem=libc.semget(0x44554e4c, 0, 0),
                   queue=call("mq_open", ctypes.c_char_p(b"shared"), 0o102, 0o666, None),
                   abstract=attempt(socket.socket(socket.AF_UNIX).connect, "\\0shared-name"),
                   tmp=os.listdir("/tmp"), devshm=os.listdir("/dev/shm"))
            """))
        assert host.ipc_objects() == before, "an object appeared on the host"
    assert found["files"] == [] and found["tmp"] == [] and found["devshm"] == []
    assert (found["shm"], found["msg"], found["sem"]) == ("ENOENT", -1, -1)
    assert found["abstract"] == "ECONNREFUSED"


def test_the_host_name_and_kernel_say_nothing_of_the_host(client):
    """R24"""
    found = client.find(attack("""
        report(node=os.uname().nodename, name=socket.gethostname(),
               set=call("sethostname", ctypes.c_char_p(b"x"), 1))
        """))
    assert os.uname().nodename not in (found["node"], found["name"])
    assert found["set"] == "EPERM"


def test_pid_1_cannot_be_read_traced_or_copied_from(client):
    """R25"""
    found = client.find(attack("""
        targets = sorted({1, os.getppid(), *(int(p) for p in os.listdir("/proc") if p.isdigit())}
                         - {0, os.getpid()})
        got = []
        for pid in targets:
            for name in ("mem", "environ", "maps", "auxv", "stack", "syscall", "io", "pagemap",
                         "smaps", "wchan", "fdinfo/0", "root/etc/passwd", "clear_refs"):
                text = read_file(f"/proc/{pid}/{name}", 64)
                if not text.startswith("<") and text not in ("", "0"):
                    got.append(f"{pid}/{name}")
            for name in ("fd", "ns", "map_files", "task/%d/fd" % pid):
                if attempt(lambda: [os.readlink(f"/proc/{pid}/{name}/{n}") for n in
                                    os.listdir(f"/proc/{pid}/{name}")]) == "ok":
                    got.append(f"{pid}/{name}")
            for name in ("exe", "root", "cwd"):
                if attempt(os.readlink, f"/proc/{pid}/{name}") == "ok":
                    got.append(f"{pid}/{name}")
            buf = ctypes.create_string_buffer(64)
            vec = (ctypes.c_void_p * 2)(ctypes.addressof(buf), 64)
            for number in (16, 0x4206):
                if call("ptrace", number, pid, 0, 0) == "ok":
                    got.append(f"{pid} ptrace {number}")
            if call("process_vm_readv", pid, vec, 1, vec, 1, 0) == "ok":
                got.append(f"{pid} process_vm_readv")
            handle = raw(NR["pidfd_open"], pid, 0)
            if handle >= 0:
                for fd in range(12):
                    if call("pidfd_getfd", handle, fd, 0) == "ok":
                        got.append(f"{pid} descriptor {fd}")
                if call("setns", handle, 0x20000000) == "ok":
                    got.append(f"{pid} setns")
        report(got=got, targets=targets)
        """))
    assert 1 in found["targets"]
    assert found["got"] == []


def test_pid_1_cannot_be_killed_or_stopped(client):
    """R25"""
    found = client.find(attack("""
        import signal
        results = {}
        for number in (1, 2, 3, 9, 11, 15, 19, 20, 33, 64):
            results[number] = attempt(os.kill, 1, number)
        handle = raw(NR["pidfd_open"], 1, 0)
        if handle >= 0:
            attempt(signal.pidfd_send_signal, handle, 9)
        time.sleep(0.1)
        report(results=results, alive=attempt(os.kill, 1, 0))
        """))
    assert found["alive"] in ("ok", "EPERM")
    answer = client.run("import os\nfor n in (9, 19):\n    try: os.kill(1, n)\n"
                        "    except OSError: pass\nopen('f', 'w').write('x'); print('still here')")
    assert answer["stdout"] == "still here\n" and "f" in answer["files"]


def test_the_other_processes_in_view_are_not_the_hosts(client, server):
    """R24, R25"""
    found = client.find(attack(f"""
        report(host=attempt(os.kill, {server.pid}, 0), init=attempt(os.kill, {os.getpid()}, 0))
        """))
    assert found == {"host": "ESRCH", "init": "ESRCH"}


def test_nothing_outside_the_writable_storage_can_be_written(client):
    """R26, R20"""
    found = client.find(attack("""
        wrote = []
        for place, directories, _ in os.walk("/"):
            if place.startswith(("/proc/", "/sandbox", "/tmp", "/dev/shm")):
                directories.clear()
                continue
            if attempt(lambda: open(place + "/new-file", "w").close()) == "ok":
                wrote.append(place)
        report(wrote=wrote)
        """))
    assert found["wrote"] == []


def test_landlock_is_in_force_where_the_kernel_has_it(client):
    """R26"""
    isolation = client.run("print(1)")["isolation"]
    told = next(value for name, value in isolation.items() if "landlock" in name)
    # landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    known = ctypes.CDLL(None).syscall(444, None, 0, 1)
    assert (told > 0) == (known > 0), isolation
