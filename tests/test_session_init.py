"""The init of a session, without a server: processes, terminals, warm programs, and what they may not."""
import errno
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import pytest

import host
import nest as nests
from client import SLEEPER
from nest_session import (ADMIT, ADMITTED, ALL, FAILED, FILE, FRAME_SESSION, GROUP, HEAD, PROCESS, RESIZE,
                          SCRIPT, STARTED, STOP, STOPPED, TEMPORARY, Session, read_all, read_until,
                          strings)
from session_client import eventually

FILE_READ, FILE_WRITE, FILE_PROCESSES = 3, 4, 16
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes")


@pytest.fixture(scope="module")
def nest():
    with nests.Nest("/", nests.RUN, warm=True) as one:
        one.wait()
        yield one


@pytest.fixture(scope="module")
def shared(nest):
    """One session for what leaves nothing behind."""
    with Session(nest) as one:
        yield one


@pytest.fixture
def session(nest):
    with Session(nest) as one:
        yield one


def processes(session):
    """Command lines of all processes of the session but init and keepers, as it sees them itself."""
    text = session.shell("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done")
    return [line.strip() for line in text.splitlines() if line.strip() and "cmdline" not in line]


def started(session, number):
    return struct.unpack("=II", session.wait(STARTED, number))[0]


# -- processes

def test_a_program_runs_in_the_workspace_and_its_end_is_told(shared):
    end, out, err = shared.run(["bash", "-c", "pwd; echo $HOME; echo no >&2; exit 7"])
    assert (end.status, end.error, end.text) == (7, 0, "")
    assert out == b"/workspace\n/workspace\n" and err == b"no\n"
    assert end.wall_us > 0 and end.memory_peak > 100000 and end.cpu_us > 0


def test_what_one_writes_the_next_reads(shared):
    shared.shell("echo kept > file; mkdir -p a/b")
    assert shared.shell("cat file; pwd", cwd="/workspace") == "kept\n/workspace\n"
    assert shared.shell("pwd", cwd="a/b") == "/workspace/a/b\n"


def test_a_signal_that_ends_it_is_told(shared):
    assert shared.run(["bash", "-c", "kill -SEGV $$"])[0].status == -signal.SIGSEGV


def test_stdin_reaches_it(shared):
    assert shared.run(["wc", "-c"], stdin=b"x" * 1000000)[1] == b"1000000\n"


def test_large_outputs_come_whole_on_both_streams(shared):
    end, out, err = shared.run(["bash", "-c", "head -c 3000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait"])
    assert (end.status, len(out), len(err)) == (0, 3000000, 2000000)


def test_many_at_once_do_not_mix(shared):
    pipes = {}
    for i in range(20):
        r, w = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        number = shared.start(["bash", "-c", f"for i in 1 2 3; do echo {i}; sleep 0.01; done; exit {i}"],
                              [null, w, null])
        os.close(w)
        os.close(null)
        pipes[number] = (i, r)
    for number, (i, r) in pipes.items():
        assert read_all([r]) == [f"{i}\n".encode() * 3]
        assert shared.ended(number).status == i


@pytest.mark.parametrize("argv,more,error,words", [
    (["no-such-program"], {}, errno.ENOENT, "no-such-program: No such file"),
    (["/etc/passwd"], {}, errno.EACCES, "/etc/passwd: Permission denied"),
    (["true"], {"cwd": "/nowhere"}, errno.ENOENT, "directory /nowhere"),
    (["true"], {"script": ("/etc/script", "x")}, errno.EINVAL, "beneath /workspace"),
    (["true"], {"script": ("/tmp/../etc/script", "x")}, errno.EINVAL, "beneath /workspace"),
    (["true"], {"script": ("/workspace", "x")}, errno.EINVAL, "beneath /workspace"),
])
def test_what_cannot_be_started_is_told_with_its_reason(shared, argv, more, error, words):
    end = shared.run(argv, **more)[0]
    assert end.error == error and words in end.text, end


def test_a_script_is_written_and_can_go_again(shared):
    end, out, _ = shared.run(["bash", "/tmp/x1/y/script"], script=("/tmp/x1/y/script", "echo $0; stat -c %u $0"))
    assert out == b"/tmp/x1/y/script\n1000\n" and end.status == 0
    assert shared.shell("ls /tmp/x1/y") == "script\n"
    out = shared.run(["bash", "/tmp/x2/script"], script=("/tmp/x2/script", "echo two"), flags=TEMPORARY | 8)[1]
    assert out == b"two\n" and shared.shell("ls -d /tmp/x2 || true") == ""


def test_a_script_never_leads_elsewhere(shared):
    shared.shell("mkdir -p /tmp/d keep; touch keep/script; ln -sfn /workspace/keep /tmp/d/link")
    end = shared.run(["true"], script=("/tmp/d/link/script", ""), flags=TEMPORARY | 8)[0]
    assert end.status == 0
    assert shared.shell("ls keep") == "script\n", "init followed a link when it removed the script"


def test_what_a_foreground_program_leaves_behind_ends_with_it(session):
    end = session.run(["bash", "-c", "sleep 1001 & setsid sleep 1002 & (setsid setsid -f sleep 1003 &) ; "
                       "setsid -f bash -c 'trap : TERM HUP; sleep 1004; sleep 1005' ; sleep 0.2"],
                      )[0]
    assert end.status == 0 and processes(session) == []


def test_no_name_of_a_program_hides_it(session):
    session.shell("cp /bin/sleep '/tmp/) Z 1 1 1'")
    assert session.run(["bash", "-c", "setsid -f '/tmp/) Z 1 1 1' 1001; '/tmp/) Z 1 1 1' 1002 &"])[0].status == 0
    assert processes(session) == []


def test_what_a_background_program_leaves_behind_goes_on(session):
    session.run(["bash", "-c", "sleep 1001 > /dev/null 2>&1 & setsid -f sleep 1002 > /dev/null 2>&1"], flags=0)
    eventually(lambda: sorted(processes(session)) == ["sleep 1001", "sleep 1002"])
    # They are one user's: whoever comes later sees and ends them.
    session.shell("pkill sleep")
    eventually(lambda: processes(session) == [])


def test_a_signal_reaches_the_process_its_group_or_all(session):
    numbers = [session.start(["bash", "-c", "setsid sleep 1001 & sleep 1002"]) for _ in range(3)]
    for number in numbers:
        started(session, number)
    eventually(lambda: len(processes(session)) == 9)
    session.signal(numbers[0], signal.SIGTERM, PROCESS)
    assert session.ended(numbers[0]).status == -signal.SIGTERM
    eventually(lambda: len(processes(session)) == 6)
    session.signal(numbers[1], signal.SIGKILL, GROUP)
    assert session.ended(numbers[1]).status == -signal.SIGKILL
    eventually(lambda: len(processes(session)) == 3)
    session.signal(0, signal.SIGKILL, ALL)
    assert session.ended(numbers[2]).status == -signal.SIGKILL
    assert processes(session) == []
    session.signal(numbers[0], signal.SIGKILL, PROCESS)  # ended long ago
    assert session.run(["true"])[0].status == 0


def test_a_signal_right_behind_the_start_is_not_lost(session):
    for _ in range(20):
        number = session.start(["sleep", "1001"])
        session.signal(number, signal.SIGKILL, PROCESS)
        assert session.ended(number).status == -signal.SIGKILL


BOMB = """
import os
while True:
    try:
        if os.fork() == 0:
            {extra}
    except OSError:
        pass
"""


@pytest.mark.parametrize("extra", ["pass", "os.setsid()"])
def test_a_fork_bomb_ends_when_told_and_lets_others_work(session, extra):
    number = session.start(["python3", "-c", "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))\n"
                            + BOMB.format(extra=extra)])
    started(session, number)
    time.sleep(0.5)
    session.signal(number, signal.SIGKILL, GROUP)
    assert session.ended(number, 20).status == -signal.SIGKILL
    assert processes(session) == []
    assert session.run(["echo", "here"])[1] == b"here\n"


def test_no_more_than_so_many_at_once(session):
    numbers = [session.start(["sleep", "1001"]) for _ in range(134)]
    ends = [session.ended(n) for n in numbers[132:]]
    assert all(e.error == errno.EAGAIN and "too many" in e.text for e in ends)
    session.signal(0, signal.SIGKILL, ALL)
    assert {session.ended(n).status for n in numbers[:132]} == {-signal.SIGKILL}


# -- terminals

def test_a_terminal_echoes_resizes_and_takes_ctrl_c(session):
    number, tty = session.terminal(["bash", "--norc"], env={"PS1": "$ ", "TERM": "dumb"})
    tty.sendall(b"stty size; tty; echo $((40+2))\n")
    text = read_until(tty, b"\r\n42\r\n")
    assert b"24 80\r\n/dev/pts/0\r\n" in text
    session.say(RESIZE, number, struct.pack("=HH", 50, 132))
    tty.sendall(b"stty size; " + SLEEPER.encode() + b"\n")
    read_until(tty, b"50 132\r\nasleep\r\n")
    tty.sendall(b"\x03")
    read_until(tty, b"^C")
    tty.sendall(b"exit 5\n")
    while tty.recv(4096):
        pass
    assert session.ended(number).status == 5


def test_hanging_up_ends_what_is_on_the_terminal(session):
    number, tty = session.terminal(["bash", "--norc"])
    tty.sendall(b"sleep 1001\n")
    eventually(lambda: "sleep 1001" in processes(session))
    tty.close()
    assert session.ended(number).status == -signal.SIGHUP
    assert processes(session) == []


def test_a_program_that_closes_its_terminal_ends_as_it_wants(session):
    number, tty = session.terminal(["bash", "-c", "echo out; exec <&- >&- 2>&-; sleep 0.1; exit 7"])
    assert read_until(tty, b"out\r\n")
    assert session.ended(number).status == 7
    assert tty.recv(4096) == b""


def test_who_does_not_read_a_terminal_slows_only_that(session):
    number, tty = session.terminal(["bash", "-c", "yes | head -c 4000000; echo over"])
    started(session, number)
    time.sleep(0.3)
    assert session.run(["echo", "x"])[1] == b"x\n"
    total = 0
    while piece := tty.recv(65536):
        total += len(piece)
    assert total == 6000006  # each line with a carriage return
    assert session.ended(number).status == 0


def test_no_more_than_so_many_terminals(session):
    open_ones = [session.terminal(["sleep", "1001"]) for _ in range(17)]
    for number, _ in open_ones[:16]:
        started(session, number)
    end = session.ended(open_ones[16][0])
    assert end.error == errno.EAGAIN and "terminals" in end.text
    for _, tty in open_ones:
        tty.close()
    assert {session.ended(n).status for n, _ in open_ones[:16]} == {-signal.SIGHUP}
    number, tty = session.terminal(["echo", "again"])
    read_until(tty, b"again")


# -- warm programs

def test_a_warm_program_runs_as_python_would_run_it(session):
    code = """
import os, sys
print(__name__, __file__, os.getcwd(), sys.argv[1:], sys.path[:2], os.environ["HOME"], os.environ["MORE"])
print(sys.stdin.read(), end="", file=sys.stderr)
sys.exit(3)
"""
    end, out, err = session.python(code, args=["a", "b"], stdin=b"given", env={"MORE": "1"})
    assert out.decode() == ("__main__ /tmp/.run/main.py /workspace ['a', 'b'] ['/tmp/.run', '/workspace'] "
                            "/workspace 1\n")
    assert (end.status, err) == (3, b"given") and end.cpu_us > 0 and end.memory_peak > 1000000
    assert session.shell("ls -A; ls -A /dev/shm; cat /tmp/.run/main.py").strip() == code.strip()


def test_a_spare_waits_while_another_runs(session):
    first, second = session.join(), session.join()
    session.give(first, "import time\nprint(1)\ntime.sleep(0.2)")
    third = session.join()
    session.give(second, "print(2)", path="/tmp/.two/main.py", flags=8 | TEMPORARY)
    assert read_all(second[2:]) == [b"2\n", b""] and read_all(first[2:]) == [b"1\n", b""]
    assert session.ended(second[0]).status == session.ended(first[0]).status == 0
    assert session.shell("ls -A /tmp") == ".run\n"
    session.signal(third[0], signal.SIGKILL, PROCESS)
    assert session.ended(third[0]).status == -signal.SIGKILL


def test_what_a_warm_program_leaves_behind_ends_with_it(session):
    code = "import subprocess\nsubprocess.Popen(['sleep', '1001'], stdout=-3, stderr=-3)"
    assert session.python(code)[0].status == 0
    assert processes(session) == []


def test_a_warm_program_that_is_endless_is_killed(session):
    joined = session.join()
    session.give(joined, "import os\nos.fork()\nwhile True: pass")
    time.sleep(0.1)
    session.signal(joined[0], signal.SIGKILL, GROUP)
    assert session.ended(joined[0]).status == -signal.SIGKILL
    assert read_all(joined[2:]) == [b"", b""]


# -- the end

def test_stop_ends_everything_and_says_so(nest):
    with Session(nest) as session:
        out, theirs = os.pipe()
        kind, deaf = (session.start(["bash", "-c", f"trap '{action}' TERM; echo; while :; do sleep 0.01; done"],
                                    [theirs] * 3) for action in ("exit 4", ""))
        os.close(theirs)
        spare = session.join()
        said = os.read(out, 1) + os.read(out, 1)
        assert said == b"\n\n", "both know what to do"
        begin = time.monotonic()
        session.say(STOP)
        assert session.ended(kind).status == 4
        assert session.ended(deaf).status == -signal.SIGKILL
        session.ended(spare[0])
        session.wait(STOPPED, 0)
        assert time.monotonic() - begin < 1
        os.close(out)


def test_stop_of_an_idle_session_takes_no_time(nest):
    def seconds():
        with Session(nest) as session:
            begin = time.monotonic()
            session.say(STOP)
            session.wait(STOPPED, 0)
            return time.monotonic() - begin
    assert min(seconds() for _ in range(3)) < 0.15  # less than is waited for those that linger


@pytest.mark.parametrize("message", [
    b"\1\0\0\0", HEAD.pack(77, 1), HEAD.pack(1, 1) + b"x", HEAD.pack(5, 1) + struct.pack("=II", 0, 0),
    HEAD.pack(1, 1) + struct.pack("=IIIHH", 0, 5, 0, 0, 0) + b"a\0", HEAD.pack(4, 1) + b"abcd",
    HEAD.pack(7, 1) + b"short", HEAD.pack(3, 1), HEAD.pack(5, 1) + b"x", HEAD.pack(6, 1) + b"x",
    HEAD.pack(1, 1) + struct.pack("=IIIHH", SCRIPT, 1, 0, 0, 0) + strings("", "/tmp/" + "x" * 5000, "a"),
    HEAD.pack(1, 1) + struct.pack("=IIIHH", 0, 1, 0, 0, 0) + strings("", "", "no descriptors")])
def test_a_server_that_breaks_the_protocol_ends_the_session(nest, message):
    with Session(nest) as session:
        session.sock.send(message)
        data = session.sock.recv(1000)
        assert HEAD.unpack_from(data)[0] == FAILED
        assert session.sock.recv(1000) == b""


def test_a_run_for_a_process_that_is_not_ready_ends_the_session(nest):
    with Session(nest) as session:
        number = session.start(["sleep", "60"])
        session.wait(STARTED, number)
        session.give((number,), "pass")
        with pytest.raises(AssertionError, match="not ready"):
            session.wait(STOPPED, 0)


def test_a_run_for_a_process_that_has_ended_is_passed_over(session):
    session.give((77,), "pass")
    assert session.shell("echo still here") == "still here\n"


def test_a_session_with_a_wrong_number_of_descriptors_fails_with_its_reason(nest):
    sandbox = nest.open()
    sandbox.expect(nests.READY)
    sandbox.control.sendall(struct.pack("=IIII", FRAME_SESSION, 8, 1, 0))
    assert b"0 descriptors" in sandbox.expect(nests.FAILED)
    sandbox.close()


def test_init_is_not_started_by_hand():
    ended = subprocess.run([nests.DIST / "libexec/dunlin/dunlin-init"], capture_output=True, check=False)
    assert ended.returncode == 2 and b"not by hand" in ended.stderr


def test_a_session_ends_when_the_server_goes_away(nest):
    session = Session(nest)
    init = host.process(session.init_pid())
    session.start(["sleep", "1001"])
    session.sock.close()
    eventually(lambda: not host.is_alive(init))
    session.sandbox.close()


# -- durable workspaces, calls on files

@pytest.fixture
def durable(tmp_path):
    """workspace(sandbox) as Session wants it, over a file system of its own."""
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=1000:1000", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield lambda sandbox: nests.detached(str(place), nests.pid_of(sandbox.pidfd))
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_durable_workspace_is_there_in_the_next_session(nest, durable):
    with Session(nest, durable) as session:
        session.shell("echo kept > file; stat -c %u file; test -k /sandbox || true")
        end, out, err = session.python("open('warm', 'w').write('x')\nimport os\nprint(os.listdir())")
        assert end.status == 0 and b"warm" in out, (end, out, err)
        flags = session.shell("grep ' /workspace ' /proc/self/mountinfo")
        assert "nosuid" in flags and "nodev" in flags
        assert session.run(["sh", "-c", "echo x > /sandbox/file"])[0].status != 0
        session.say(STOP)
        session.wait(STOPPED, 0)
    with Session(nest, durable) as session:
        assert session.shell("cat file warm; stat -c %u:%g file") == "kept\nx1000:1000\n"


@pytest.mark.parametrize("kind", ["memory", "durable"])
def test_a_call_on_files_writes_and_reads(nest, durable, kind):
    with Session(nest, durable if kind == "durable" else None) as session:
        written = session.file_call(FILE_WRITE, "d/f", flags=4, size=5, data=b"hello")
        assert struct.unpack_from("=II", written)[0] == 1, written  # FILE_INFO
        assert session.shell("cat d/f; stat -c %u d d/f") == "hello1000\n1000\n"
        assert b"hello" in session.file_call(FILE_READ, "d/f", size=(1 << 64) - 1)
        session.shell("chmod 0 d; ln -s /etc/passwd out")
        assert b"hello" in session.file_call(FILE_READ, "d/f", size=(1 << 64) - 1)
        refused = session.file_call(FILE_READ, "out", size=100)
        assert b"root:" not in refused and struct.unpack_from("=IIi", refused)[2] == errno.EXDEV


def test_a_call_shows_every_process(session):
    pid = started(session, session.start(["sleep", "1001"]))
    joined = session.join()
    session.give(joined, "import time\ntime.sleep(1002)")
    eventually(lambda: b"sleep 1001" in session.file_call(FILE_PROCESSES))
    answer = session.file_call(FILE_PROCESSES)
    assert struct.pack("=I", pid) in answer and struct.pack("=I", joined[1]) in answer


def test_no_more_than_so_many_calls_at_once(session):
    streams = []
    for _ in range(257):
        ours, theirs = socket.socketpair()
        what = struct.pack("=IIQQII", FILE_WRITE, 0, 0, (1 << 64) - 1, 0, 0)
        session.say(FILE, 0, what + b"f\0\0", [theirs.fileno()])
        theirs.close()
        streams.append(ours)
    streams[256].settimeout(20)
    assert streams[256].recv(100) == b""
    assert session.run(["echo", "x"])[1] == b"x\n"
    for stream in streams:
        stream.close()
    eventually(lambda: b"hello" in session.file_call(FILE_WRITE, "g", size=5, data=b"hello") or
               session.shell("cat g 2> /dev/null || true") == "hello")


# -- what they may not

# What a process finds out about itself and its neighbours, as JSON.
LOOK = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)

def refused(call, *args):
    try:
        r = call(*args)
    except OSError as e:
        return e.errno
    return ctypes.get_errno() if r == -1 else 0

status = dict(l.split(":\\t", 1) for l in open("/proc/self/status") if ":\\t" in l)
print(json.dumps({
    "caps": [int(status[k], 16) for k in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")],
    "locks": [status["NoNewPrivs"].strip(), status["Seccomp"].strip()], "uid": os.getresuid(),
    "fds": [n for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)],
    "pids": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
    "others": [n for n in os.listdir("/proc") if not n.isdigit() and "self" not in n],
    "me": os.getpid(), "init": os.path.exists("/proc/1"),
    "kill": [refused(os.kill, 1, 0), refused(os.kill, os.getppid() or 1, 9)],
    "proc": refused(os.open, "/proc/self/oom_score_adj", os.O_WRONLY),
    "mount": refused(libc.mount, b"x", b"/tmp", b"tmpfs", 0, None),
    "ptrace": refused(libc.ptrace, 16, 1, 0, 0), "setns": refused(libc.unshare, 0x10000000),
    "type": refused(libc.ioctl, 0, 0x5412, b"x"),
}))
"""


def check_look(found):
    assert found["caps"] == [0] * 5 and found["locks"] == ["1", "2"] and found["uid"] == [1000] * 3
    assert set(found["fds"]) <= {"0", "1", "2"} and found["others"] == []
    assert not found["init"] and 1 not in found["pids"]
    assert found["proc"] == errno.EROFS and 0 not in found["kill"]
    assert 0 not in (found["mount"], found["ptrace"], found["setns"], found["type"])


def test_a_program_has_every_lock_and_sees_neither_init_nor_its_keeper(session):
    end, out, err = session.run(["python3", "-c", LOOK])
    assert end.status == 0, err
    found = json.loads(out)
    check_look(found)
    assert found["pids"] == [found["me"]]


def test_a_warm_program_has_every_lock_too(session):
    end, out, err = session.python(LOOK)
    assert end.status == 0, err
    check_look(json.loads(out))


def test_a_program_on_a_terminal_has_every_lock_too(session):
    number, tty = session.terminal(["python3", "-c", LOOK])
    text = b"".join(iter(lambda: tty.recv(4096), b""))
    assert session.ended(number).status == 0, text
    check_look(json.loads(text))


def test_while_one_may_join_the_others_gain_nothing(session):
    session.ids = coming = 1
    session.say(ADMIT, coming)
    session.wait(ADMITTED, coming)
    check_look(json.loads(session.run(["python3", "-c", LOOK])[1]))
    session.signal(coming, signal.SIGKILL)
    assert session.ended(coming).error == errno.ECANCELED


def test_nobody_joins_who_was_not_admitted(session):
    def try_to_join():
        status, null = os.pipe(), os.open("/dev/null", os.O_WRONLY)
        job, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        session.nest.join(session.sandbox, [null, null, theirs.fileno(), status[1]])
        for fd in (null, status[1]):
            os.close(fd)
        theirs.close()
        answer = read_all([status[0]])[0]
        job.close()
        return struct.unpack_from("=ii", answer)[0]

    assert try_to_join() != 0
    joined = session.join()
    assert try_to_join() != 0
    session.give(joined, "pass")
    assert session.ended(joined[0]).status == 0


def test_init_has_what_it_needs_and_keepers_have_nothing(session):
    started(session, session.start(["sleep", "1001"]))
    init = session.init_pid()
    children = pathlib.Path(f"/proc/{init}/task/{init}/children").read_text().split()
    caps = {pid: int(line.split()[1], 16) for pid in (init, *children)
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("CapPrm")}
    # CHOWN DAC_OVERRIDE FOWNER KILL SETGID SETUID SETPCAP
    assert caps.pop(init) == sum(1 << cap for cap in (0, 1, 3, 5, 6, 7, 8))
    assert set(caps.values()) == {0} and len(caps) == 1
    opened = os.listdir(f"/proc/{children[0]}/fd")
    assert opened == ["1"], "a keeper holds its socket only"


def waiting_keeper(session):
    """The pid of the keeper that was made ahead, once it is there, and its status."""
    init = session.init_pid()
    children = pathlib.Path(f"/proc/{init}/task/{init}/children")
    found = []

    def waits():
        pids = children.read_text().split()
        if len(pids) != 1:
            return False
        try:
            lines = pathlib.Path(f"/proc/{pids[0]}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return False  # the one before has just gone
        status = dict(line.split(":\t", 1) for line in lines)
        found[:] = pids[0], status
        return status["Seccomp"] == "2" and status["State"].startswith("S")
    eventually(waits)
    return tuple(found)


def test_a_keeper_that_waits_is_locked_in_and_may_only_become_another(session):
    assert session.run(["true"])[0].status == 0
    pid, status = waiting_keeper(session)
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 1 << 6 | 1 << 7  # SETGID SETUID
    assert int(status["CapBnd"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    assert len({os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)}) == 1, "but its socket"
    assert processes(session) == [], "and no program sees it"


def test_a_signal_to_all_harms_no_keeper_that_waits(session):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL):
        waiting_keeper(session)
        session.signal(0, number, ALL)
        end, out, _ = session.run(["echo", "hi"])
        assert (end.status, out) == (0, b"hi\n")


def test_no_directory_leads_to_what_init_has_open(session):
    for fd in range(3, 40):
        end = session.run(["true"], cwd=f"/proc/self/fd/{fd}")[0]
        assert end.error in (errno.ENOENT, errno.EACCES, errno.ENOTDIR), (fd, end)
    for where in ("/proc/1/root", "/proc/1/cwd", "/proc/1/fd/3"):
        assert session.run(["true"], cwd=where)[0].error != 0


def test_processes_of_one_session_reach_each_other(session):
    number = session.start(["python3", "-c", "import socket\ns = socket.socket(socket.AF_UNIX)\n"
                            "s.bind('\\0here')\ns.listen()\nwhile True: s.accept()[0].send(b'hello')"])
    pid = started(session, number)
    code = """
import socket, time
end = time.monotonic() + 10
while True:
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect("\\0here")
        break
    except OSError:
        assert time.monotonic() < end
        time.sleep(0.02)
print(s.recv(5))
"""
    assert session.run(["python3", "-c", code])[1] == b"b'hello'\n"
    assert session.python(f"{code}\nimport os\nos.kill({pid}, 15)")[1] == b"b'hello'\n"
    assert session.ended(number).status == -signal.SIGTERM
