"""POST /workspace/se/v2/execute_code: handler functions (contract B6.2, rulings 28 and 29)."""
import concurrent.futures
import json
import textwrap

import pytest

from slowness import stretched

URL = "/workspace/se/v2/execute_code"
SYSTEM = "System error: "


@pytest.fixture(scope="module")
def handler(server):
    """A function that runs a handler: (code, event=..., context=...) -> Answer."""
    client = server.client()

    def run(code, **fields):
        body = {"handler_code": textwrap.dedent(code), **fields}
        return client.post(body, path=URL)
    yield run
    client.close()


def test_a_handler_gets_its_event_and_answers_with_its_value(handler):
    answer = handler("""
        def handler(event):
            print("in")
            return {"got": event}
        """, event={"a": 1, "名": [None, 1.5]})
    assert answer.status == 200
    assert answer["stdout"] == "in\n"
    assert answer["stderr"] == ""
    assert answer["result"] == {"got": {"a": 1, "名": [None, 1.5]}}
    assert answer["exit_code"] == 0
    assert answer["error"] is None
    metrics = answer["metrics"]
    assert set(metrics) == {"duration_ms", "memory_peak_mb", "cpu_time_ms", "timeout_seconds"}
    assert metrics["timeout_seconds"] == 300
    assert 0 < metrics["cpu_time_ms"] < 5000
    assert 1 < metrics["memory_peak_mb"] < 200
    assert "full_result" not in answer.body


def test_numbers_of_an_event_arrive_as_python_reads_them(handler):
    code = "def handler(event):\n    return [event['n'] + 1, event['f'] * 2]"
    answer = handler(code, event={"n": 10 ** 40, "f": 0.1})
    assert answer["result"] == [10 ** 40 + 1, 0.2]


@pytest.mark.parametrize("signature, gets", [
    ("event", 1), ("event, context", 2), ("event, context=None", 2), ("event, ctx=None", 2),
    ("event, debug=False", 1), ("*args", 2), ("event, *args", 2), ("event, **more", 1), ("", 0),
    ("event, /, context", 2), ("event={}", 1)])
def test_a_handler_gets_as_many_arguments_as_it_takes(handler, signature, gets):
    answer = handler(f"""
        def handler({signature}):
            given = locals()
            rest = given.pop("args", ())
            seen = [v for v in [*given.values(), *rest] if v not in (False, None, {{}}) or v == 5]
            return len(seen)
        """, event={"a": 1})
    assert (answer["result"], answer["stderr"]) == (gets, "")


def test_a_handler_may_be_async_decorated_a_lambda_or_an_object(handler):
    cases = """
        async def handler(event, context):
            import asyncio
            await asyncio.sleep(0)
            return event["a"]
        ---
        import functools
        def twice(function):
            @functools.wraps(function)
            def inner(*args):
                return 2 * function(*args)
            return inner
        @twice
        def handler(event):
            return event["a"]
        ---
        handler = lambda event, context: context.memory_limit_in_mb  # def handler
        ---
        class Handler:
            def __call__(self, event, context):
                return context["request_id"]
        handler = Handler()
        ---
        def handler(event, *, context):
            return context.get("function_name")
        """
    found = [handler(case, event={"a": 21}, context={"memory_limit_in_mb": 99, "request_id": "r",
                                                     "function_name": "f"})["result"]
             for case in textwrap.dedent(cases).split("---\n")]
    assert found == [21, 42, 99, "r", "f"]


def test_context_keys_that_the_client_leaves_out_are_filled_in(handler):
    answer = handler("""
        def handler(event, context):
            rest = context.get_remaining_time_in_millis()
            assert 0 < rest <= 7000, rest
            return {name: getattr(context, name) for name in
                    "function_name function_version request_id log_group_name log_stream_name "
                    "remaining_time_in_millis memory_limit_in_mb invoked_function_arn".split()}
        """, event={"__timeout": 7}, context={"function_name": "mine"})
    found = answer["result"]
    assert found["function_name"] == "mine"
    assert found["remaining_time_in_millis"] == 7000
    assert found["memory_limit_in_mb"] >= 128
    assert found["request_id"]
    assert all(isinstance(found[name], str) for name in found if not name.endswith(("_mb", "millis")))


@pytest.mark.parametrize("wanted, seconds", [(0, 300), (-1, 300), (1.5, 1.5), (4000, 3600),
                                             (None, 300)])
def test_the_timeout_is_that_of_the_event_within_bounds(handler, wanted, seconds):
    answer = handler("def handler(event):\n    return event", event={"__timeout": wanted})
    assert answer["metrics"]["timeout_seconds"] == seconds
    assert answer["result"] == {"__timeout": wanted}


def test_a_handler_that_takes_too_long_is_a_500_that_says_so(handler):
    answer = handler("def handler(event):\n    print('here', flush=True)\n    while True: pass",
                     event={"__timeout": 1})
    assert answer.status == 500
    detail = answer["detail"]
    assert detail["error_code"] == "Sandbox.ExecTimeout"
    assert detail["description"] == "Handler execution timeout"
    assert detail["error_detail"] == "Execution timed out after 1 seconds"
    assert detail["solution"]
    assert detail["stdout"] == "here\n"
    assert answer.seconds < stretched(4)


@pytest.mark.parametrize("code, exit_code, stderr", [
    ("", 1, SYSTEM + "handler_code 不能为空"),
    (" \n\t", 1, SYSTEM + "handler_code 不能为空"),
    ("def handler(event:\n  pass", 1, SYSTEM + "代码语法错误: "),
    ("x = 1", 1, SYSTEM + "代码中未找到 handler 函数定义"),
    ("# def handler", 1, SYSTEM + "代码中未找到 handler 函数定义"),
    ("1/0\ndef handler(event): pass", 1, "Handler 执行异常: division by zero\nTraceback"),
    ("def handler(event):\n    raise ValueError('boom')", 2, "Handler 执行异常: boom\nTraceback"),
    ("def handler(event):\n    import sys; sys.exit(9)", 2, "Handler 执行异常: 9\n"),
    ("def handler(event):\n    return {1, 2}", 3, "Failed to parse execution result: "),
    ("def handler(event):\n    a = []; a.append(a); return a", 3,
     "Failed to parse execution result: "),
    ("def handler(event):\n    import os; os._exit(0)", 7, "Failed to parse execution result: "),
    ("def handler(event):\n    import os; os._exit(5)", 5, "Failed to parse execution result: "),
    ("def handler(event):\n    import os; os.kill(os.getpid(), 11)", 139,
     "Failed to parse execution result: ")])
def test_what_goes_wrong_is_a_200_with_text_in_stderr_and_an_error(handler, code, exit_code, stderr):
    answer = handler(code)
    assert answer.status == 200
    assert answer["stderr"].startswith(stderr)
    assert answer["result"] is None
    assert answer["exit_code"] == exit_code
    assert answer["error"]["type"] and answer["error"]["message"]


def test_a_raised_exception_is_told_with_its_lines_and_without_ours(handler):
    answer = handler("""
        def inner():
            raise KeyError("k")
        def handler(event):
            print("before")
            inner()
        """)
    assert answer["stdout"] == "before\n"
    assert answer["error"]["type"] == "KeyError"
    assert 'raise KeyError("k")' in answer["stderr"]
    assert "/opt/dunlin" not in answer["stderr"]


def test_what_is_printed_cannot_be_taken_for_the_result(handler):
    answer = handler("""
        import json
        def handler(event):
            print('{"exit_code": 0, "error": null}')
            print('{"result": "forged"}')
            return "true one"
        """)
    assert answer["result"] == "true one"
    assert answer["stdout"].count("\n") == 2


def test_numbers_that_json_has_not_become_null(handler):
    answer = handler("def handler(event):\n    return [float('nan'), {'x': float('inf')}, 1.5]")
    assert answer["result"] == [None, {"x": None}, 1.5]
    json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))


def test_large_results_come_whole(handler):
    answer = handler("def handler(event):\n    return list(range(300000))")
    assert answer["result"] == list(range(300000))


def test_files_of_a_handler_are_its_own_and_its_output_need_not_be_utf_8(handler):
    answer = handler(r"""
        import os, sys
        def handler(event):
            with open("a.txt", "w") as f:
                f.write("x" * 1000)
            os.write(1, b"\xff\n")
            return os.listdir(".")
        """)
    assert sorted(answer["result"]) == ["a.txt", "handler.py"]
    assert answer["stdout"] == "�\n"


def test_nothing_of_one_call_reaches_another(handler):
    first = handler("""
        import json, os, threading, time
        json.leak = 1
        os.environ["LEAK"] = "1"
        open("/tmp/leak", "w").close()
        def handler(event):
            threading.Thread(target=lambda: (time.sleep(0.5), print("late"))).start()
            return 1
        """)
    assert first["result"] == 1
    second = handler("""
        import json, os, time
        def handler(event):
            time.sleep(0.7)
            return [hasattr(json, "leak"), "LEAK" in os.environ, os.path.exists("/tmp/leak")]
        """)
    assert (second["result"], second["stdout"]) == ([False, False, False], "")


def test_more_cpu_seconds_than_two_are_no_crash(handler):
    code = """
        import time
        def handler(event):
            while time.process_time() < 3.2: pass
            return "done"
        """
    assert handler(code)["result"] == "done"


def test_a_body_that_is_no_request_is_a_422_without_urls(server):
    client = server.client()
    wrong = ({}, {"handler_code": 1}, {"handler_code": "x", "event": []},
             {"handler_code": "x", "context": "c"},
             {"handler_code": "x", "event": {"__timeout": "soon"}})
    for body in wrong:
        answer = client.post(body, path=URL)
        assert answer.status == 422, body
        assert answer["detail"][0]["loc"][0] == "body"
        assert "url" not in answer["detail"][0]
    client.close()


def test_a_full_house_is_a_503_with_the_predecessors_code(make_server):
    server = make_server(CONCURRENT_LIMIT="1", QUEUE_LIMIT="1")
    code = "import time\ndef handler(event):\n    time.sleep(1.5)\n    return 1"

    def one(_):
        return server.client().post({"handler_code": code}, path=URL)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert sorted(a.status for a in answers) == [200, 200, 503, 503]
    full = next(a for a in answers if a.status == 503)
    assert full["detail"]["error_code"] == "Sandbox.TooManyRequestsExection"
    assert "沙箱池已满" in full["detail"]["error_detail"]
    assert int(full.headers["Retry-After"]) >= 1
