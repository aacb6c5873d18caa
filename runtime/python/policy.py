"""The static policy: says before a run which part of the code an operator does not want to see.

It is a linter for people who send code, never the barrier: whoever wants to can write around it,
and the sandbox holds whether it runs or not.  It runs inside the sandbox, in the interpreter that
will run the code, so whatever its own parsing costs or breaks is the run's affair.  It imports
`ast` and `re` only when it is asked.

The levels:

off       allows everything.
standard  refuses what has no use in a sandbox or defeats this check: code made at run time from
          strings, native memory, the classic steps from a harmless object to its interpreter.
          open, os, sys, subprocess, sockets, pickle and every installed package are allowed.
strict    is what SimplePySandbox's sandbox/security.py promised: a list of refused calls, modules
          and attributes, an allow-list of modules (so numpy is refused), and patterns looked for
          even in comments and strings.
"""

MAX_CODE_CHARACTERS = 1000000  # an AST takes about a hundred bytes for a character of its source
MAX_NAME_CHARACTERS = 80  # of the code's own names, repeated in an answer
MAX_TEXT_CHARACTERS = 400

PREFIX = "Security policy violation: "

STRICT_CALLS = frozenset(
    "eval exec compile __import__ open input raw_input file reload vars dir globals locals"
    " memoryview property super staticmethod classmethod delattr getattr hasattr setattr".split())

STRICT_REFUSED_MODULES = frozenset(
    "os sys subprocess multiprocessing threading socket urllib http ftplib telnetlib pickle cPickle"
    " marshal shelve dbm ctypes imp importlib __main__ builtins __builtin__".split())

STRICT_ALLOWED_MODULES = frozenset(
    "math random datetime time json base64 hashlib hmac uuid collections itertools functools re"
    " string textwrap unicodedata decimal fractions statistics pathlib"
    " urllib.parse email.utils xml.etree.ElementTree".split())

STRICT_ALLOWED_PARENTS = ("collections.", "html.")

STRICT_ATTRIBUTES = frozenset(
    "__builtins__ __globals__ __locals__ __dict__ __class__ __bases__ __subclasses__ __import__"
    " __file__ __name__".split())

STRICT_PATTERN = (
    r"__builtins__|__import__|__globals__|__locals__"
    r"|(?:eval|exec|compile|open|file|input|raw_input)\s*\("
    r"""|['"](?:eval|exec|__import__)['"]""")

# Each makes code out of text, which this check cannot read.
STANDARD_CALLS = frozenset(["eval", "exec", "compile", "__import__"])

STANDARD_REFUSED_MODULES = frozenset([
    "ctypes", "_ctypes", "cffi", "_cffi_backend",  # native memory: crashes instead of exceptions
    "marshal",                                     # likewise, and a format without a promise
    "ftplib", "telnetlib",                         # clients of a network that is not there
    "imp", "cPickle", "__builtin__",               # gone from Python 3.12 or with Python 2
])

# The usual way from any object to the interpreter's insides; honest programs do not need them.
STANDARD_ATTRIBUTES = frozenset(["__builtins__", "__globals__", "__subclasses__", "__import__"])

LEVELS = ("off", "standard", "strict")


def check(code, level, allowed=()):
    """Checks `code` against the policy of `level`.

    Parameters: code, the program as text; level, one of LEVELS; allowed, names of modules that may
    be imported whatever the level says (each with its submodules).

    Returns None when nothing is wrong, else the reason as the API shows it behind PREFIX: Chinese
    first, English in brackets.  Of several reasons it is the first in ast.walk's order, breadth
    first.  Raises ValueError on an unknown level and no other error, whatever the code is.
    """
    if level not in LEVELS:
        raise ValueError("unknown security level: %r" % (level,))
    if level == "off":
        return None
    try:
        reason = _first_reason(code, level == "strict", frozenset(allowed))
    except SyntaxError as error:
        reason = "语法错误: %s" % error
    except Exception as error:  # RecursionError, MemoryError, ValueError for NUL, lone surrogates
        reason = "代码验证失败: %s" % (str(error) or type(error).__name__)
    return reason and reason[:MAX_TEXT_CHARACTERS]


def violation(reason):
    """The text of the answer's `error` for a `reason` that check() gave."""
    return PREFIX + reason


def _first_reason(code, strict, allowed):
    import ast

    if len(code) > MAX_CODE_CHARACTERS:
        raise ValueError("more than %d characters (code too long to check)" % MAX_CODE_CHARACTERS)
    for node in ast.walk(_parse(ast, code)):
        detail = _detail_of(ast, node, strict, allowed)
        if detail is not None:
            return "检测到不安全的操作: %s (%s)" % (type(node).__name__, detail)
    return _pattern_in(code) if strict else None


def _parse(ast, code):
    import warnings

    with warnings.catch_warnings():
        # The run compiles the same text again, and the user should read each warning once.
        warnings.simplefilter("ignore")
        return ast.parse(code, "main.py")


def _detail_of(ast, node, strict, allowed):
    """What is wrong with this one node, in English, or None."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in (STRICT_CALLS if strict else STANDARD_CALLS):
            return "Dangerous builtin function detected: " + _short(node.func.id)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if not _may_import(alias.name, strict, allowed):
                return "Import not allowed: " + _short(alias.name)
    elif isinstance(node, ast.ImportFrom):
        # `from . import x` names no module; level is ignored, as the predecessor ignored it.
        if node.module and not _may_import(node.module, strict, allowed):
            return "Import not allowed: " + _short(node.module)
    elif isinstance(node, ast.Attribute):
        if node.attr in (STRICT_ATTRIBUTES if strict else STANDARD_ATTRIBUTES):
            return "Attribute not allowed: " + _short(node.attr)
    elif isinstance(node, ast.Subscript):
        if isinstance(node.value, ast.Name) and node.value.id == "__builtins__":
            return "Subscript not allowed: __builtins__"
    return None


def _may_import(name, strict, allowed):
    parts = name.split(".")
    if any(".".join(parts[:count]) in allowed for count in range(1, len(parts) + 1)):
        return True
    if not strict:
        return parts[0] not in STANDARD_REFUSED_MODULES
    if name in STRICT_REFUSED_MODULES:
        return False
    return name in STRICT_ALLOWED_MODULES or name.startswith(STRICT_ALLOWED_PARENTS)


def _pattern_in(code):
    """The reason when the text holds a forbidden pattern anywhere, comments included, else None."""
    import re

    found = re.search(STRICT_PATTERN, code, re.IGNORECASE)
    if found is None:
        return None
    return "检测到危险的字符串模式 (Dangerous string pattern detected: %s)" % _short(found.group())


def _short(name):
    return name if len(name) <= MAX_NAME_CHARACTERS else name[:MAX_NAME_CHARACTERS] + "…"
