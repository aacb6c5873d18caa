"""The zygote of an environment: dunlin-init without a server, on a virtual environment made up for
the test.  Which interpreter it takes, what it imports, how it is renewed, and what it survives.
"""
import errno
import pathlib
import re
import shutil
import sys
import time

import pytest

import nest as nests
from nest import DIST, JOB_RUNNER, Nest

VERSION = "python%d.%d" % sys.version_info[:2]
PACKAGES = f"/opt/venv/lib/{VERSION}/site-packages"
VENV = {
    "/opt/venv/bin/python3": pathlib.Path("/usr/bin/python3"),
    "/opt/venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\n",
    f"{PACKAGES}/good.py": "import good_child\n",
    f"{PACKAGES}/good_child.py": "",
    f"{PACKAGES}/better.py": "",
    f"{PACKAGES}/policy.py": "name = 'the package'\n",
    f"{PACKAGES}/raises.py": "1 / 0\n",
    f"{PACKAGES}/exits.py": "raise SystemExit(3)\n",
    f"{PACKAGES}/closes.py": "import os\nos._exit(0)\n",
    f"{PACKAGES}/sleeps.py": "import time\ntry:\n    time.sleep(100)\nexcept BaseException:\n"
                             "    time.sleep(100)\n",
    f"{PACKAGES}/hoards.py": "kept = b'x' * (1100 << 20)\n",
}
LOADED = "import sys; print(*(m for m in ('good', 'better', 'policy', 'raises', 'exits') if m in sys.modules))"
WHICH = "print(hash('which zygote'))"  # children of one share its seed


def warm_nest(**more):
    nest = Nest("/", nests.RUN, warm=True, files=VENV, **more)
    nest.wait()
    return nest


def run(nest, code, **more):
    return nest.open(nests.WARM).run(main="main.py", files={"main.py": code}, **more)


def test_an_environments_first_interpreter_is_the_warm_one():
    with warm_nest() as nest:
        result = run(nest, "import os, sys; print(sys.prefix, sys.executable, os.environ['PATH'])")
        assert result.out.split() == ["/opt/venv", "/opt/venv/bin/python3", nests.PATH]
        cold = nest.open().run(["python3", "-c", "import sys; print(sys.executable)"])
        assert cold.out.split() == ["/opt/venv/bin/python3"]


def test_modules_are_imported_ahead_and_bad_ones_left_out():
    modules = "good\nraises\nno.such\nexits\n../x\n\nbetter"
    with warm_nest(modules=modules) as nest:
        assert run(nest, LOADED).out.split() == ["good", "better"]
        assert "ZeroDivisionError" in run(nest, "import raises").err


def test_an_environments_modules_may_have_the_names_of_ours():
    with warm_nest(modules="policy") as nest:
        result = run(nest, "import policy, sys; print(policy.name, 'runner' in sys.modules)")
        assert result.out == "the package False\n"


def test_a_module_beyond_the_memory_budget_is_dropped_with_those_behind_it():
    with warm_nest(modules="good\nhoards\nbetter") as nest:
        assert run(nest, LOADED).out.split() == ["good"]


def test_a_module_beyond_the_time_budget_is_dropped_with_those_behind_it(tmp_path):
    runtime = shutil.copytree(DIST / "share/dunlin/runtime", tmp_path / "runtime")
    script = runtime / "python/zygote.py"
    script.write_text(re.sub("IMPORT_SECONDS = .*", "IMPORT_SECONDS = 1", script.read_text()))
    tmp_path.chmod(0o755)
    with warm_nest(modules="good\nsleeps\nbetter", runtime=runtime) as nest:
        assert run(nest, LOADED).out.split() == ["good"]
        assert run(nest, "import _signal; print(_signal.getitimer(0), _signal.getsignal(14))"
                   ).out == "(0.0, 0.0) 0\n"


def test_a_sandbox_waits_for_a_zygote_that_still_imports():
    files = {**VENV, f"{PACKAGES}/slow.py": "import time\ntime.sleep(6)\n"}
    with Nest("/", nests.RUN, warm=True, files=files, modules="slow") as nest:
        while nest.zygotes() == []:
            time.sleep(0.01)
        assert run(nest, "import slow; print(1)").out == "1\n"


def test_a_module_that_ends_the_interpreter_costs_the_whole_list():
    with warm_nest(modules="good\ncloses\nbetter") as nest:
        result = run(nest, LOADED)
        assert (result.status, result.out) == (0, "\n")


def test_without_an_interpreter_warm_sandboxes_are_refused(tmp_path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    with Nest(tmp_path, nests.RUN, warm=True) as nest:
        assert nest.ping() == errno.ENOENT
        with pytest.raises(FileNotFoundError):
            nest.open(nests.WARM)
        result = nest.open().run(["python3", "x"])
        assert result.status == 127 and "python3 cannot be started" in result.err


def test_an_interpreter_that_cannot_serve_is_told_from_one_that_is_slow():
    with Nest("/", nests.RUN, warm=True, files={"/opt/venv/bin/python3": "#!/bin/false\n"}) as nest:
        nest.wait(errno.ENOENT)


def test_a_worn_zygote_is_renewed_and_its_waiting_children_stay_good():
    with warm_nest(forks=4, modules="good") as nest:
        waiting = [nest.open(nests.WARM) for _ in range(4)]
        first = waiting.pop().run(main="main.py", files={"main.py": WHICH}).out
        end = time.monotonic() + 10
        while run(nest, WHICH).out == first:
            assert time.monotonic() < end
        while len(nest.zygotes()) != 4:  # the new one and three middle processes
            assert time.monotonic() < end, nest.zygotes()
            time.sleep(0.02)
        for box in waiting:
            assert box.run(main="main.py", files={"main.py": WHICH}).out == first
        assert run(nest, LOADED).out.split() == ["good"]


def test_nothing_of_worn_zygotes_is_left():
    with warm_nest(forks=1) as nest:
        seen = set()
        for _ in range(12):
            seen.add(run(nest, WHICH).out)
            time.sleep(0.15)
        assert len(seen) >= 3
        end = time.monotonic() + 10
        while len(nest.zygotes()) != 1:
            assert time.monotonic() < end, nest.zygotes()
            time.sleep(0.02)


def test_no_run_is_lost_while_zygotes_are_renewed():
    with warm_nest(forks=5) as nest:
        for _ in range(60):
            boxes = [nest.open(nests.WARM) for _ in range(4)]
            assert [box.run(main="main.py", files={"main.py": "print(1)"}).out for box in boxes] == ["1\n"] * 4


HINTS = [
    ("print(1)", None),
    ("import sys, math", None),
    ("import good", "good,good_child"),
    ("import helper", "good,good_child"),
    ("def f():\n    import good\nf()", "good,good_child"),
    ("import good, sys; sys.exit(3)", "good,good_child"),
    ("import good; 1 / 0", "good,good_child"),
    ("import os, good; os._exit(0)", None),
    ("import os, good; os.close(1); os.close(2)", "good,good_child"),
    ("import sys; sys.modules.update({'x' * 40: sys, 'm\u00e9': sys, 'n' * 31: sys})", "n" * 31),
    ("import sys; sys.modules.update({f'{\"n\" * 29}{i:02}': sys for i in range(60)})",
     ",".join(f"{'n' * 29}{i:02}" for i in reversed(range(28, 60)))),
]


@pytest.fixture(scope="module")
def bare():
    with warm_nest() as nest:
        yield nest


@pytest.mark.parametrize("code,modules", HINTS)
def test_a_run_says_which_modules_it_imported(bare, code, modules):
    files = {"main.py": code, "helper.py": "import good\n"}
    result = bare.open(nests.WARM).run(main="main.py", files=files)
    assert result.modules == modules, result.err
    argv = ["python3", "-u", "/opt/dunlin/python/runner.py"]
    result = bare.open().run(argv, main="main.py", files=files, flags=JOB_RUNNER)
    assert result.modules == ("math" if "math" in code else modules), result.err


def test_modules_that_a_zygote_has_are_said_when_the_program_names_them():
    with warm_nest(modules="better\ngood") as nest:
        assert run(nest, "import good").modules == "good"
        assert run(nest, "def f():\n    import better\n").modules == "better"
        assert run(nest, "print(1)").modules is None


@pytest.mark.parametrize("trick", [
    "os.symlink('/etc/passwd', path)", "os.mkfifo(path)", "os.mkdir(path)",
    "open(path, 'w').write('x' * 1025)", "open(path, 'w').truncate(1 << 40)", "open(path, 'w')",
    "socket.socket(socket.AF_UNIX).bind(path)",
])
def test_a_hint_that_is_no_short_file_is_passed_over(bare, trick):
    result = run(bare, f"import os, socket\npath = '/dev/shm/.modules'\n{trick}\nos._exit(5)")
    assert (result.status, result.modules) == (5, None), result.err
