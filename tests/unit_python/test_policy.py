"""The static policy: contract A3 of the predecessor, and the level of our own."""

import importlib.util
import pathlib
import subprocess
import sys
import time

import pytest

SOURCE = pathlib.Path(__file__).parents[2] / "runtime/python/policy.py"


def load():
    spec = importlib.util.spec_from_file_location("dunlin_policy", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


policy = load()

CALLS = """eval exec compile __import__ open input raw_input file reload vars dir globals locals
    memoryview property super staticmethod classmethod delattr getattr hasattr setattr""".split()
REFUSED = """os sys subprocess multiprocessing threading socket urllib http ftplib telnetlib pickle
    cPickle marshal shelve dbm ctypes imp importlib __main__ builtins __builtin__""".split()
ALLOWED = """math random datetime time json base64 hashlib hmac uuid collections itertools functools
    re string textwrap unicodedata decimal fractions statistics pathlib collections.abc urllib.parse
    email.utils html.parser html.entities xml.etree.ElementTree""".split()
ATTRIBUTES = """__builtins__ __globals__ __locals__ __dict__ __class__ __bases__ __subclasses__
    __import__ __file__ __name__""".split()


def unsafe(kind, detail):
    return f"检测到不安全的操作: {kind} ({detail})"


def strict(code, allowed=()):
    return policy.check(code, "strict", allowed)


def standard(code, allowed=()):
    return policy.check(code, "standard", allowed)


@pytest.mark.parametrize("name", CALLS)
def test_strict_refuses_the_call(name):
    expected = unsafe("Call", f"Dangerous builtin function detected: {name}")
    assert strict(f"{name}(x)") == expected
    assert strict(f"def f():\n    return [1, {name}('a')]") == expected


@pytest.mark.parametrize("name", CALLS)
def test_strict_looks_at_bare_names_only(name):
    reason = strict(f"a.{name} (1)")
    assert reason is None or reason.startswith(("检测到危险的字符串模式", "检测到不安全的操作: Attribute"))
    assert strict("x = super") is None


@pytest.mark.parametrize("name", REFUSED)
def test_strict_refuses_the_module(name):
    detail = f"Import not allowed: {name}"
    assert strict(f"import {name}") == unsafe("Import", detail)
    assert strict(f"import math, {name} as m") == unsafe("Import", detail)
    assert strict(f"from {name} import x") == unsafe("ImportFrom", detail)


@pytest.mark.parametrize("name", ALLOWED)
def test_strict_allows_the_module(name):
    assert strict(f"import {name}") is None
    assert strict(f"from {name} import x as y") is None


@pytest.mark.parametrize("name", ["numpy", "os.path", "urllib.request", "urllib.parse.x", "html",
                                  "email", "xml.etree", "json.decoder", "collectionsx",
                                  "__future__", "importlib.util"])
def test_strict_refuses_every_other_module(name):
    assert strict(f"import {name}") == unsafe("Import", f"Import not allowed: {name}")


def test_strict_lets_a_relative_import_without_a_name_pass():
    assert strict("from . import x") is None
    assert strict("from .os import x") == unsafe("ImportFrom", "Import not allowed: os")


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_strict_refuses_the_attribute(name):
    assert strict(f"().{name}") == unsafe("Attribute", f"Attribute not allowed: {name}")
    assert strict(f"a.{name} = 1") == unsafe("Attribute", f"Attribute not allowed: {name}")


def test_strict_refuses_a_subscript_of_builtins():
    assert strict("__builtins__['a']") == unsafe("Subscript", "Subscript not allowed: __builtins__")


@pytest.mark.parametrize("text", [
    "__builtins__", "__IMPORT__", "__globals__", "__locals__", "eval(", "EXEC  (", "compile\t(",
    "open (", "myfile(", "input(", "raw_input(", "'eval'", '"exec"', "'__import__'", "'eval\""])
def test_strict_finds_the_pattern_even_in_a_comment(text):
    reason = strict(f"x = 1  # {text}")
    assert reason.startswith("检测到危险的字符串模式 (Dangerous string pattern detected: ")


@pytest.mark.parametrize("code", ["x = 1  # evaluate (this)", "s = 'evaluation'", "a.opened(1)",
                                  "print('hello')", "", "class A:\n    def m(self): return self.x"])
def test_strict_allows_plain_code(code):
    assert strict(code) is None


def test_a_bad_node_comes_before_a_bad_pattern():
    assert strict("x = '__globals__'\nimport os").startswith("检测到不安全的操作: Import ")


def test_the_first_node_breadth_first_is_named():
    code = "def f():\n    eval('1')\nimport os\n"
    assert strict(code) == unsafe("Import", "Import not allowed: os")
    assert strict("eval(a.__class__)").startswith("检测到不安全的操作: Call ")


def test_allowed_modules_lift_exactly_the_named_ones():
    assert strict("import os, numpy.linalg\nfrom numpy import array", ["os", "numpy"]) is None
    assert strict("import sys", ["os"]) == unsafe("Import", "Import not allowed: sys")
    assert strict("import numpyx", ["numpy"]) is not None
    assert strict("import xml.dom", ["xml.dom"]) is None
    assert strict("import xml.sax", ["xml.dom"]) is not None
    assert standard("import ctypes.util", ["ctypes"]) is None
    assert strict("open('x')", ["open"]) is not None


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_syntax_error_is_its_own_answer(level):
    reason = policy.check("def f(:\n", level)
    assert reason.startswith("语法错误: ")
    assert "line 1" in reason


@pytest.mark.parametrize("code", ["x = 1\0", "s = '\ud800'", "-" * 90000 + "1", "x" * 1000001,
                                  "a = " + "(" * 50000, "x" + ".a" * 90000, "1" + "+1" * 90000])
def test_code_that_cannot_be_checked_is_refused_quickly(code):
    start = time.monotonic()
    for level in ("standard", "strict"):
        reason = policy.check(code, level)
        assert reason is None or reason.startswith(("代码验证失败: ", "语法错误: "))
        assert reason is None or len(reason) > len("代码验证失败: ")
    assert time.monotonic() - start < 10


def test_names_of_the_code_are_cut():
    assert len(strict("import " + "x" * 5000)) < 200


@pytest.mark.parametrize("code", [
    "open('x', 'w')", "import os, sys, subprocess, socket, pickle, threading, urllib.request",
    "import numpy", "type(x).__name__, x.__class__, x.__dict__, __file__", "getattr(a, 'b')",
    "super().__init__()", "# eval( __builtins__", "model.eval()", "re.compile('x')", "input()",
    "import importlib",
    "from __future__ import annotations", "s = 'exec'"])
def test_standard_allows_what_programs_need(code):
    assert standard(code) is None


@pytest.mark.parametrize("code, kind", [
    ("eval('1')", "Call"), ("exec(x)", "Call"), ("compile('1', '', 'eval')", "Call"),
    ("__import__('os')", "Call"), ("import ctypes", "Import"), ("import ctypes.util", "Import"),
    ("from cffi import FFI", "ImportFrom"), ("import _ctypes", "Import"),
    ("import marshal", "Import"), ("import imp", "Import"), ("import telnetlib", "Import"),
    ("import ftplib", "Import"), ("import cPickle", "Import"), ("import __builtin__", "Import"),
    ("f.__globals__", "Attribute"), ("object.__subclasses__()", "Attribute"),
    ("a.__builtins__", "Attribute"), ("a.__import__", "Attribute"),
    ("__builtins__['open']", "Subscript")])
def test_standard_refuses(code, kind):
    assert standard(code).startswith(f"检测到不安全的操作: {kind} (")


def test_off_allows_everything_even_what_is_no_program():
    assert policy.check("eval(", "off") is None


def test_an_unknown_level_is_our_own_mistake():
    with pytest.raises(ValueError):
        policy.check("1", "STRICT")


def test_the_answer_of_the_documents_comes_out():
    text = policy.violation(strict("eval('1')"))
    assert text.startswith("Security policy violation: ")
    assert "Dangerous builtin function detected: eval" in text


def test_no_warning_of_the_code_is_printed_by_the_check(capfd):
    assert standard(r"s = '\d'; 1 is 1") is None
    assert capfd.readouterr().err == ""


def test_importing_it_imports_nothing_else():
    program = ("import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]);"
               "import policy; print(sorted(set(sys.modules) - before - {'policy'}))")
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(SOURCE.parent)],
                         capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
