"""Attacks on who the code is: capabilities, users, descriptors, environment (R4, R10 to R17)."""
import os

import pytest

import host
from client import visible_mounts
from inside import attack, halves
from server import ENVIRONMENT_CANARY, held

ALLOWED_ENVIRONMENT = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "USER", "LOGNAME", "SHELL",
                       "TMPDIR", "TZ", "PWD", "SHLVL", "_", "OLDPWD", "HOSTNAME", "TERM"}
NO_CAPABILITIES = "0000000000000000"
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
LANGUAGES = ("python", "shell")


def own_status(client, language):
    """/proc/self/status as a run of this language sees it."""
    code = {"python": "print(open('/proc/self/status').read())", "shell": "cat /proc/self/status"}
    text = client.run(code[language], language=language)["stdout"]
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_set_of_capabilities_is_empty(client, language):
    """R10"""
    status = own_status(client, language)
    assert {name: status[name] for name in SETS} == dict.fromkeys(SETS, NO_CAPABILITIES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_new_privileges_can_be_gained_and_a_filter_is_on(client, language):
    """R11, R71"""
    status = own_status(client, language)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_a_setuid_file_gives_nothing(client):
    """R11"""
    found = client.find(attack("""
        import shutil, subprocess
        shutil.copy("/usr/bin/id", "./id")
        mode = attempt(os.chmod, "./id", 0o6755)
        uid = subprocess.run(["./id", "-u"], capture_output=True, text=True).stdout.strip()
        owner = attempt(os.chown, "./id", 0, 0)
        report(mode=mode, uid=uid, owner=owner, mine=str(os.getuid()))
        """))
    assert found["uid"] in (found["mine"], ""), found
    assert found["owner"] != "ok"


def test_every_writable_mount_is_nosuid_and_nodev(client):
    """R11"""
    text = client.run("print(open('/proc/self/mountinfo').read())")["stdout"]
    writable = 0
    for place, options, kind, own in visible_mounts(text):
        if "rw" in options & own:
            writable += 1
            # With nodev no terminal in /dev/pts could be opened; mknod is refused there too.
            wanted = {"nosuid", "noexec"} if kind == "devpts" else {"nosuid", "nodev"}
            assert wanted <= options, place
    assert writable >= 1


def test_only_descriptors_0_to_2_are_open(client):
    """R12"""
    found = client.find(attack("""
        import fcntl
        def is_open(fd):
            return attempt(fcntl.fcntl, fd, fcntl.F_GETFD) == "ok"
        top = 70000
        seen = [fd for fd in range(top) if is_open(fd)]
        report(open=seen, kinds=[os.readlink(f"/proc/self/fd/{fd}") for fd in seen])
        """))
    assert found["open"] == [0, 1, 2], found
    for kind in found["kinds"]:
        assert kind == "/dev/null" or kind.startswith("pipe:"), found


def test_a_command_of_the_shell_has_only_descriptors_0_to_2(client):
    """R12"""
    answer = client.run("python3 -c 'import os; print(sorted(os.listdir(\"/proc/self/fd\")))'",
                        language="shell")
    assert answer["stdout"] == "['0', '1', '2', '3']\n", "3 is the directory being listed"


def test_the_interpreter_the_libraries_and_the_harness_cannot_be_written(client):
    """R13"""
    found = client.find(attack("""
        import glob, mmap, re, stat
        paths = {os.path.realpath(sys.executable), os.__file__, json.__file__, "/proc/self/exe",
                 "/etc/ld.so.cache", "/etc/passwd", "/usr/bin/env", "/bin/sh"}
        paths |= {m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)
                  and not m.__file__.endswith("main.py")}
        paths |= set(re.findall(r"(/\\S+)$", open("/proc/self/maps").read(), re.M))
        paths |= {f"/proc/{pid}/exe" for pid in os.listdir("/proc") if pid.isdigit()}
        wrote = []
        for path in sorted(p for p in paths if os.path.exists(p)):
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC,
                          os.O_WRONLY | os.O_APPEND):
                if attempt(os.open, path, flags) == "ok":
                    wrote.append([path, flags])
            held = os.open(path, os.O_RDONLY)
            if attempt(os.open, f"/proc/self/fd/{held}", os.O_RDWR) == "ok":
                wrote.append([path, "through /proc/self/fd"])
            if attempt(mmap.mmap, held, 4096, mmap.MAP_SHARED, mmap.PROT_WRITE) == "ok":
                wrote.append([path, "mmap"])
            os.close(held)
            for action in (lambda: os.chmod(path, 0o777), lambda: os.truncate(path, 0),
                           lambda: os.utime(path), lambda: os.rename(path, path + "x"),
                           lambda: os.unlink(path), lambda: os.link(path, "/sandbox/hard")):
                if attempt(action) == "ok":
                    wrote.append([path, "changed"])
        for directory in {os.path.dirname(p) for p in paths} | {"/", "/usr", "/etc", "/bin"}:
            if directory.startswith("/proc"):
                continue
            if attempt(os.mkdir, directory + "/new-directory") == "ok":
                wrote.append([directory, "new name"])
        report(wrote=wrote, tried=len(paths))
        """))
    assert found["tried"] > 10
    assert found["wrote"] == []


def test_the_environment_is_an_allow_list(client):
    """R14"""
    for language, code in (("python", "import json, os; print(json.dumps(dict(os.environ)))"),
                           ("shell", "python3 -c 'import json, os; "
                                     "print(json.dumps(dict(os.environ)))'")):
        names = set(client.find(code, language=language))
        odd = {name for name in names - ALLOWED_ENVIRONMENT if not name.startswith("PYTHON")}
        assert not odd, f"{language}: {odd}"


def test_the_servers_environment_is_found_nowhere(client):
    """R14, R95: not in os.environ, /proc/*/environ, cmdline, the stack, the heap."""
    first, second = halves(ENVIRONMENT_CANARY)
    found = client.find(attack(f"""
        first, second = {first}, {second}
        readable, seen = [], []
        for pid in (p for p in os.listdir("/proc") if p.isdigit()):
            for name in ("environ", "cmdline", "mem", "auxv", "stack"):
                text = read_file(f"/proc/{{pid}}/{{name}}")
                if not text.startswith("<") and pid != str(os.getpid()):
                    readable.append(pid + "/" + name)
                at = text.encode("latin-1").find(first)
                if at >= 0 and second in text.encode("latin-1"):
                    seen.append(pid + "/" + name)
        report(seen=seen, memory=memory_has(first, second), environ="CANARY" in str(os.environ))
        """))
    assert found == {"seen": [], "memory": False, "environ": False}


def test_nothing_below_the_spawner_carries_the_servers_environment(server):
    """R14, R95: seen from the host, nests, inits, zygotes and runs."""
    with held(server, count=2):
        below = [one for one in host.tree(server.spawner.pid) if one.pid != server.spawner.pid]
        assert below
        for one in below:
            assert ENVIRONMENT_CANARY.encode() not in host.read(one.pid, "environ"), one


def test_every_live_sandbox_has_host_users_of_its_own_that_are_not_root(server):
    """R15"""
    with held(server, count=3) as runs:
        uids = [set(host.host_uid(one.pid)) for one in runs]
        groups = [host.status(one.pid)["Gid"].split() for one in runs]
        extra = [host.status(one.pid)["Groups"].strip() for one in runs]
        inits = [one for one in server.children("dunlin-init")]
        init_uids = [host.host_uid(one.pid)[1] for one in inits]
        zygote_uid = host.host_uid(server.zygote.pid)[1]
    assert all(len(one) == 1 and one != {0} for one in uids), uids
    assert len(set.union(*uids)) == 3
    assert all(len(set(one)) == 1 and "0" not in one for one in groups)
    assert extra == ["", "", ""]
    assert 0 not in init_uids and zygote_uid != 0
    assert not set.union(*uids) & {*init_uids, zygote_uid}


def test_waiting_sandboxes_have_no_host_user_in_common(server):
    """R15: every init of a sandbox has its own too."""
    nests = {one.pid for one in server.nests}
    uids = [host.host_uid(one.pid)[1] for one in server.children("dunlin-init")
            if one.parent in nests]
    assert len(uids) == len(set(uids))


def test_inside_the_code_is_user_1000_and_cannot_become_another(client):
    """R15"""
    found = client.find(attack("""
        report(ids=os.getresuid() + os.getresgid(), groups=os.getgroups(),
               zero=attempt(os.setresuid, 0, 0, 0), other=attempt(os.setresuid, 1, 1, 1),
               init=attempt(os.setuid, 1001), groups_set=attempt(os.setgroups, [0]),
               gid=attempt(os.setgid, 0))
        """))
    assert found["ids"] == [1000] * 6 and found["groups"] in ([], [1000])
    assert {found[name] for name in ("zero", "other", "init", "groups_set", "gid")} <= \
        {"EPERM", "EINVAL"}


def test_there_is_no_terminal_and_no_input_can_be_forged(client):
    """R16"""
    found = client.find(attack("""
        import fcntl, struct
        def push(fd):
            return attempt(fcntl.ioctl, fd, 0x5412, b"x")
        def linux(fd):
            return attempt(fcntl.ioctl, fd, 0x541C, struct.pack("b", 3))
        try:
            pair = os.openpty()
        except OSError:
            pair = ()
        report(tty=attempt(os.open, "/dev/tty", os.O_RDWR), isatty=[os.isatty(i) for i in range(3)],
               push=[push(fd) for fd in (0, 1, 2, *pair)], linux=[linux(fd) for fd in (0, *pair)],
               stdin=os.read(0, 10).decode(), session=os.getsid(0) != 0 or os.getpid() != 0)
        """))
    assert found["tty"] != "ok" and found["isatty"] == [False] * 3
    assert "ok" not in found["push"] + found["linux"], found
    assert found["stdin"] == ""


def test_signals_limits_and_modes_are_the_defaults_for_any_program(client):
    """R17, R55"""
    found = client.find(attack("""
        import resource
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        mask = os.umask(0o22)
        limits = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in (
            "CORE", "NOFILE", "MEMLOCK", "MSGQUEUE", "SIGPENDING", "NICE", "RTPRIO", "NPROC")}
        report(blocked=int(status["SigBlk"], 16), ignored=int(status["SigIgn"], 16),
               umask=mask, nice=os.nice(0), personality=raw(NR["personality"], 0xffffffff),
               limits=limits, nicer=attempt(os.nice, -5), affinity=len(os.sched_getaffinity(0)),
               realtime=attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO,
                                                              os.sched_param(1))))
        """))
    by_python = (1 << 12) | (1 << 24)  # SIGPIPE and SIGXFSZ are ignored by Python itself
    assert found["blocked"] == 0 and found["ignored"] & ~by_python == 0
    assert (found["umask"], found["nice"], found["personality"]) == (0o22, 0, 0)
    assert found["nicer"] != "ok" and found["realtime"] != "ok"
    assert found["affinity"] == os.cpu_count()
    limits = found["limits"]
    # 1 and not 0: at 0 a core_pattern that is a pipe would have root's handler started.
    assert limits["CORE"] == [1, 1] and limits["NICE"] == [0, 0] and limits["RTPRIO"] == [0, 0]
    assert 0 < limits["NOFILE"][1] <= 65536
    assert 0 <= limits["MEMLOCK"][1] <= 64 << 20
    assert 0 <= limits["MSGQUEUE"][1] <= 1 << 20
    assert 0 < limits["SIGPENDING"][1] <= 1 << 16


def test_a_shell_starts_with_every_signal_at_its_default(client):
    """R17"""
    status = own_status(client, "shell")
    assert (int(status["SigBlk"], 16), int(status["SigIgn"], 16)) == (0, 0)


def test_the_process_that_parses_requests_has_no_privileges(server):
    """R4"""
    status = host.status(server.http_process.pid)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
    assert {status[name] for name in SETS} == {NO_CAPABILITIES}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Groups"].strip() == ""
