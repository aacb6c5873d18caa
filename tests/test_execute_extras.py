"""What POST /execute has beyond the contract: languages, input, limits, streaming, usage."""
import base64
import json
import os
import shutil
import time

import pytest

from client import together
from slowness import stretched

MB = 1 << 20


def b64(text):
    """base64 as clients send it."""
    return base64.b64encode(text.encode()).decode()


def refused_field(answer):
    """Where a 422 says the fault is."""
    assert answer.status == 422, f"{answer.status}: {answer.text[:300]}"
    return answer["detail"][0]["loc"]


# -- languages

HELLO = {"python": "print('hi')", "py": "print('hi')", "python3": "print('hi')",
         "Python": "print('hi')", "shell": "echo hi", "bash": "echo hi", "sh": "echo hi"}
if shutil.which("node"):
    HELLO.update({"javascript": "console.log('hi')", "js": "console.log('hi')",
                  "node": "console.log('hi')"})


@pytest.mark.parametrize("language", HELLO)
def test_hello_in_each_language(client, language):
    answer = client.run(HELLO[language], language=language)
    assert (answer["stdout"], answer["stderr"], answer["success"]) == ("hi\n", "", True)
    assert answer["files"] == {}


@pytest.mark.parametrize("language", ["cobol", "", "python ", "../python", "x" * 10000])
def test_an_unknown_language_is_422_and_names_the_field(client, language):
    answer = client.post({"code": "1", "language": language})
    assert refused_field(answer) == ["body", "language"]


@pytest.mark.parametrize("language, code", [
    ("shell", "read line; echo \"$line $1 $NAME $(pwd)\"; exit 3"),
    ("javascript", "const fs = require('fs'); console.log(fs.readFileSync(0, 'utf8').trim(), "
                   "process.argv[2], process.env.NAME, process.cwd()); process.exit(3)"),
    ("python", "import os, sys; print(input(), sys.argv[1], os.environ['NAME'], os.getcwd()); "
               "sys.exit(3)")])
def test_stdin_args_env_directory_and_status_in_each_language(client, language, code):
    if language not in HELLO:
        pytest.skip("the machine has no node")
    answer = client.run(code, language=language, stdin="in\n", args=["a b"], env={"NAME": "值"})
    assert answer["stdout"] == "in a b 值 /sandbox\n", answer["stderr"]
    assert (answer["exit_code"], answer["success"]) == (3, False)


def test_a_shell_command_killed_by_a_signal_says_so(client):
    answer = client.run("kill -9 $$", language="shell")
    assert (answer["signal"], answer["success"]) == (9, False)


def test_javascript_files_come_back_and_its_error_is_in_stderr(client):
    if "javascript" not in HELLO:
        pytest.skip("the machine has no node")
    answer = client.run("require('fs').writeFileSync('out.txt', 'x'); throw new Error('no')",
                        language="javascript")
    assert answer["exit_code"] == 1 and "Error: no" in answer["stderr"]
    assert answer["files"] == {"out.txt": b64("x")}


# -- stdin, args, env


def test_stdin_of_a_megabyte_arrives_whole_and_need_not_be_read(client):
    text = "行\n" * (MB // 4)
    code = "import sys; print(len(sys.stdin.buffer.read()))"
    assert client.run(code, stdin=text)["stdout"] == f"{len(text.encode())}\n"
    answer = client.run("print('unread')", stdin=text)
    assert answer["stdout"] == "unread\n" and answer.seconds < stretched(2)


def test_args_arrive_exactly(client):
    args = ["", " ", "a b", "'\"$(id)`;|&", "-c", "--help", "语言😀", "\n", "x" * 20000]
    found = client.find("import json, sys; print(json.dumps(sys.argv[1:]))", args=args)
    assert found == args


def test_env_arrives_exactly(client):
    env = {"A": "", "B_1": "a=b c", "路": "语😀", "PYTHONPATH": "/nowhere", "HOME": "/tmp"}
    found = client.find("import json, os; print(json.dumps(dict(os.environ)))", env=env)
    assert found.items() >= env.items()


@pytest.mark.parametrize("field, value", [
    ("stdin", 5), ("args", "x"), ("args", {"a": "b"}), ("args", [1]), ("args", ["a\0b"]),
    ("args", ["x" * 70000]), ("args", ["x"] * 70000), ("env", []), ("env", {"A": 1}),
    ("env", {"": "x"}), ("env", {"A=B": "x"}), ("env", {"A\0": "x"}), ("env", {"A": "x\0"}),
    ("env", {"A": "x" * 70000}), ("files_mode", "some"), ("files_mode", 1), ("limits", 5),
    ("limits", []), ("limits", {"memory_mb": "many"}), ("language", 5), ("stream", "perhaps")])
def test_a_wrong_value_of_an_extra_field_is_422_and_names_it(client, field, value):
    answer = client.post({"code": "print(1)", field: value})
    assert refused_field(answer)[:2] == ["body", field]


# -- limits

MACHINE_MB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
CEILINGS = {"memory_mb": 2048, "cpu": os.cpu_count(), "processes": 512, "workspace_mb": 1024,
            "output_kb": 65536}


@pytest.mark.parametrize("name", CEILINGS)
def test_a_limit_at_its_ceiling_is_accepted_and_above_it_refused(client, name):
    if name == "memory_mb" and MACHINE_MB < 2 * CEILINGS[name]:
        pytest.skip("the machine's memory is the ceiling here")
    assert client.run("print(1)", limits={name: CEILINGS[name]})["success"]
    for value in (CEILINGS[name] + 1, 10**9, 10**18, 2**64):
        answer = client.post({"code": "print(1)", "limits": {name: value}})
        assert refused_field(answer) == ["body", "limits", name]
    answer = client.post({"code": "print(1)", "limits": {name: CEILINGS[name] + 1}})
    entry = answer["detail"][0]
    assert (entry["type"], entry["ctx"]) == ("less_than_equal", {"le": CEILINGS[name]})


@pytest.mark.parametrize("name", CEILINGS)
@pytest.mark.parametrize("value", [0, -1, "x", [], {}])
def test_a_limit_that_is_no_positive_number_is_refused(client, name, value):
    answer = client.post({"code": "print(1)", "limits": {name: value}})
    assert refused_field(answer) == ["body", "limits", name]


def test_null_limits_are_the_defaults(client):
    assert client.run("print(1)", limits=None)["success"]
    assert client.run("print(1)", limits={})["success"]


def test_the_memory_limit_ends_the_run_and_keeps_its_output(client):
    answer = client.run("print('before', flush=True); x = b'x' * (200 << 20); print('after')",
                        limits={"memory_mb": 64}, timeout=10)
    assert answer["success"] is False
    assert "memory" in answer["limits_hit"] and "time" not in answer["limits_hit"]
    assert answer["stdout"] == "before\n"


def test_memory_below_the_limit_is_usable(client):
    code = "x = bytearray(b'x') * (100 << 20); print(len(x))"
    assert client.run(code, limits={"memory_mb": 160})["success"]


def test_the_process_limit_refuses_more_and_is_reported(client):
    answer = client.run("""
        import os, time
        made = 0
        try:
            for _ in range(50):
                if os.fork() == 0:
                    time.sleep(20)
                    os._exit(0)
                made += 1
        except OSError as error:
            print(made, error.errno)
        """, limits={"processes": 8})
    made, number = map(int, answer["stdout"].split())
    assert made <= 8 and number == 11
    assert "processes" in answer["limits_hit"]


def test_the_workspace_limit_holds_for_all_writable_storage_and_is_reported(client):
    for place in (".", "/tmp", "/dev/shm"):
        answer = client.run(f"""
            written = 0
            try:
                with open("{place}/fill", "wb", buffering=0) as f:
                    while written < 64 << 20:
                        written += f.write(bytes(1 << 16))
            except OSError as error:
                print(written, error.errno)
            """, limits={"workspace_mb": 8}, files_mode="changed")
        written, number = map(int, answer["stdout"].split())
        assert number == 28 and written <= 8 * MB
        assert "workspace" in answer["limits_hit"], place


def test_the_workspace_limit_is_shared_by_all_writable_places(client):
    answer = client.run("""
        total = 0
        for place in (".", "/tmp", "/dev/shm"):
            try:
                with open(place + "/fill", "wb", buffering=0) as f:
                    while True:
                        total += f.write(bytes(1 << 16))
            except OSError:
                pass
        print(total)
        """, limits={"workspace_mb": 8, "memory_mb": 128}, files_mode="changed")
    assert int(answer["stdout"]) <= 8 * MB


def test_the_output_limit_cuts_each_stream(client):
    answer = client.run("import sys; print('x' * 5000); print('y' * 5000, file=sys.stderr)",
                        limits={"output_kb": 1})
    assert (len(answer["stdout"]), len(answer["stderr"])) == (1024, 1024)
    assert answer["stdout_truncated"] and answer["stderr_truncated"]
    assert "output" in answer["limits_hit"]


def test_the_cpu_limit_is_a_share_of_a_processor(client):
    spin = "import time\nend = time.monotonic() + 1.0\nwhile time.monotonic() < end: pass"
    answer = client.run(spin, limits={"cpu": 0.25})
    assert answer["success"]
    assert answer["usage"]["cpu_ms"] < 500


# -- files


def test_nested_names_are_written_in_their_directories(client):
    files = {"a/b/c.txt": b64("deep"), "pkg/__init__.py": b64("x = 1"), "a/d.txt": b64("d")}
    answer = client.run("import pkg; print(pkg.x, open('a/b/c.txt').read())", files=files)
    assert answer["stdout"] == "1 deep\n"
    assert answer["files"] == {}


def test_files_mode_changed_returns_what_is_new_or_modified_nested_too(client):
    files = {"same.txt": b64("same"), "edited.txt": b64("old"), "d/same.txt": b64("same"),
             "d/edited.txt": b64("old"), "gone.txt": b64("x"), "rewritten.txt": b64("abc")}
    answer = client.run("""
        import os
        open("edited.txt", "a").write("+")
        open("d/edited.txt", "a").write("+")
        open("rewritten.txt", "w").write("xyz")
        os.makedirs("new/deep"); open("new/deep/file", "w").write("n")
        open("new.txt", "w").write("n")
        os.unlink("gone.txt")
        """, files=files, files_mode="changed")
    assert answer["files"] == {
        "edited.txt": b64("old+"), "d/edited.txt": b64("old+"), "rewritten.txt": b64("xyz"),
        "new/deep/file": b64("n"), "new.txt": b64("n")}


def test_files_mode_all_is_the_default(client):
    for extra in ({}, {"files_mode": "all"}):
        answer = client.run("print(1)", files={"in.txt": b64("x")}, **extra)
        assert answer["files"] == {"in.txt": b64("x")}


def test_too_many_output_files_are_skipped_and_reported(client):
    answer = client.run("for i in range(1100): open(f'f{i}', 'w').write('x')")
    assert answer["success"]
    assert len(answer["files"]) == 1000
    assert "files" in answer["limits_hit"]
    assert 0 < len(answer["skipped_files"]) <= 101


# -- streaming


def events_of(events):
    """All events, checked for their order: start, output, result."""
    events = list(events)
    assert events[0].name == "start" and events[-1].name == "result"
    assert {event.name for event in events[1:-1]} <= {"stdout", "stderr"}
    return events


def joined(events, name):
    """All text of one stream."""
    return "".join(event.output for event in events if event.name == name)


def test_a_stream_gives_output_as_it_happens_and_then_the_whole_answer(client):
    events = events_of(client.stream("""
        import sys, time
        print("first")
        print("problem", file=sys.stderr)
        time.sleep(0.6)
        print("second")
        open("made.txt", "w").write("x")
        """))
    result = events[-1].data
    assert (joined(events, "stdout"), joined(events, "stderr")) == ("first\nsecond\n", "problem\n")
    first = next(event for event in events if event.name == "stdout")
    assert first.seconds < stretched(0.5) and events[-1].seconds - first.seconds > 0.3
    assert result["success"] and result["stdout"] == "first\nsecond\n"
    assert result["files"] == {"made.txt": b64("x")}


def test_the_result_event_is_the_same_object_as_the_plain_answer(client):
    plain = client.run("print(1); 1/0")
    result = list(client.stream("print(1); 1/0"))[-1].data
    assert result.keys() == plain.body.keys()
    for name in ("success", "stdout", "stderr", "error", "exit_code", "files", "limits_hit"):
        assert result[name] == plain[name], name


def test_the_field_stream_asks_for_events_too(client):
    answer = client.post({"code": "print(1)", "stream": True})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "event: result" in answer.text


def test_a_stream_does_not_cut_characters_and_ends_at_the_output_cap(client):
    code = "import sys\nfor _ in range(300): sys.stdout.buffer.write('语言😀\\r\\n'.encode())"
    events = events_of(client.stream(code))
    assert joined(events, "stdout") == "语言😀\r\n" * 300
    events = events_of(client.stream("print('x' * 5000)", limits={"output_kb": 1}))
    assert len(joined(events, "stdout")) <= 5001
    assert events[-1].data["stdout_truncated"] is True


def test_a_character_written_in_two_halves_is_streamed_whole(client):
    events = events_of(client.stream(r"""
        import os, time
        os.write(1, "语".encode()[:1])
        time.sleep(0.1)
        os.write(1, "语".encode()[1:])
        """))
    assert joined(events, "stdout") == "语"


def test_a_streamed_run_that_times_out_ends_with_its_result(client):
    events = events_of(client.stream("import time; print('x'); time.sleep(60)", timeout=1))
    assert events[-1].data["timed_out"] is True
    assert events[-1].data["stdout"] == "x\n"


def test_a_request_that_is_refused_is_no_stream(client):
    answer = client.post({"code": ""}, headers={"Accept": "text/event-stream"})
    assert answer.status == 400 and answer["detail"]


# -- usage, isolation, id


def test_usage_of_a_spinning_run_is_its_cpu_time(client):
    answer = client.run("import time\nend = time.process_time() + 0.4\n"
                        "while time.process_time() < end: pass")
    usage = answer["usage"]
    assert 380 <= usage["cpu_ms"] < 800
    assert usage["wall_ms"] >= 380


def test_usage_counts_all_processes_of_the_run(client):
    answer = client.run("""
        import os, time
        def spin():
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
        for _ in range(2):
            if os.fork() == 0:
                spin()
                os._exit(0)
        os.wait(); os.wait()
        """)
    assert 380 <= answer["usage"]["cpu_ms"] < 900


def test_usage_of_a_sleeping_run_is_wall_time_without_cpu(client):
    usage = client.run("import time; time.sleep(0.4)")["usage"]
    assert usage["cpu_ms"] < stretched(100)
    assert 400 <= usage["wall_ms"] < 400 + stretched(600)


def test_usage_knows_the_peak_of_memory(client):
    small = client.run("print(1)")["usage"]["memory_peak_kb"]
    large = client.run("x = bytearray(b'x') * (100 << 20); del x")["usage"]["memory_peak_kb"]
    assert 100 << 10 <= large < 200 << 10
    assert 0 < small < 40 << 10


def test_usage_starts_at_zero_in_every_run(client):
    client.run("x = bytearray(b'x') * (100 << 20)")
    for _ in range(5):
        usage = client.run("print(1)")["usage"]
        assert usage["memory_peak_kb"] < 40 << 10 and usage["cpu_ms"] < stretched(100)


def test_isolation_says_what_was_in_force(client):
    isolation = client.run("print(1)")["isolation"]
    assert isolation["cgroup"] in ("v1", "v2")
    assert isolation["network"] == "none"
    assert isolation["seccomp"]
    told = isolation["namespaces"]
    names = told.split(",") if isinstance(told, str) else told
    assert set(names) == {"user", "pid", "mount", "net", "ipc", "uts", "cgroup"}
    assert isolation["warm"] is True
    assert client.run("echo", language="shell")["isolation"]["warm"] is False


def test_every_run_has_an_id_of_its_own(client):
    names = [client.run("print(1)")["id"] for _ in range(20)]
    assert len(set(names)) == 20
    assert all(isinstance(name, str) and len(name) >= 12 for name in names)


def test_a_run_that_did_not_start_has_the_extra_fields_too(client):
    answer = client.run("print(1)", environment="no-such")
    normal = client.run("print(1)")
    assert answer.body.keys() >= normal.body.keys() - {"usage", "isolation"}


def test_concurrent_runs_get_their_own_output_files_and_status(server):
    def job(i):
        one = server.client()
        return one.run(f"import time; time.sleep(0.05 * {i % 4}); print({i}); "
                       f"open('f', 'w').write('{i}'); raise SystemExit({i})", stdin=str(i))
    answers = together([lambda i=i: job(i) for i in range(24)])
    for i, answer in enumerate(answers):
        assert (answer["stdout"], answer["exit_code"]) == (f"{i}\n", i)
        assert answer["files"] == {"f": b64(str(i))}


def test_a_run_that_finds_the_pool_empty_still_answers(server):
    start = time.monotonic()
    answers = together([lambda: server.client().run("print('hi')") for _ in range(60)])
    assert [answer["stdout"] for answer in answers] == ["hi\n"] * 60
    assert time.monotonic() - start < stretched(10)


def test_the_answer_is_plain_json_that_any_reader_understands(client):
    answer = client.run("print(chr(0) + chr(0x1f) + '\"\\\\' + chr(0x2028) + chr(0x10ffff))")
    assert json.loads(answer.text)["stdout"] == "\0\x1f\"\\\u2028\U0010ffff\n"
