"""The static policy: a linter for users, with the contract's texts (A3, section 10 row 13)."""
import pytest

from slowness import stretched

STRICT_CALLS = ["eval('1')", "exec('1')", "compile('1', 'f', 'eval')", "__import__('os')",
                "open('f')", "input()", "vars()", "dir()", "globals()", "locals()",
                "getattr(1, 'x')", "hasattr(1, 'x')", "setattr(1, 'x', 2)", "delattr(1, 'x')",
                "memoryview(b'')", "super()", "staticmethod(len)", "property()"]
STRICT_IMPORTS = ["os", "sys", "subprocess", "multiprocessing", "threading", "socket", "urllib",
                  "http", "pickle", "marshal", "shelve", "ctypes", "importlib", "builtins",
                  "numpy", "os.path", "requests"]
STRICT_ALLOWED = ["math", "random", "datetime", "time", "json", "base64", "hashlib", "hmac",
                  "uuid", "collections", "itertools", "functools", "re", "string", "textwrap",
                  "unicodedata", "decimal", "fractions", "statistics", "pathlib",
                  "collections.abc", "html.parser", "xml.etree.ElementTree", "email.utils"]


def check(client, code, level="strict"):
    """The answer of /policy/check."""
    answer = client.post({"code": code, "level": level}, path="/policy/check")
    assert answer.status == 200, answer.text
    assert answer.body.keys() >= {"safe", "error"}
    assert answer["safe"] == (answer["error"] is None)
    return answer


@pytest.mark.parametrize("code", STRICT_CALLS)
def test_strict_refuses_these_calls(client, code):
    assert check(client, f"x = {code}")["error"].startswith("检测到不安全的操作: Call")


def test_strict_refuses_these_imports(client):
    for name in STRICT_IMPORTS:
        error = check(client, f"import {name}")["error"]
        assert error and error.startswith("检测到不安全的操作: Import"), name
        parent = name.rpartition(".")[0] or name
        error = check(client, f"from {parent} import x")["error"]
        assert error and error.startswith("检测到不安全的操作: ImportFrom"), name


def test_strict_allows_these_imports_and_plain_code(client):
    for name in STRICT_ALLOWED:
        assert check(client, f"import {name}")["safe"], name
    assert check(client, "from . import x")["safe"]
    assert check(client, "print(sum(x * x for x in range(10)))")["safe"]


@pytest.mark.parametrize("code, node", [
    ("x.__class__", "Attribute"), ("().__bases__", "Attribute"), ("f.__dict__", "Attribute"),
    ("x.__subclasses__", "Attribute"), ("m.__file__", "Attribute"),
    ("__builtins__['a']", "Subscript")])
def test_strict_refuses_these_nodes(client, code, node):
    assert check(client, code)["error"].startswith(f"检测到不安全的操作: {node}")


@pytest.mark.parametrize("code", [
    "# __import__", "x = '__globals__'", "x = 'EVAL ('", "# open (", "x = 'eval'", '"""exec"""'])
def test_strict_refuses_these_patterns_even_in_comments_and_strings(client, code):
    assert check(client, code)["error"].startswith("检测到危险的字符串模式")


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_syntax_error_is_said_to_be_one(client, level):
    assert check(client, "x = = 1", level)["error"].startswith("语法错误: ")


def test_standard_allows_what_ordinary_scripts_use(client):
    for code in ("import os, sys; print(os.getcwd(), sys.argv)", "open('f', 'w').write('x')",
                 "import json, re, numpy", "getattr(1, 'real')", "class A: pass\nA.__name__",
                 "import subprocess", "# eval("):
        assert check(client, code, "standard")["safe"], code


def test_standard_refuses_what_has_no_use_in_a_sandbox(client):
    assert not check(client, "import ctypes\nctypes.CDLL(None)", "standard")["safe"]


def test_off_allows_everything(client):
    assert check(client, "import os; eval('1')", "off")["safe"]


@pytest.mark.parametrize("body", [{}, {"code": 1}, {"code": "1", "level": "high"},
                                  {"code": "1", "level": 1}, {"level": "strict"}])
def test_a_wrong_request_is_422(client, body):
    assert client.post(body, path="/policy/check").status == 422


def test_checking_does_not_run_the_code(client):
    code = "while True: pass"
    answer = check(client, code)
    assert answer["safe"] and answer.seconds < stretched(2)


def test_the_policy_is_off_by_default(client):
    answer = client.run("import os; print(eval('1 + 1')); os.system('echo sub')")
    assert answer["stdout"] == "2\nsub\n"


def test_strict_refuses_before_the_code_starts_and_answers_200(make_server):
    client = make_server(SECURITY_LEVEL="strict").client()
    answer = client.run("print('ran')\nimport os")
    assert answer["success"] is False and answer["stdout"] == ""
    assert answer["error"].startswith("Security policy violation: ")
    assert "检测到不安全的操作: Import" in answer["error"]
    assert answer["files"] == {}
    answer = client.run("import math; print(math.pi > 3)")
    assert answer["stdout"] == "True\n"
    answer = client.run("x = = 1")
    assert answer["success"] is False and "语法错误: " in answer["error"]
    assert client.run("echo shell", language="shell")["stdout"] == "shell\n"


def test_allowed_modules_adds_to_the_allow_list(make_server):
    client = make_server(SECURITY_LEVEL="strict", ALLOWED_MODULES="os,sys,json").client()
    assert client.run("import os, sys, json; print(os.getcwd())")["stdout"] == "/sandbox\n"
    answer = client.run("import subprocess")
    assert answer["error"].startswith("Security policy violation: ")


def test_user_files_cannot_change_the_policy(make_server):
    client = make_server(SECURITY_LEVEL="strict").client()
    fake = "bXBhcnNlID0gTm9uZQpkZWYgcGFyc2UoKmEsICoqayk6IHJldHVybiBOb25lCg=="
    files = {name: fake for name in ("ast.py", "re.py", "policy.py", "sitecustomize.py")}
    answer = client.run("import os; print('ran')", files=files)
    assert answer["stdout"] == "" and answer["error"].startswith("Security policy violation: ")
