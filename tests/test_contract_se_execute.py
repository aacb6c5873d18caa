"""The session routes of sandbox_runtime: execute and execute_code (contract B6.1)."""
import time

import pytest

from se import PREFIX, Workspace, refusal, se_client, shared, value, workspace  # noqa: F401 (fixtures)
from slowness import stretched


def test_execute_answers_with_the_exact_bytes_and_both_names_of_the_code(shared):
    found = shared.execute("printf 'a\\n\\n'; printf 'e' >&2; exit 3")
    assert (found["stdout"], found["stderr"]) == ("a\n\n", "e")
    assert (found["returncode"], found["exit_code"]) == (3, 3)
    found = shared.execute("true")
    assert (found["stdout"], found["stderr"], found["returncode"]) == ("", "", 0)


def test_the_command_is_a_shells_and_each_argument_is_one_word(shared):
    assert shared.execute("echo a; echo b | tr b c")["stdout"] == "a\nc\n"
    hostile = ["a  b", "$HOME", "it's", "x;id", "*", "", "`id`", "\n"]
    found = shared.execute("printf '[%s]'", *hostile)
    assert found["stdout"] == "".join(f"[{arg}]" for arg in hostile)
    assert shared.execute("[[ a == a ]] && echo bash")["stdout"] == "bash\n"
    assert shared.post("execute", {"command": "echo null", "args": None})["stdout"] == "null\n"


def test_output_that_is_no_utf_8_is_replaced(shared):
    assert shared.execute(r"printf 'a\xffb'")["stdout"] == "a\ufffdb"
    found = shared.execute("echo '=== STDERR ==='; echo x")
    assert (found["stdout"], found["stderr"]) == ("=== STDERR ===\nx\n", "")


def test_what_a_command_sees(shared):
    found = shared.execute("pwd; echo $HOME $PYTHONPATH; touch kept; id -u; echo $$")
    where, variables, uid, _ = found["stdout"].splitlines()
    assert (where, variables, uid) == ("/workspace", "/workspace /workspace", "1000")
    assert shared.execute("ls kept")["stdout"] == "kept\n"


def test_unknown_commands_and_signals_have_a_shells_codes(shared):
    assert shared.execute("no-such-command")["returncode"] == 127
    assert shared.execute("kill -9 $$")["returncode"] == 137


def test_a_timeout_ends_a_command_with_what_it_had_said(shared):
    start = time.monotonic()
    found = shared.execute("echo before; sleep 60 & sleep 60", timeout=1)
    assert time.monotonic() - start < stretched(8)
    assert (found["stdout"], found["returncode"], found["timed_out"]) == ("before\n", 124, True)
    assert shared.execute("pgrep sleep")["stdout"] == ""
    assert shared.post("execute", {"command": "true", "timeout": 999999}).status == 422


def test_execute_checks_its_body(shared):
    for body in ({}, {"command": 1}, {"command": "x", "args": "y"}, {"command": "x", "args": [1]}):
        answer = shared.post("execute", body)
        assert answer.status == 422, body
        assert "url" not in answer["detail"][0]


def test_calls_at_once_in_a_session_have_their_own_output(server, shared):
    import client as clients
    jobs = [lambda i=i: Workspace(server.client(), shared.id).execute(
        f"for n in 1 2 3; do echo {i}; sleep 0.1; done")["stdout"] for i in range(5)]
    assert clients.together(jobs) == [f"{i}\n" * 3 for i in range(5)]


def test_a_client_that_goes_away_ends_its_command(server, workspace):
    from client import send_and_hold, wait_until
    workspace.make()
    sock = send_and_hold(server.port, {"command": "touch started; sleep 50; touch ended"},
                         path=f"{PREFIX}/execute/{workspace.id}")
    wait_until(lambda: "started" in workspace.names(), 10, "the command runs")
    sock.close()
    wait_until(lambda: workspace.execute("pgrep -x sleep")["stdout"] == "", 10, "it has ended")


def test_allowed_commands_are_the_operators(make_server):
    one = Workspace(make_server(ALLOWED_COMMANDS="echo, ls").client())
    assert one.execute("echo yes")["stdout"] == "yes\n"
    refusal(one.post("execute", {"command": "cat x"}), 403, "Command not allowed", "ALLOWED")


# -- execute_code

def test_code_runs_as_a_script_that_stays(workspace):
    found = workspace.code("import sys; print(sys.argv[1:], __name__)", args=["a b", "$x"],
                           filename="mine")
    assert found["stdout"] == "['a b', '$x'] __main__\n"
    assert workspace.names() == ["mine.py"]
    workspace.code("print(1)", filename="a.txt")
    workspace.code("print(1)", filename="sub/deep.py")
    assert workspace.names(recursive="true") == ["a.txt.py", "mine.py", "sub/deep.py"]
    assert workspace.code("import mine", filename="sub/deep.py")["stdout"] == "[] mine\n"


def test_default_names_are_unique_within_a_second(workspace):
    for _ in range(3):
        assert workspace.code("print(1)", filename=None, args=[], output_params=[])["stdout"] == "1\n"
    names = workspace.names()
    assert len(names) == 3
    assert all(name.startswith("script_") and name[7:-3].isdigit() and name.endswith(".py")
               for name in names)


def test_an_error_is_the_scripts_and_names_no_file_of_ours(shared):
    for more in ({}, {"output_params": ["x"]}):
        found = shared.code("x = 1\ndef f():\n    1/0\nf()", filename="err", **more)
        assert found["returncode"] == 1
        assert "ZeroDivisionError" in found["stderr"]
        assert "/opt/dunlin" not in found["stderr"]
    assert shared.code("import sys; sys.exit(7)")["returncode"] == 7
    assert shared.code("def (", filename="syntax")["returncode"] == 1


def test_shell_and_javascript_run(shared):
    found = shared.code("echo $1 $BASH_VERSION; exit 4", script_type="shell", args=["x y"])
    assert found["stdout"].startswith("x y ")
    assert found["returncode"] == 4
    found = shared.code("console.log(process.argv.slice(2))", script_type="javascript", args=["a"])
    assert found["stdout"] == "[ 'a' ]\n" or found["returncode"] == 127


def test_another_script_type_is_refused(shared):
    refusal(shared.post("execute_code", {"code": "1", "script_type": "perl"}), 400,
            "Unsupported script type", "")


@pytest.mark.parametrize("name, words", [
    ("../esc", "cannot start"), ("a/../../esc", "cannot contain"), ("out/esc", "would escape")])
def test_file_names_of_code_stay_inside(shared, name, words):
    shared.execute("ln -sfn /tmp out")
    answer = shared.post("execute_code", {"code": "1", "filename": name})
    refusal(answer, 400, "Invalid file path", words)


def test_output_params_give_variables(workspace):
    found = workspace.code("""
import datetime
a = {"b": [1, 2.5, None, "中"], 3: (4,)}
when = datetime.date(2025, 1, 2)
nan = float("nan")
many = [float("inf")]
def function(): pass
print("out")
""", output_params=["a", "when", "nan", "many", "function", "missing", "__name__"])
    assert found["stdout"] == "out\n"
    variables = found["output_variables"]
    assert variables.pop("function").startswith("<function function at")
    assert variables == {"a": {"b": [1, 2.5, None, "中"], "3": [4]}, "when": "2025-01-02",
                         "nan": None, "many": [None], "__name__": "__main__"}
    assert len(workspace.names()) == 1
    assert workspace.execute("ls -A")["stdout"].count("\n") == 1


def test_output_params_paste_nothing_into_the_code(workspace):
    hostile = ['x"]); open("pwned", "w"); print(["', "a\nimport os", "'''"]
    found = workspace.code("a = 1", output_params=hostile)
    assert found["output_variables"] == {}
    assert "pwned" not in workspace.names()
    assert workspace.execute("cat *.py")["stdout"] == "a = 1"


def test_without_a_good_end_there_are_no_variables(shared):
    for code in ("x = 1\n1/0", "x = 1\nimport sys; sys.exit(0)", "x = 1\nimport os; os._exit(0)"):
        assert shared.code(code, output_params=["x"])["output_variables"] == {}
    assert "output_variables" not in shared.code("x=1")
    assert "output_variables" not in shared.code("x=1", output_params=[])
    assert "output_variables" not in shared.code("x=1", script_type="shell", output_params=["x"])


def test_python_is_warm_in_a_session(shared):
    shared.code("pass")
    times = []
    for _ in range(5):
        start = time.monotonic()
        assert shared.code("print(1)")["stdout"] == "1\n"
        times.append(time.monotonic() - start)
    assert sorted(times)[2] < 0.2
