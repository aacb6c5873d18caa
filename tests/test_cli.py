"""The commands that need no server: dunlin version and dunlin run."""
import json
import re

import pytest

from server import dunlin


@pytest.fixture
def run(spare_directory, tmp_path):
    """run(code, *args, flags=(), stdin="") runs `dunlin run FILE args...` without a server."""
    def run_code(code, *args, flags=(), stdin="", name="script.py"):
        path = tmp_path / name
        path.write_text(code)
        return dunlin("run", *flags, path, *args, env={"DATA": str(spare_directory)}, input=stdin,
                      cwd=tmp_path)
    return run_code


def test_version_is_printed_and_ends_with_zero():
    ended = dunlin("version", seconds=10)
    assert ended.returncode == 0 and re.search(r"\d+\.\d+", ended.stdout)


def test_a_file_is_run_and_its_output_passed_on(run):
    ended = run("import sys; print('out'); print('err', file=sys.stderr)")
    assert (ended.returncode, ended.stdout) == (0, "out\n")
    assert "err\n" in ended.stderr


def test_the_exit_code_is_the_runs(run):
    assert run("raise SystemExit(7)").returncode == 7
    assert run("1/0").returncode == 1
    assert run("import os; os.kill(os.getpid(), 9)").returncode == 128 + 9


def test_arguments_and_stdin_reach_the_code(run):
    ended = run("import sys; print(sys.argv[1:], sys.stdin.read())", "a b", "--flag", stdin="in")
    assert ended.stdout == "['a b', '--flag'] in\n", ended.stderr


def test_a_dash_reads_the_code_from_stdin(spare_directory):
    ended = dunlin("run", "-", env={"DATA": str(spare_directory)}, input="print('from stdin')")
    assert (ended.returncode, ended.stdout) == (0, "from stdin\n")


def test_json_prints_the_whole_result_and_nothing_else(run):
    ended = run("print('x'); raise SystemExit(3)", flags=["--json"])
    result = json.loads(ended.stdout)
    assert ended.returncode == 3
    assert (result["stdout"], result["exit_code"], result["success"]) == ("x\n", 3, False)
    assert "\x1b" not in ended.stdout + ended.stderr


def test_a_run_is_isolated_without_a_server_too(run):
    ended = run("import os; print(os.getuid(), os.getcwd(), os.path.exists('/work'))")
    assert ended.stdout == "1000 /sandbox False\n"


def test_a_missing_file_is_an_error_that_names_it(spare_directory):
    ended = dunlin("run", "/nonexistent/x.py", env={"DATA": str(spare_directory)}, seconds=20)
    assert ended.returncode != 0 and "/nonexistent/x.py" in ended.stderr


def test_an_unknown_command_is_an_error_that_says_where_the_list_is():
    ended = dunlin("fly", seconds=10)
    assert ended.returncode == 2
    assert "fly" in ended.stderr and "--help" in ended.stderr
    listed = dunlin("--help", seconds=10).stdout
    assert all(name in listed for name in ("serve", "run", "doctor", "version"))
