"""Runs one handler function: the program of POST /workspace/se/v2/execute_code.

Executed as the main program of a run of its own, warm or cold, by any Python from 3.8 on.  Stdin is
the request's body as the client sent it; the arguments are the result's file, the time that is left
(ms), the limit of memory (MB) and an id.  It is inside the sandbox; nothing here is a barrier.

The result's file has two lines of JSON: ``{"exit_code", "error"}`` and the value that the handler
returned (null unless exit_code is 0).  What the handler prints goes where it prints it, so nothing
printed can be taken for the result.  The handler works in a directory of its own, so that the
result's file is all that has to be carried out of the sandbox.
"""
import json
import os
import sys
import time
import types

LOAD, HANDLER, SERIALISATION = 1, 2, 3  # exit codes, as the predecessor numbered them
WORK_DIR = "work"
SOURCE = "handler.py"

COROUTINE = 0x80  # flags of code objects: inspect.CO_COROUTINE,
VARARGS = 0x04  # and CO_VARARGS; inspect itself takes longer to import than most handlers run


class Context:
    """What a handler gets as its second argument: the keys of the request's ``context`` as
    attributes (and as items), the usual ones filled in where the client said nothing."""

    def __init__(self, given, milliseconds, memory_mb, request_id):
        self.function_name = "handler"
        self.function_version = "$LATEST"
        self.request_id = request_id
        self.log_group_name = ""
        self.log_stream_name = ""
        self.remaining_time_in_millis = milliseconds
        self.memory_limit_in_mb = memory_mb
        self.invoked_function_arn = ""
        self.__dict__.update(given)
        self._deadline = time.monotonic() + milliseconds / 1000

    @property
    def aws_request_id(self):
        """request_id under the name that AWS gives it."""
        return self.request_id

    def get_remaining_time_in_millis(self):
        """Milliseconds until the run is ended, an int, at least 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def __getitem__(self, name):
        return self.__dict__[name]

    def get(self, name, default=None):
        """The key ``name``, or ``default``."""
        return self.__dict__.get(name, default)


class Failed(Exception):
    """Why there is no result: exit code, the text that goes to stderr, the cause or None."""

    def __init__(self, exit_code, text, cause=None):
        super().__init__(text)
        self.exit_code = exit_code
        self.text = text
        self.cause = cause


def traceback_of(exc):
    """The traceback of ``exc`` as text, without the frames of this file."""
    import traceback

    tb = exc.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == Context.__init__.__code__.co_filename:
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(exc), exc, tb))


def text_of(exc):
    """str(exc), whatever its __str__ does."""
    try:
        return str(exc)
    except BaseException:
        return type(exc).__name__


def load(source):
    """Execute the source as the module ``handler``; returns its function of that name."""
    path = os.path.join(os.getcwd(), SOURCE)
    module = types.ModuleType("handler")
    module.__file__ = path
    sys.modules["handler"] = module
    try:
        with open(path, "w", encoding="utf-8") as f:  # so that tracebacks show its lines
            f.write(source)
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:
        text = "System error: 代码语法错误: %s" % text_of(exc)
        raise Failed(LOAD, text, exc.with_traceback(None)) from None
    exec(code, module.__dict__)
    handler = module.__dict__.get("handler")
    if not callable(handler):
        raise Failed(LOAD, "System error: 代码中未找到 handler 函数定义")
    return handler


def wants_context(handler):
    """How the handler takes a context: "position", "name", or "" when it does not.

    By position when it requires a second argument, calls its optional second one so, or takes any
    number; by name when ``context`` is keyword-only.  A decorated handler counts as what it wraps.
    """
    while hasattr(handler, "__wrapped__"):
        handler = handler.__wrapped__
    function, bound = handler, 0
    if not isinstance(function, types.FunctionType):
        function = getattr(handler, "__func__", None) or getattr(type(handler), "__call__", None)
        bound = 1  # self
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    names = code.co_varnames[bound : code.co_argcount]
    if len(names) - len(function.__defaults__ or ()) >= 2 or names[1:2] in (("context",), ("ctx",)):
        return "position"
    if code.co_flags & VARARGS:
        return "position"
    by_name = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return "name" if "context" in by_name else ""


def takes_nothing(handler):
    """Whether it is a plain function without any parameter."""
    code = getattr(handler, "__code__", None)
    return (
        isinstance(handler, types.FunctionType)
        and not hasattr(handler, "__wrapped__")
        and code.co_argcount + code.co_kwonlyargcount == 0
        and not code.co_flags & VARARGS
    )


def call(handler, event, context):
    """What the handler returns; an awaitable is awaited."""
    how = wants_context(handler)
    if takes_nothing(handler):
        value = handler()
    elif how == "position":
        value = handler(event, context)
    elif how == "name":
        value = handler(event, context=context)
    else:
        value = handler(event)
    if hasattr(value, "__await__"):
        import asyncio

        async def wait():
            return await value

        value = asyncio.run(wait())
    return value


def without_nan(value):
    """``value`` with null in the place of numbers that JSON has not: NaN and infinities."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


def to_json(value):
    """``value`` as strict JSON text in ASCII."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:  # NaN, or a circle, which the next one tells of again
        json.dumps(value)
        return json.dumps(without_nan(value), allow_nan=False)


def run(request, context):
    """The result as JSON text.  Raises Failed."""
    os.mkdir(WORK_DIR)
    os.chdir(WORK_DIR)
    sys.path[0] = os.getcwd()
    try:
        handler = load(request["handler_code"])
    except Failed:
        raise
    except BaseException as exc:
        raise Failed(LOAD, "Handler 执行异常: %s" % text_of(exc), exc) from None
    event = request.get("event")
    try:
        value = call(handler, {} if event is None else event, context)
    except BaseException as exc:
        raise Failed(HANDLER, "Handler 执行异常: %s" % text_of(exc), exc) from None
    try:
        return to_json(value)
    except BaseException as exc:
        text = "Failed to parse execution result: %s" % text_of(exc)
        raise Failed(SERIALISATION, text, exc.with_traceback(None)) from None


def describe(failed):
    """The object ``error`` of a failed run; its text goes to stderr."""
    cause = failed.cause
    error = {"type": type(cause).__name__ if cause else "HandlerNotFound", "message": failed.text}
    text = failed.text + "\n"
    if cause is not None:
        error["message"] = text_of(cause)
        if cause.__traceback__ is not None:
            error["traceback"] = traceback_of(cause)
            text += error["traceback"]
    os.write(2, text.encode("utf-8", "replace"))
    return error


def flush():
    """What the handler has printed leaves the interpreter."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):  # None, closed, or nobody reads
            pass


def main():
    """Runs the request on stdin; the process ends here, whatever threads the handler left."""
    milliseconds, memory_mb, request_id = sys.argv[2:5]
    result_path = os.path.abspath(sys.argv[1])
    request = json.loads(sys.stdin.buffer.read())
    del sys.argv[1:]
    context = Context(request.get("context") or {}, int(milliseconds), int(memory_mb), request_id)
    value, exit_code, error = "null", 0, None
    try:
        value = run(request, context)
    except Failed as failed:
        flush()
        exit_code, error = failed.exit_code, describe(failed)
    flush()
    temporary = result_path + ".new"
    with open(temporary, "w", encoding="ascii") as f:
        f.write(json.dumps({"exit_code": exit_code, "error": error}) + "\n" + value)
    os.rename(temporary, result_path)
    os._exit(exit_code)


main()
