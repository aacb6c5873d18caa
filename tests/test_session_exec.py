"""Commands and code in sessions: exec, run, processes."""
import base64
import shutil
import time

import pytest

import host
from client import send_and_hold, together, unique_name, wait_until
from session_client import eventually, session
from slowness import stretched


@pytest.fixture(scope="module", name="one")
def a_session(server):
    with session(server.client(), ephemeral=True) as it:
        yield it


def test_a_command_is_shell_text_or_an_argv(one):
    assert one.shell("echo a b | wc -w; pwd; echo $HOME") == "2\n/workspace\n/workspace\n"
    answer = one.exec(["printf", "%s|", "a b", "$HOME", ";", ""])
    assert answer["stdout"] == "a b|$HOME|;||"


@pytest.mark.parametrize("line", [
    "/usr/bin/printenv PWD _ SHLVL X OLDPWD", "cat 'a $b'", "cat missing", "no-such-program x",
    "/tmp", "./script", "./no-exec", "sh -c 'kill -9 $$'", "echo a  b '' c"])
def test_a_line_without_shell_words_does_as_in_a_shell(one, line):
    one.shell("mkdir -p plain; cd plain; echo in > 'a $b'; cp 'a $b' no-exec; echo 'echo $0 $X' > "
              "script; chmod +x script")
    told = [one.exec(text, cwd="plain", env={"X": "1 2"}) for text in (line, line + " ;")]
    assert len({(a["stdout"], a["stderr"], a["exit_code"], a["signal"]) for a in told}) == 1, told


def test_an_answer_has_all_its_members(one):
    answer = one.exec("echo out; echo err >&2; exit 3")
    assert answer["stdout"] == "out\n" and answer["stderr"] == "err\n"
    assert answer["exit_code"] == 3 and answer["signal"] is None and not answer["timed_out"]
    assert answer["limits_hit"] == [] and not answer["stdout_truncated"]
    assert answer["process"] > 0 and answer["duration_ms"] > 0


def test_cwd_env_and_stdin_are_heeded(one):
    one.shell("mkdir -p sub")
    answer = one.exec("pwd; echo $X; cat", cwd="sub", env={"X": "1 2"}, stdin="in\nput")
    assert answer["stdout"] == "/workspace/sub\n1 2\nin\nput"
    assert one.exec("cat")["stdout"] == ""


def test_text_that_is_no_utf8_is_replaced(one):
    assert one.exec(r"printf 'a\377b'")["stdout"] == "a�b"


def test_output_is_cut_and_the_command_goes_on(one):
    answer = one.exec("head -c 300000 /dev/zero | tr '\\0' a; echo done > flag", output_kb=1)
    assert answer["stdout"] == "a" * 1024 and answer["stdout_truncated"]
    assert "output" in answer["limits_hit"] and answer["exit_code"] == 0
    assert one.read("flag") == b"done\n"


def test_a_deadline_ends_everything_that_was_started(one):
    answer = one.exec("echo before; sleep 100 & sleep 100", timeout=0.3)
    assert answer["timed_out"] and answer["limits_hit"] == ["time"]
    assert answer["stdout"] == "before\n" and answer["signal"] == "SIGKILL"
    eventually(lambda: "sleep" not in str(one.get("/processes?all=true")["tree"]))


def test_a_signal_is_told(one):
    answer = one.exec("kill -TERM $$")
    assert (answer["exit_code"], answer["signal"]) == (-15, "SIGTERM")


def test_what_cannot_be_started_says_so_as_a_shell_would(one):
    answer = one.exec(["no-such-program"])
    assert answer["exit_code"] == 127 and "no-such-program" in answer["stderr"]
    assert one.exec("true", cwd="no/such")["exit_code"] == 127
    refused = one.post("/exec", argv=["no-such-program"], background=True)
    assert refused.status == 400 and "no-such-program" in refused["detail"]


@pytest.mark.parametrize("wanted", [
    {}, {"command": "true", "argv": ["true"]}, {"argv": []}, {"argv": [""]}, {"argv": [1]},
    {"argv": "ls"}, {"command": 1}, {"command": "a\0b"}, {"argv": ["a\0b"]},
    {"command": "true", "timeout": 0}, {"command": "true", "timeout": -1},
    {"command": "true", "timeout": 1e9}, {"command": "true", "timeout": "soon"},
    {"command": "true", "env": {"A=B": "x"}}, {"command": "true", "env": "A=B"},
    {"command": "true", "rows": 0}, {"command": "true", "rows": 100000, "terminal": True},
    {"command": "true", "output_kb": 0}, {"command": "true", "stdin": 7},
    {"command": "x" * 70000}])
def test_a_command_that_is_none_is_refused(one, wanted):
    answer = one.post("/exec", **wanted)
    assert answer.status == 422, answer.text
    assert isinstance(answer["detail"], list)


def test_bodies_that_are_no_json_are_refused(one):
    for body in (b"{", b"", b"\xff", b"[]"):
        assert one.client.post(body, path=one.path + "/exec").status == 422
    answer = one.client.request("POST", one.path + "/exec", data=b'{"command":"true"}',
                                headers={"Content-Type": "text/plain"})
    assert answer.status == 422


def test_calls_side_by_side_do_not_mix(one):
    """Contract section 12, item 21."""
    def ask(i):
        client = one.client.clone()
        answer = client.post({"command": f"for i in 1 2 3; do echo {i}; done; sleep 0.1; echo {i}"},
                             path=one.path + "/exec")
        return answer["stdout"] == f"{i}\n" * 4
    assert all(together([lambda i=i: ask(i) for i in range(12)]))


def test_a_client_that_goes_ends_its_call(one, server):
    sock = send_and_hold(server.port, {"command": "echo $$ > pid; exec sleep 1000"},
                         path=one.path + "/exec")
    eventually(lambda: one.get("/files/pid").status == 200)
    sock.close()
    eventually(lambda: "sleep 1000" not in str(one.get("/processes?all=true")["tree"]))


# -- code

def test_python_is_warm_the_second_time(one):
    first = one.run("import sys; print(sys.argv[1:]); print(__file__.startswith('/tmp/'))",
                    args=["a b"])
    assert first["stdout"] == "['a b']\nTrue\n"
    eventually(lambda: one.run("print(1)")["warm"])
    assert one.run("import os; print(os.getcwd())")["stdout"] == "/workspace\n"


def test_modules_of_the_workspace_can_be_imported(one):
    one.write("helper.py", b"def f(): return 42")
    assert one.run("import helper; print(helper.f())")["stdout"] == "42\n"


@pytest.mark.parametrize("language, code, out", [
    ("shell", "echo $1; echo ${#@}", "q r\n1\n"),
    ("javascript", "console.log(process.argv[2])", "q r\n"),
    ("python3", "import sys; print(sys.argv[1])", "q r\n")])
def test_other_languages_run(one, language, code, out):
    if language == "javascript" and not shutil.which("node"):
        pytest.skip("the machine has no node")
    assert one.run(code, language=language, args=["q r"])["stdout"] == out


def test_code_with_a_filename_stays(one):
    answer = one.run("print(__file__)\nraise ValueError('x')", filename="lib/t.py")
    assert answer["stdout"] == "/workspace/lib/t.py\n" and answer["exit_code"] == 1
    assert 'File "/workspace/lib/t.py", line 2' in answer["stderr"]
    assert one.read("lib/t.py").startswith(b"print")
    assert one.shell("ls /tmp | grep -c run- || true") == "0\n"


def test_code_of_any_bytes_is_never_pasted_anywhere(one):
    code = "print(" + repr("$(touch pwned) `touch pwned` '\"; touch pwned\n") + ")"
    assert "pwned" in one.run(code)["stdout"]
    assert one.get("/stat?path=pwned").status == 404


def test_memory_is_said_to_have_been_the_limit(client):
    with session(client, ephemeral=True, limits={"memory_mb": 64}) as s:
        answer = s.run("a = bytearray(10**9)")
        assert answer["exit_code"] != 0 and answer["limits_hit"] == ["memory"], answer.text
        assert s.shell("echo alive") == "alive\n"


@pytest.mark.parametrize("wanted", [
    {}, {"code": None}, {"code": 1}, {"code": "1", "language": "cobol"}, {"code": "1", "args": "x"},
    {"code": "1", "filename": "../x.py"}, {"code": "1", "filename": "/etc/x.py"},
    {"code": "1", "filename": ""}, {"code": "1", "filename": "x" * 300}, {"code": "x" * 2000000}])
def test_code_that_is_none_is_refused(one, wanted):
    answer = one.post("/run", **wanted)
    assert answer.status in (413, 422), answer.text


# -- processes

def test_a_process_in_the_background_is_listed_and_heard(one):
    number = one.background("echo started; read x; echo got $x", stdin_open=True)
    found = one.get(f"/processes/{number}").body
    assert found["running"] and found["background"] and found["exit_code"] is None
    assert found["command"].startswith("echo started") and found["ended_at"] is None
    assert number in [p["process"] for p in one.get("/processes")["processes"]]
    tree = one.get("/processes?all=true")["tree"]
    assert [p["parent"] for p in tree if p["process"] == number]
    answer = one.client.request("POST", f"{one.path}/processes/{number}/stdin?close=true",
                                data=b"it\n")
    assert answer.status == 204
    eventually(lambda: not one.get(f"/processes/{number}")["running"])
    ended = one.get(f"/processes/{number}").body
    assert ended["exit_code"] == 0 and ended["ended_at"] >= ended["started_at"]
    output = one.get(f"/processes/{number}/output").body
    assert output == {"stdout": "started\ngot it\n", "stderr": "", "running": False,
                      "next": {"stdout": 15, "stderr": 0}}
    assert one.get(f"/processes/{number}/output?stdout=8")["stdout"] == "got it\n"
    assert one.client.request("DELETE", f"{one.path}/processes/{number}").status == 204
    assert one.get(f"/processes/{number}").status == 404


@pytest.mark.parametrize("signal", ["TERM", "SIGTERM", "term", 15, "15"])
def test_signals_have_names_and_numbers(one, signal):
    number = one.background("sleep 100")
    assert one.post(f"/processes/{number}/signal", signal=signal).status == 204
    eventually(lambda: not one.get(f"/processes/{number}")["running"])
    assert one.get(f"/processes/{number}")["signal"] == "SIGTERM"
    assert one.post(f"/processes/{number}/signal", signal=signal).status == 409


@pytest.mark.parametrize("signal", [0, -1, 99, "NOPE", "", None, [], "SIG"])
def test_signals_that_are_none_are_refused(one, signal):
    number = one.background("sleep 100")
    assert one.post(f"/processes/{number}/signal", signal=signal).status == 422
    assert one.client.request("DELETE", f"{one.path}/processes/{number}").status == 204


@pytest.mark.parametrize("name", ["0", "-1", "999999", "x", "1x", "01", "%2e%2e", "4294967297"])
def test_unknown_processes_are_404(one, name):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/output"), ("POST", "/stdin")):
        assert one.client.request(method, f"{one.path}/processes/{name}{path}").status == 404


def test_offsets_that_are_absurd(one):
    number = one.background("printf abc")
    eventually(lambda: not one.get(f"/processes/{number}")["running"])
    path = f"/processes/{number}/output"
    assert one.get(path + "?stdout=-1").status == one.get(path + "?stdout=x").status == 422
    assert one.get(path + "?stdout=99999999999999")["next"]["stdout"] == 3


def test_the_number_of_processes_is_bounded(client):
    with session(client, ephemeral=True, limits={"processes": 400}) as s:
        answers = [s.post("/exec", argv=["sleep", "100"], background=True).status
                   for _ in range(129)]
        assert answers[:128] == [202] * 128 and answers[128] == 429


def test_a_resize_needs_a_terminal(one):
    number = one.background("sleep 100")
    assert one.post(f"/processes/{number}/resize", rows=10, columns=10).status == 409
    with_terminal = one.background("sleep 100; stty size", terminal=True)
    assert one.post(f"/processes/{with_terminal}/resize", rows=10, columns=33).status == 204
    assert one.post(f"/processes/{with_terminal}/resize", rows=0, columns=33).status == 422
    for process in (number, with_terminal):
        one.client.request("DELETE", f"{one.path}/processes/{process}")


def test_large_bodies_and_answers_pass(one):
    text = base64.b64encode(bytes(range(256)) * 6000).decode()
    answer = one.exec("cat", stdin=text)
    assert answer["stdout"] == text and not answer["stdout_truncated"]


def test_a_command_is_quick(one):
    times = []
    for _ in range(20):
        start = time.monotonic()
        one.exec(["echo", "hi"])
        times.append(time.monotonic() - start)
    assert sorted(times)[10] < stretched(0.05)


def test_what_a_call_leaves_behind_ends_but_a_warm_programs_own_sessions(server):
    """Of warm Python nobody is the parent who could know them (docs/sessions.md)."""
    with session(server.client(), ephemeral=True) as one:
        mark, names = unique_name("l"), "abcd"
        for name in names:
            one.shell(f"ln -s /usr/bin/sleep /tmp/{mark}{name}")
        eventually(lambda: one.run("print(1)")["warm"])
        leave = "import subprocess; subprocess.Popen(['/tmp/{}', '500'], start_new_session={}).pid"
        assert one.run(leave.format(mark + "a", False))["warm"]
        assert one.run(leave.format(mark + "b", True))["warm"]
        one.exec(f"setsid -f /tmp/{mark}c 500; /tmp/{mark}d 500 &")
        assert [name for name in names if host.named(mark + name)] == ["b"]
    wait_until(lambda: not host.named(mark + "b"), 10, "it ends with the session")
