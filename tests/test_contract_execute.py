"""POST /execute, row by row of contract A1 with the rulings of section 10."""
import base64
import re

import pytest

from slowness import stretched

FIELDS = {"success": bool, "stdout": str, "stderr": str, "execution_time": float, "files": dict}
FILE_LIMIT = 10485760


def b64(data):
    """base64 as clients send it."""
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def contents(answer):
    """The files of an answer, decoded."""
    return {name: base64.b64decode(data) for name, data in answer["files"].items()}


# -- the six fields


def check_fields(answer):
    """The six fields of the contract have their types."""
    for name, kind in FIELDS.items():
        assert isinstance(answer[name], kind), name
    assert answer["error"] is None or isinstance(answer["error"], str)
    assert answer["execution_time"] >= 0
    assert answer["output"] == answer["stdout"]


def test_a_run_that_succeeds_answers_the_six_fields(client):
    answer = client.run("import sys; print('hi'); print('warn', file=sys.stderr)")
    check_fields(answer)
    assert (answer["success"], answer["stdout"], answer["stderr"]) == (True, "hi\n", "warn\n")
    assert (answer["error"], answer["files"], answer["exit_code"]) == (None, {}, 0)
    assert answer["timed_out"] is False and answer["limits_hit"] == []
    assert answer.headers["Content-Type"].startswith("application/json")


def test_execution_time_is_wall_seconds(client):
    answer = client.run("import time; time.sleep(0.3)")
    assert 0.3 <= answer["execution_time"] < 0.3 + stretched(0.7)


@pytest.mark.parametrize("status", [1, 2, 7, 127, 255])
def test_a_failing_run_says_its_exit_status_and_keeps_its_output(client, status):
    answer = client.run(f"import sys; print('out'); print('err', file=sys.stderr); "
                        f"sys.exit({status})")
    check_fields(answer)
    assert (answer["success"], answer["exit_code"]) == (False, status)
    assert (answer["stdout"], answer["stderr"]) == ("out\n", "err\n")
    assert answer["error"].startswith(f"代码执行失败，退出码: {status}")


@pytest.mark.parametrize("number", [9, 11, 15, 6])
def test_a_run_killed_by_a_signal_says_minus_its_number(client, number):
    answer = client.run(f"import os; print('out', flush=True); os.kill(os.getpid(), {number})")
    check_fields(answer)
    assert (answer["success"], answer["signal"], answer["exit_code"]) == (False, number, -number)
    assert answer["error"].startswith(f"代码执行失败，退出码: -{number}")
    assert answer["stdout"] == "out\n"
    assert answer["timed_out"] is False


@pytest.mark.parametrize("code, words", [
    ("1/0", "ZeroDivisionError: division by zero"),
    ("raise ValueError('坏的值')", "ValueError: 坏的值"),
    ("class Odd(Exception): pass\nraise Odd('x')", "Odd: x"),
    ("{}['k']", "KeyError: 'k'"),
    ("raise ImportError", "ImportError"),
    ("def f(): g()\ndef g(): undefined_name\nf()", "NameError: name 'undefined_name'"),
    ("print('a'\n", "SyntaxError"),
    ("  indented = 1", "IndentationError"),
])
def test_an_unhandled_exception_is_named_in_error(client, code, words):
    answer = client.post({"code": code})
    assert (answer.status, answer["success"], answer["exit_code"]) == (200, False, 1)
    assert answer["error"].startswith("代码执行失败，退出码: 1")
    assert words in answer["error"]
    assert words in answer["stderr"]


def test_the_ruling_of_row_8_holds_word_for_word_at_its_start(client):
    answer = client.run("1/0")
    assert answer["error"].startswith("代码执行失败，退出码: 1 (ZeroDivisionError: division by zero)")


def test_a_timeout_keeps_the_output_and_the_files_written_so_far(client):
    answer = client.run("""
        import sys, time
        open("made.txt", "w").write("before")
        print("partial")
        print("partial too", file=sys.stderr, end="")
        time.sleep(60)
        """, timeout=1)
    check_fields(answer)
    assert answer["success"] is False and answer["timed_out"] is True
    assert answer["error"].startswith("代码执行超时（1秒） / execution timed out (timeout 1s)")
    assert (answer["stdout"], answer["stderr"]) == ("partial\n", "partial too")
    assert contents(answer) == {"made.txt": b"before"}
    assert answer["limits_hit"] == ["time"]
    assert 1.0 <= answer["execution_time"] < 1.0 + stretched(0.5)


def test_an_unknown_environment_is_answered_with_200_and_the_contracts_words(client):
    answer = client.run("print(1)", environment="no-such")
    check_fields(answer)
    assert answer["success"] is False and answer["stdout"] == ""
    assert answer["stderr"].startswith("环境 'no-such' 不存在或未就绪")
    assert answer["error"].startswith("环境执行错误: 环境 'no-such' 不存在或未就绪")
    assert "environment not found or not ready" in answer["error"]


@pytest.mark.parametrize("environment", [None, "", "default"])
def test_null_empty_and_default_name_the_built_in_environment(client, environment):
    answer = client.run("print(1)", environment=environment)
    assert answer["success"], answer["error"]


def test_null_files_and_unknown_fields_are_accepted(client):
    answer = client.run("print(1)", files=None, retries=3, user={"a": [1]}, base_image="x")
    assert (answer["success"], answer["files"]) == (True, {})


# -- code, its length, the order of the checks


@pytest.mark.parametrize("code", ["", " ", " \n\t\r\n", "\u3000", "\u00a0\u2003"])
def test_blank_code_is_400(client, code):
    answer = client.post({"code": code})
    assert answer.status == 400
    assert answer["detail"].startswith("代码不能为空")


@pytest.mark.parametrize("letter", ["x", "é", "语", "😀"])
def test_the_limit_of_code_counts_characters_and_is_inclusive(client, letter):
    assert client.post({"code": "#" + letter * 99999})["success"]
    answer = client.post({"code": "#" + letter * 100000})
    assert answer.status == 400
    assert answer["detail"].startswith("代码长度不能超过 100000 字符")


def test_the_checks_come_in_the_contracts_order(client):
    assert client.post({"code": "", "timeout": 500}).status == 422
    assert client.post({"code": "", "environment": "nope"}).status == 400
    assert client.post({"code": "x" * 100001, "environment": "nope"}).status == 400


def test_the_limits_of_timeout_are_inclusive(client):
    assert client.run("print(1)", timeout=1)["success"]
    assert client.run("print(1)", timeout=300)["success"]


# -- input files


def test_input_files_are_there_under_their_names(client):
    files = {"a.txt": b64("A"), "数据 1.txt": b64("语"), ".hidden": b64("h"), "empty": "",
             "helper.py": b64("value = 42")}
    found = client.find("""
        import json, os, helper
        names = sorted(n for n in os.listdir(".") if n not in ("main.py", "__pycache__"))
        print(json.dumps({"names": names, "text": open("数据 1.txt").read(), "v": helper.value}))
        """, files=files)
    assert found == {"names": sorted(files), "text": "语", "v": 42}


def test_a_supplied_main_py_is_overwritten_by_the_code(client):
    answer = client.run("print('code')", files={"main.py": b64("print('file')")})
    assert (answer["stdout"], answer["files"]) == ("code\n", {})


@pytest.mark.parametrize("name", [
    "../x", "..\\x", "a/../x", "/abs", "a<b", "a>b", "a:b", 'a"b', "a|b", "a?b", "a*b", "a\x01b",
    "a\nb", "x" * 256, "CON", "con.txt", "PRN", "Aux.py", "NUL", "COM1", "com9.x", "LPT1",
    "lpt9.log"])
def test_an_unsafe_name_is_refused_by_name_and_nothing_runs(client, name):
    answer = client.run("print('ran')", files={name: b64("x")})
    assert answer["success"] is False
    assert answer["error"].startswith(f"执行错误: 不安全的文件名: {name}"[:200])
    assert (answer["stdout"], answer["files"]) == ("", {})


@pytest.mark.parametrize("name", [
    "..", ".", "", "a/", "a//b", "./a", "a/./b", "a\x00b", "é" * 200, "/".join("d" * 20),
    "x" * 200 + "/" + "y" * 256], ids=repr)
def test_a_name_that_cannot_be_a_file_is_refused_and_nothing_runs(client, name):
    answer = client.post({"code": "print('ran')", "files": {name: b64("x")}})
    if answer.status == 200:
        assert answer["success"] is False and answer["error"].startswith("执行错误: ")
        assert (answer["stdout"], answer["files"]) == ("", {})
    else:
        assert answer.status in (400, 422)


def test_a_name_that_is_a_file_and_a_directory_at_once_is_refused(client):
    answer = client.post({"code": "print('ran')", "files": {"a": b64("x"), "a/b": b64("y")}})
    assert answer.status in (200, 400, 422)
    if answer.status == 200:
        assert answer["success"] is False and answer["stdout"] == ""


@pytest.mark.parametrize("data", ["abc", "a", "YQ", "YQ=", "YWJj*", "not base64!", "YQ==YQ==",
                                  "YQ===", "YWJ\u00e9", "YW-_", "Y=Q="])
def test_bad_base64_is_refused_with_the_name_of_the_file(client, data):
    answer = client.run("print('ran')", files={"good.txt": b64("x"), "in.bin": data})
    assert answer["success"] is False
    assert answer["error"].startswith("执行错误: 处理文件 in.bin 时出错: ")
    assert (answer["stdout"], answer["files"]) == ("", {})


def test_base64_may_contain_white_space(client):
    answer = client.run("print(open('in.bin').read())", files={"in.bin": "YWJj\r\nZGVm \tZw==\n"})
    assert answer["stdout"] == "abcdefg\n"


def test_a_file_of_the_largest_size_goes_in_and_comes_out_unchanged(client):
    data = bytes(range(256)) * (FILE_LIMIT // 256)
    answer = client.run("import os; print(os.path.getsize('in.bin'))", files={"in.bin": b64(data)})
    assert answer["stdout"] == f"{FILE_LIMIT}\n"
    assert contents(answer) == {"in.bin": data}


def test_a_file_one_byte_too_large_is_refused_by_name(client):
    answer = client.run("print('ran')", files={"in.bin": b64(b"x" * (FILE_LIMIT + 1))})
    assert answer["success"] is False
    assert answer["error"].startswith("执行错误: 处理文件 in.bin 时出错: 文件 in.bin 超过大小限制")
    assert (answer["stdout"], answer["files"]) == ("", {})


# -- output files


def test_every_regular_file_at_the_top_comes_back_but_main_py(client):
    answer = client.run("""
        import os
        open("made.txt", "w").write("made")
        open(".hidden", "w").write("h")
        open("empty", "w")
        open("数据.bin", "wb").write(bytes(range(256)))
        open("in.txt", "a").write("+")
        os.mkdir("sub"); open("sub/deep.txt", "w").write("no")
        """, files={"in.txt": b64("in"), "same.txt": b64("same")})
    assert contents(answer) == {
        "made.txt": b"made", ".hidden": b"h", "empty": b"", "数据.bin": bytes(range(256)),
        "in.txt": b"in+", "same.txt": b"same"}
    assert answer.skipped == {"sub": "directory"}


def test_files_come_back_after_a_failure(client):
    answer = client.run("open('made.txt', 'w').write('x'); 1/0")
    assert answer["success"] is False
    assert contents(answer) == {"made.txt": b"x"}


def test_a_removed_input_file_does_not_come_back(client):
    answer = client.run("import os; os.unlink('in.txt')", files={"in.txt": b64("x")})
    assert (answer["success"], answer["files"]) == (True, {})


def test_what_is_not_a_regular_file_is_skipped_and_reported(client):
    answer = client.run("""
        import os, socket
        os.symlink("/etc/passwd", "link")
        os.symlink("nowhere", "dangling")
        os.symlink("/etc", "dirlink")
        os.symlink("good.txt", "innerlink")
        os.mkfifo("fifo")
        os.mkdir("dir")
        socket.socket(socket.AF_UNIX).bind("socket")
        open("good.txt", "w").write("good")
        """)
    assert answer["success"], answer["stderr"]
    assert contents(answer) == {"good.txt": b"good"}
    links = dict.fromkeys(("link", "dangling", "dirlink", "innerlink"), "symlink")
    assert answer.skipped.items() >= {**links, "dir": "directory"}.items()
    assert answer.skipped.keys() == {*links, "dir", "fifo", "socket"}
    assert answer.seconds < stretched(2)


def test_a_file_above_the_limit_is_skipped_and_reported(client):
    answer = client.run(f"""
        open("big", "wb").write(b"x" * {FILE_LIMIT + 1})
        open("small", "wb").write(b"s")
        """)
    assert contents(answer) == {"small": b"s"}
    assert answer.skipped.keys() == {"big"}
    assert answer["limits_hit"] == ["files"]


# -- how the code is run


def test_the_code_is_main_py_in_the_working_directory(client):
    found = client.find("""
        import inspect, json, os, sys
        def f():
            return 1
        print(json.dumps({
            "name": __name__, "file": __file__, "cwd": os.getcwd(), "argv": sys.argv,
            "path": sys.path[0], "source": inspect.getsource(f), "module": f.__module__,
            "exists": os.path.exists("main.py"), "main": sys.modules["__main__"].f is f}))
        """)
    assert found["name"] == found["module"] == "__main__"
    assert found["file"] == "/sandbox/main.py" and found["cwd"] == "/sandbox"
    assert [arg.rsplit("/", 1)[-1] for arg in found["argv"]] == ["main.py"]
    assert found["path"] in ("/sandbox", "")
    assert found["source"] == "def f():\n    return 1\n"
    assert found["exists"] and found["main"]


def test_a_fresh_module_has_only_the_names_of_any_main_module(client):
    found = client.find("import json; print(json.dumps(sorted(globals())))")
    assert set(found) <= {"__annotations__", "__builtins__", "__cached__", "__doc__", "__file__",
                          "__loader__", "__name__", "__package__", "__spec__", "json"}


def test_a_traceback_shows_the_users_file_and_lines_only(client):
    answer = client.run("def inner():\n    raise ValueError('no')\n\ninner()\n")
    frames = re.findall(r'File "([^"]+)", line (\d+)', answer["stderr"])
    assert frames == [("/sandbox/main.py", "4"), ("/sandbox/main.py", "2")]
    assert "raise ValueError('no')" in answer["stderr"]
    assert answer["stderr"].startswith("Traceback (most recent call last):\n")


def test_a_syntax_error_shows_the_users_file_and_line(client):
    answer = client.run("x = 1\ny = = 2\n")
    assert answer["exit_code"] == 1
    assert re.findall(r'File "([^"]+)", line (\d+)', answer["stderr"]) == \
        [("/sandbox/main.py", "2")]
    assert "y = = 2" in answer["stderr"]


def test_stdin_is_at_its_end(client):
    answer = client.run("""
        import sys
        print(repr(sys.stdin.read()))
        try:
            input()
        except EOFError:
            print("EOF")
        """)
    assert answer["stdout"] == "''\nEOF\n"


@pytest.mark.parametrize("argument, status, stderr", [
    ("", 0, ""), ("None", 0, ""), ("0", 0, ""), ("3", 3, ""), ("True", 1, ""), ("256", 0, ""),
    ("257", 1, ""), ("-1", 255, ""), ("'bye'", 1, "bye\n"), ("0.5", 1, "0.5\n"),
    ("(1, 2)", 1, "(1, 2)\n"), ("'再见'", 1, "再见\n")])
def test_sys_exit_gives_the_status_that_python_gives(client, argument, status, stderr):
    answer = client.run(f"import sys; print('out'); sys.exit({argument})")
    assert (answer["exit_code"], answer["stderr"]) == (status, stderr)
    assert (answer["success"], answer["stdout"]) == (status == 0, "out\n")


def test_os_exit_ends_the_run_at_once_with_its_status(client):
    answer = client.run("""
        import atexit, os
        atexit.register(print, "never")
        print("before")
        os._exit(7)
        """)
    assert (answer["exit_code"], answer["stdout"]) == (7, "before\n")


def test_threads_are_joined_and_then_exit_handlers_run(client):
    answer = client.run("""
        import atexit, threading, time
        atexit.register(print, "atexit")
        def work():
            time.sleep(0.1)
            print("thread")
        threading.Thread(target=work).start()
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        print("main")
        """)
    assert answer["stdout"] == "main\nthread\natexit\n"
    assert answer["success"] and answer.seconds < stretched(3)


def test_exit_handlers_run_after_an_exception_and_after_sys_exit(client):
    for end in ("1/0", "import sys; sys.exit(4)"):
        answer = client.run(f"import atexit; atexit.register(print, 'atexit')\n{end}")
        assert answer["stdout"] == "atexit\n"
        assert answer["success"] is False


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works(client, method):
    answer = client.run(f"""
        import multiprocessing
        def square(x):
            return x * x
        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            with context.Pool(2) as pool:
                print(pool.map(square, range(5)))
        """)
    assert (answer["stdout"], answer["stderr"]) == ("[0, 1, 4, 9, 16]\n", "")


def test_subprocesses_and_the_interpreter_itself_can_be_started(client):
    answer = client.run("""
        import subprocess, sys
        print(subprocess.run(["echo", "one"], capture_output=True, text=True).stdout, end="")
        print(subprocess.check_output([sys.executable, "-c", "print('two')"], text=True), end="")
        subprocess.run("echo three; exit 5", shell=True)
        """)
    assert (answer["stdout"], answer["stderr"]) == ("one\ntwo\nthree\n", "")


def test_the_standard_library_works(client):
    answer = client.run("""
        import asyncio, concurrent.futures, csv, ctypes, dataclasses, datetime, decimal, hashlib
        import json, logging, pickle, random, re, sqlite3, ssl, tempfile, typing, uuid, zlib
        import zoneinfo
        async def hello():
            await asyncio.sleep(0)
            return "async"
        class C:
            pass
        print(asyncio.run(hello()))
        print(type(pickle.loads(pickle.dumps(C()))) is C)
        print(sqlite3.connect(":memory:").execute("select 1").fetchone())
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            print(list(pool.map(len, ["a", "bb"])))
        with tempfile.TemporaryFile() as f:
            f.write(b"x")
        """)
    assert answer["stdout"] == "async\nTrue\n(1,)\n[1, 2]\n", answer["stderr"]


# -- output, byte for byte


def test_output_that_was_not_flushed_is_returned_on_a_kill(client):
    answer = client.run("import os; print('a'); print('b', end=''); os.kill(os.getpid(), 9)")
    assert answer["stdout"] == "a\nb"


def test_output_that_is_not_utf8_is_replaced_and_the_answer_says_so(client):
    answer = client.run(r"import sys; sys.stdout.buffer.write(b'ok\xff\xfe end\n')")
    assert answer["success"] and answer["stdout"] == "ok\ufffd\ufffd end\n"
    said = [name for name in answer.body if name.startswith("stdout_") and answer[name]]
    assert said, "no field says that stdout was not UTF-8"
    clean = client.run("print('ok')")
    assert not any(clean.get(name) for name in said)


@pytest.mark.parametrize("data", [
    b"a\r\nb\rc\n", b"nul\0nul", b"\x1b[31mred\x1b[0m\x07\x08", "语言 😀 é".encode(), b"",
    b'quote" back\\slash /', b"\xe2\x80\xa8\xe2\x80\xa9", b"\x7f\x01\x1f", b"\xef\xbb\xbfbom"],
    ids=repr)
def test_output_arrives_byte_for_byte(client, data):
    code = f"import sys; sys.stdout.buffer.write({data!r}); sys.stderr.buffer.write({data!r})"
    answer = client.run(code)
    assert (answer["stdout"], answer["stderr"]) == (data.decode(), data.decode())


def test_stdout_and_stderr_are_cut_at_their_caps_and_say_so(client):
    answer = client.run("""
        import sys
        sys.stdout.write("x" * 5_000_000)
        sys.stderr.write("y" * 100)
        """)
    assert answer["stdout"] == "x" * (4 << 20)
    assert answer["stdout_truncated"] is True and answer["stderr_truncated"] is False
    assert answer["stderr"] == "y" * 100
    assert "output" in answer["limits_hit"]


def test_output_is_cut_between_characters(client):
    answer = client.run("import sys; sys.stdout.write('a' + '语' * 2_000_000)")
    assert answer["stdout_truncated"] is True
    assert set(answer["stdout"]) == {"a", "语"}


def test_unicode_works_everywhere(client):
    answer = client.run("""
        名字 = "值😀"
        open("文件😀.txt", "w").write(名字)
        print(名字, open("输入.txt").read())
        raise RuntimeError("错误😀")
        """, files={"输入.txt": b64("入")})
    assert answer["stdout"] == "值😀 入\n"
    assert contents(answer)["文件😀.txt"] == "值😀".encode()
    assert "RuntimeError: 错误😀" in answer["error"]


def test_a_nul_byte_in_the_code_is_refused_or_fails(client):
    answer = client.post({"code": "print(1)\0print(2)"})
    if answer.status == 200:
        assert answer["success"] is False and answer["stdout"] == ""
    else:
        assert answer.status in (400, 422)


def test_line_ends_and_encodings_of_the_code_do_not_matter(client):
    for code in ("print('a')\r\nprint('b')\r\n", "# -*- coding: utf-8 -*-\nprint('a')\nprint('b')",
                 "print('a')\nprint('b')#", "\ufeffprint('a')\nprint('b')"):
        assert client.post({"code": code})["stdout"] == "a\nb\n", repr(code)
