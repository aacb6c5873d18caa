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
from nest import DIST, Nest

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
        assert nest.open().run(["python3", "x"]).failure == "start: python3: No such file or directory"


def test_an_interpreter_that_cannot_serve_is_told_from_one_that_is_slow():
    with Nest("/", nests.RUN, warm=True, files={"/opt/venv/bin/python3": "#!/bin/false\n"}) as nest:
        nest.wait(errno.ENOENT)


def test_a_worn_zygote_is_renewed_and_its_waiting_children_stay_good():
    with warm_nest(forks=3, modules="good") as nest:
        waiting = [nest.open(nests.WARM) for _ in range(3)]
        end = time.monotonic() + 10
        while len(nest.zygotes()) != 4:  # the new one and three middle processes
            assert time.monotonic() < end, nest.zygotes()
            time.sleep(0.02)
        first = {box.run(main="main.py", files={"main.py": WHICH}).out for box in waiting}
        second = {run(nest, WHICH).out for _ in range(2)}
        assert len(first) == len(second) == 1 and first != second
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
