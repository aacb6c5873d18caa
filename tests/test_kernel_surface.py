"""docs/kernel-surface.md says what the filters are, and the filters do what it says, in every kind of
sandbox (R71)."""
import importlib.machinery
import importlib.util
import json
import pathlib
import platform
import subprocess
import textwrap

import pytest

from environments import environment, log
from session_client import session

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the document is of x86-64")

TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools" / "kernel-surface"
NUMBERS = 640  # well beyond the last call there is
ERRNO, KILLED = 0x50000, 31
YOUNGEST = 424  # kernels that are old enough to lack a call from here on are supported

# These end, stop or double the caller, and are made by a child: rt_sigreturn, pause, clone, fork, vfork,
# exit, exit_group, uretprobe.
BY_A_CHILD = {15, 34, 56, 57, 58, 60, 231, 335}
# The kernel lets these two past every filter (kernel/seccomp.c, from Linux 6.14 and 6.18 on): calls that
# only its own uprobes make.  From anywhere else they answer SIGILL and ENXIO.
EXEMPT = {335: {-4}, 336: {6}}

# Each number with arguments of all ones: the errno, 0 if it was done or did not end, or minus the
# signal.  No such call does harm: pids, descriptors and pointers are all invalid.
PROBE = textwrap.dedent(f"""
    import ctypes, json, os, signal
    libc = ctypes.CDLL(None, use_errno=True)
    ones, found = [ctypes.c_long(-1)] * 6, {{}}
    def answer(number):
        ctypes.set_errno(0)
        return ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *ones) == -1 else 0
    for number in range({NUMBERS}):
        if number not in {BY_A_CHILD}:
            found[number] = answer(number)
            continue
        pid = os.fork()
        if pid == 0:
            own = os.getpid()
            signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            code = answer(number)
            os._exit(0 if os.getpid() != own else code)
        found[number] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for start in range(0, {NUMBERS}, 100):  # a line of a build's log has a limit
        print("PROBED", json.dumps({{n: found[n] for n in found if start <= n < start + 100}}), flush=True)
    """)


@pytest.fixture(scope="module")
def surface():
    """tools/kernel-surface as a module."""
    loader = importlib.machinery.SourceFileLoader("kernel_surface", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("kernel_surface", loader))
    loader.exec_module(module)
    return module


def probed(text):
    """number -> what it answered."""
    found = {}
    for line in text.splitlines():
        if "PROBED {" in line:
            found.update(json.loads(line.split("PROBED ", 1)[1]))
    assert len(found) == NUMBERS, text[-2000:]
    return {int(number): code for number, code in found.items()}


def in_session(client, kind):
    """What a session's programs are answered."""
    with session(client, ephemeral=True) as one:
        if kind == "warm run":
            return probed(one.run(PROBE, timeout=50)["stdout"])
        return probed(one.exec(["python3", "-c", PROBE], timeout=50)["stdout"])


def in_run(client, kind):
    """What a run is answered."""
    return probed(client.run(PROBE, timeout=50, fresh=kind == "cold run")["stdout"])


def in_build(client, _):
    """What a setup script is answered."""
    script = f"cat > /tmp/probe.py <<'END'\n{PROBE}\nEND\npython3 /tmp/probe.py\n"
    with environment(client, script) as name:
        return probed(log(client, name))


def test_the_document_is_what_the_filters_are():
    done = subprocess.run([TOOL, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_call_that_a_run_can_reach_has_a_reason(surface):
    found = surface.surface()
    assert len(surface.reachable(found)) > 200
    assert [name for name in surface.reachable(found) if not found[name]["reason"]] == []
    listed = {name for _, names in surface.tables()["seccomp_by_argument"] for name in names.split()}
    by_argument = {name for name, one in found.items() if one["build"][0] == "by argument"
                   or one["cold run"][0] == "by argument"}
    assert by_argument == listed


@pytest.mark.deadline(120)
@pytest.mark.parametrize("look, kind", [(in_run, "cold run"), (in_run, "warm run"),
                                        (in_session, "cold run"), (in_session, "warm run"),
                                        (in_build, "build")])
def test_the_filters_do_what_the_document_says(surface, client, look, kind):
    wrong = {}
    for number, code in look(client, kind).items():
        answer, refusals = surface.decide(surface.STACKS[kind], number)
        refused = {value & 0xffff for value in refusals if value & 0xffff0000 == ERRNO}
        if code in EXEMPT.get(number, ()):
            continue
        if code == -KILLED or (answer == "refused" and code not in refused):
            wrong[number] = (answer, refused, code)
        if answer == "allowed" and number < YOUNGEST and code == 38:
            wrong[number] = (answer, code)
    assert not wrong
