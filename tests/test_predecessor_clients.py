"""The ways in which clients written for the predecessor call the server (contract A5)."""
import base64
import concurrent.futures

import pytest
import requests


class SimplePySandboxClient:
    """What the predecessor's Python examples contain, written anew from their description."""

    def __init__(self, base_url):
        self.base_url = base_url.rstrip("/")

    def health_check(self):
        """True when the service says that it is healthy."""
        response = requests.get(f"{self.base_url}/health", timeout=10)
        return response.status_code == 200 and response.json()["status"] == "healthy"

    def execute_code(self, code, timeout=30, environment=None, files=None):
        """Runs code; sends null for what was not given, as the examples do."""
        payload = {"code": code, "timeout": timeout, "files": files}
        if environment:
            payload["environment"] = environment
        response = requests.post(f"{self.base_url}/execute", json=payload, timeout=timeout + 10)
        response.raise_for_status()
        return response.json()

    def execute_code_batch(self, tasks, max_workers=3):
        """Runs many tasks side by side; the results are in the order of the tasks."""
        with concurrent.futures.ThreadPoolExecutor(max_workers) as pool:
            futures = [pool.submit(self.execute_code, **task) for task in tasks]
            return [future.result() for future in futures]

    def execute_with_retry(self, code, timeout, tries=2):
        """Gives a run that timed out more time; other failures are returned as they are."""
        for _ in range(tries):
            result = self.execute_code(code, timeout=timeout)
            if result["success"] or "超时" not in result["error"]:
                return result
            timeout *= 2
        return result

    @staticmethod
    def decode_file(result, name):
        """The content of an output file."""
        return base64.b64decode(result["files"][name])

    @staticmethod
    def describe(result):
        """The lines that print_result shows: all six fields."""
        lines = [f"成功: {result['success']}", f"执行时间: {result['execution_time']:.3f} 秒"]
        lines += [f"{name}: {result[name]}" for name in ("stdout", "stderr", "error")]
        return lines + [f"文件: {', '.join(result['files'])}"]


@pytest.fixture
def old(server):
    """The predecessor's client."""
    return SimplePySandboxClient(server.url + "/")


def test_the_python_client_checks_health_runs_and_decodes_files(old):
    assert old.health_check()
    result = old.execute_code("open('out.txt', 'w').write('结果')\nprint('done')")
    assert result["success"] and result["stdout"] == "done\n"
    assert old.decode_file(result, "out.txt").decode() == "结果"
    assert old.describe(result)[0] == "成功: True"


def test_the_python_client_sends_files_and_reads_them_back(old):
    data = base64.b64encode(b"a,b\n1,2\n").decode()
    result = old.execute_code("import csv\nprint(list(csv.reader(open('in.csv'))))",
                              files={"in.csv": data})
    assert result["stdout"] == "[['a', 'b'], ['1', '2']]\n"
    assert old.decode_file(result, "in.csv") == b"a,b\n1,2\n"


def test_a_failure_can_be_printed_with_all_six_fields(old):
    result = old.execute_code("1/0")
    assert "ZeroDivisionError" in "\n".join(old.describe(result))


def test_a_batch_of_three_workers_keeps_the_order(old):
    results = old.execute_code_batch([{"code": f"print({i} ** 2)", "timeout": 10}
                                      for i in range(9)])
    assert [result["stdout"] for result in results] == [f"{i * i}\n" for i in range(9)]


def test_the_retry_recognises_a_timeout_by_its_words(old):
    result = old.execute_with_retry("import time; time.sleep(1.3); print('late')", timeout=1)
    assert result["success"] and result["stdout"] == "late\n"
    result = old.execute_with_retry("raise ValueError", timeout=1)
    assert "ValueError" in result["error"]


def test_options_that_the_javascript_client_spreads_into_the_body_are_ignored(client):
    options = {"timeout": 10, "retries": 2, "onProgress": None, "headers": {"X-A": "b"}}
    answer = client.post({"code": "print('js')", **options}, headers={
        "Origin": "http://localhost:3000", "Accept": "*/*"})
    assert answer["stdout"] == "js\n"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_tests_that_read_output_and_exit_code_find_them(client):
    answer = client.run("print('Hello')")
    assert (answer["output"], answer["exit_code"]) == ("Hello\n", 0)


def test_a_timeout_does_not_stop_the_server(old):
    for _ in range(2):
        result = old.execute_code("import time; time.sleep(10)", timeout=1)
        assert "超时" in result["error"] and "timeout" in result["error"]
    assert old.health_check()
    assert old.execute_code("print(1)")["success"]
