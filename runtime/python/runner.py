"""The runner: takes one job and runs its ``main.py`` the way ``python main.py`` would.

Called by the zygote's child (warm), or executed as ``python3 -u runner.py`` in the work directory
(cold).  The interpreter may be any from Python 3.8 on.  It is inside the sandbox and locked in
already; nothing here is a barrier.  The job comes from init as one datagram, the payload of
FRAME_JOB in src/wire/frame.h; before the user's code starts, and never after, the runner may send
one word back: ``R`` ready, ``V`` + text when the static policy refuses the code.
"""
import _socket
import atexit
import os
import struct
import sys

HEAD = struct.Struct("=IIIIIIQ")  # struct frame_job
FLAG_CHECK = 1  # evaluate the policy only
JOB_MAX = 96 << 10  # FRAME_PAYLOAD_MAX
REFUSAL_MAX = 2000  # bytes of text that init accepts
HINT = "/dev/shm/.modules"  # FILES_HINT in src/init/files.h
HINT_NAMES = 32  # and no longer than 31: their list is then at most FRAME_MODULES_MAX

# Modules that every zygote has: not worth a hint.
usual_modules = frozenset(sys.modules)
# How many there were when the program began.
modules_before = len(sys.modules)


def make_main(path):
    """A fresh ``__main__`` module as the interpreter makes it for the script at ``path``."""
    module = type(sys)("__main__")
    loader = type(__spec__.loader) if __spec__ is not None else None
    if sys.version_info < (3, 14):  # there the compiler makes them when somebody asks (PEP 649)
        module.__annotations__ = {}
    module.__dict__.update(
        __builtins__=__builtins__ if isinstance(__builtins__, type(sys)) else sys.modules["builtins"],
        __cached__=None,
        __file__=path,
        __loader__=loader("__main__", path) if loader is not None else None,
        __package__=None,
        __spec__=None,
    )
    return module


def receive(fd):
    """The job's payload, bytes.  A descriptor that comes with it becomes stdin; a second one, -1 if
    there is none, holds the script."""
    sock = _socket.socket(fileno=fd)
    payload, ancillary, _, _ = sock.recvmsg(JOB_MAX, _socket.CMSG_SPACE(8))
    script = -1
    for _, _, data in ancillary:
        stdin = int.from_bytes(data[:4], sys.byteorder)
        if len(data) >= 8:
            script = int.from_bytes(data[4:8], sys.byteorder)
        os.dup2(stdin, 0)
        os.close(stdin)
    if not payload:
        os._exit(0)
    return sock, payload, script


def parse(payload):
    """(flags, main file, policy level, allowed modules, args, environment) of a job."""
    flags, _, _, nargv, nargs, _, _ = HEAD.unpack_from(payload)
    strings = payload[HEAD.size : -1].split(b"\0")
    main_file, level, modules = (os.fsdecode(s) for s in strings[:3])
    rest = strings[3 + nargv :]
    return flags, main_file, level, modules, rest[:nargs], rest[nargs:]


def write_script(path, fd):
    """Write a session's script, which ``fd`` holds, to ``path``, whose directory is made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    with open(fd, "rb") as given, open(path, "xb") as f:
        f.write(given.read())


def find_as_python(path):
    """``sys.path`` as ``python path`` begins it: the script's own directory, then PYTHONPATH."""
    more = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:1] = [os.path.dirname(path), *more]


def refusal(path, level, modules):
    """What the static policy says against the code at ``path``; None if nothing."""
    import policy

    del sys.modules["policy"]  # the program may have one of its own
    with open(path, "rb") as f:
        code = f.read().decode("utf-8", "replace")
    return policy.check(code, level, [m for m in modules.split(",") if m])


def reseed():
    """Give generators that were seeded before the fork a state of their own (R91).

    ``random`` and OpenSSL do it themselves through fork hooks; numpy's global generator does not.
    """
    mtrand = sys.modules.get("numpy.random.mtrand")
    if mtrand is not None:
        mtrand._rand.seed()


def set_world(args, env):
    """argv and environment of the user's program.

    A zygote has the usual environment already (see zygote.py), so there is mostly nothing to set.
    """
    wanted = dict(item.split(b"=", 1) for item in env)
    have = os.environb
    if wanted != dict(have):
        for name in set(have) - set(wanted):
            del have[name]
        for name, value in wanted.items():
            if have.get(name) != value:
                have[name] = value
    sys.argv = [os.fsdecode(a) for a in args]
    if hasattr(sys, "orig_argv"):  # Python 3.10
        sys.orig_argv = [sys.executable, *sys.argv]


def without_us(exc):
    """The exception's traceback without the runner's own frames."""
    tb = exc.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == execute.__code__.co_filename:
        tb = tb.tb_next
    return tb


def status_of_exit(exc):
    """Exit status of a SystemExit, as the interpreter computes it."""
    code = exc.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def execute(path, module, codes):
    """Run the file at ``path`` as ``__main__``; returns the exit status.  Its code object is appended
    to the list ``codes``."""
    try:
        with open(path, "rb") as f:
            source = f.read()
        code = compile(source, path, "exec", dont_inherit=True)
        codes.append(code)
        exec(code, module.__dict__)
        return 0
    except SystemExit as exc:
        return status_of_exit(exc)
    except BaseException as exc:
        exc = exc.with_traceback(without_us(exc))
        try:
            sys.excepthook(type(exc), exc, exc.__traceback__)
        except BaseException:  # a broken hook: the interpreter shows the first error all the same
            sys.__excepthook__(type(exc), exc, exc.__traceback__)
        return 130 if isinstance(exc, KeyboardInterrupt) else 1


def imported_modules(codes, work_dir):
    """Names of modules that the program used, as text for a hint: "" if only usual ones.

    First those that are imported and that the program's own code names, whoever imported them: a
    zygote that has them already shall go on having them.  Then what is imported beyond that, which
    finds what the program's own modules import; backwards, since a module is listed when its import is
    complete, after what it needs itself.
    """
    modules, found = sys.modules, {}
    for code in codes:
        for name in code.co_names:
            if name in modules and name not in usual_modules:
                found[name] = None
        for constant in code.co_consts:
            if isinstance(constant, type(code)):
                codes.append(constant)  # functions and classes: the loop comes to them
    if len(modules) != modules_before:
        for name in reversed(list(modules)[modules_before:]):
            if "." not in name and name[0] != "_" and name not in usual_modules:
                found[name] = None
    names = []
    for name in found:
        path = getattr(modules[name], "__file__", None) or ""
        if not path.startswith(work_dir) and name.isascii() and len(name) <= 31:
            names.append(name)
    return ",".join(names[:HINT_NAMES])


def leave_hint(codes, work_dir):
    """Leave the names where init looks for them.  Whatever goes wrong, the program has ended well."""
    try:
        text = imported_modules(codes, work_dir)
        if text:
            fd = os.open(HINT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.write(fd, text.encode())
            os.close(fd)
    except BaseException:
        pass


def finish(status, codes, work_dir):
    """What the interpreter does at its end, except for tearing modules down: threads, atexit, flush.

    Without a ``work_dir`` nobody looks for a hint: a session goes on, and its files are the client's.
    """
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except SystemExit as exc:
        status = status_of_exit(exc)
    except BaseException as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):  # None, or closed by the program
            pass
        except OSError:
            status = status or 120
    if work_dir is not None:
        leave_hint(codes, work_dir)
    # Closed first: whoever reads sees the end before this memory has been taken down.
    os.close(1)
    os.close(2)
    os._exit(status)


def rehearse():
    """Do once what every run does, on ``rehearsal.py`` and a job of its own.

    The zygote does it to be warm itself, and a probe child does it so that ``pages`` can learn which
    memory a run touches.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsal.py")
    env = [os.fsencode(name) + b"=" + os.fsencode(value) for name, value in os.environ.items()]
    strings = [b"rehearsal.py", b"off", b"", *env]
    head = HEAD.pack(0, 0, 0, 0, 0, len(env), 0)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    theirs.send(head + b"".join(s + b"\0" for s in strings))
    theirs.close()
    sock, payload, _ = receive(ours.detach())
    sock.close()
    _, main_file, _, _, args, job_env = parse(payload)
    world = sys.argv, getattr(sys, "orig_argv", None)
    set_world([os.fsencode(main_file), *args], job_env)
    codes = []
    execute(path, make_main(path), codes)
    imported_modules(codes, os.path.dirname(path))
    sys.argv = world[0]
    if world[1] is not None:
        sys.orig_argv = world[1]
    sys.stdout.flush()
    sys.stderr.flush()


def run(fd, work_dir):
    """Take the job that init sends to ``fd`` and run it; does not return."""
    reseed()
    os.write(fd, b"R")
    sock, payload, script = receive(fd)
    flags, main_file, level, modules, args, env = parse(payload)
    path = os.path.join(work_dir, main_file)
    in_session = path == main_file
    if script >= 0:
        try:
            write_script(path, script)
        except OSError as error:
            os.write(2, os.fsencode(f"write {path}: {error.strerror}\n"))
            os._exit(127)
    verdict = refusal(path, level, modules) if level != "off" else None
    if verdict is not None:
        sock.send(b"V" + verdict.encode("utf-8", "replace")[:REFUSAL_MAX])
    sock.close()
    if verdict is not None or flags & FLAG_CHECK:
        os._exit(0)
    set_world([os.fsencode(main_file), *args], env)
    if in_session:
        find_as_python(path)
    else:
        sys.path[0] = work_dir
    module = make_main(path)
    sys.modules["__main__"] = module
    codes = []
    status = execute(path, module, codes)
    finish(status, codes, None if in_session else work_dir)


if __name__ == "__main__":
    run(3, os.getcwd())
