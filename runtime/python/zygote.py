"""The zygote: a Python interpreter that has imported what runs usually need, and waits to be forked.

Started by dunlin-init inside a nest as ``python3 -u zygote.py WORK_DIR COUNT`` with the builder's
socket as descriptor 3 and the list of modules to import ahead, one a line, as 4; at most COUNT of
them are ("all": no bound).  It may be any Python from 3.8 on.  All forking and locking-in is done by
``_zygote.so``; this file warms the interpreter up, hands over, and in each forked child hands on to
``runner``.
"""
import _signal as signal  # without its enumerations, which every child would have to keep
import ctypes
import gc
import os
import sys

import pages
import runner

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES_FD = 4
MODULES_BYTES = 1 << 16  # of the list that are read
MODULES_MAX = 256
IMPORT_SECONDS = 20  # for all of them; src/init/zygote.c waits for three times that
IMPORT_BYTES = 1 << 30  # of memory; a nest has twice that for all it does
PROFILE = os.path.join(os.path.dirname(HERE), "child.bpf")

# Imported ahead because nearly every program wants them and they are small.  Each megabyte here is
# copied, and taken down again, for every run, so what is rarer or larger (dataclasses brings inspect
# and ast: 2 MB), or makes forks dearer (threading, logging, asyncio, subprocess), is left to the
# runs that ask for it, or to WARM_MODULES.
FREE_MODULES = (
    "base64 bisect collections copy datetime functools heapq io itertools json math operator random "
    "re string struct time types typing"
).split()


class Hooks(ctypes.Structure):
    """What ``_zygote.so`` borrows from this interpreter; the order is that of its struct hooks."""

    _fields_ = [
        ("fork", ctypes.c_void_p),
        ("before_fork", ctypes.c_void_p),
        ("after_fork_parent", ctypes.c_void_p),
        ("after_fork_child", ctypes.c_void_p),
    ]


def usual_environment(work_dir):
    """What src/engine/feed.c gives to runs that ask for nothing else; if it differs, runs are slower."""
    return (
        "PATH=" + os.environ["PATH"],
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
        "PYTHONPATH=" + work_dir,
    )


def wanted_modules(count):
    """The names that the environment lists, at most ``count`` ("all" or a number)."""
    text = os.pread(MODULES_FD, MODULES_BYTES, 0).decode("utf-8", "replace")
    names = [n for n in text.split() if all(part.isidentifier() for part in n.split("."))]
    return names[: MODULES_MAX if count == "all" else int(count)]


def import_module(name):
    """Import one; what cannot be imported, or wants to exit, is left to the run that asks for it."""
    try:
        __import__(name)
    except BaseException:
        pass


def resident_bytes():
    """The memory that this process holds."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * pages.PAGE


def import_modules(names):
    """Import each, in order, within the budget of time and memory.

    When one goes beyond it, a new interpreter takes this one's place and imports those before it: an
    import that is cut off leaves extension modules behind that cannot be imported again.
    """
    done = 0

    def start_again(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.execv(sys.executable, [sys.executable, "-u", __file__, sys.argv[1], str(done)])

    signal.signal(signal.SIGALRM, start_again)
    signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)
    for name in names:
        import_module(name)
        if resident_bytes() > IMPORT_BYTES:
            start_again()
        done += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def make_hooks():
    """Collect the addresses of libc's fork and of Python's fork hooks."""
    libc = ctypes.CDLL(None)
    names = [
        libc.fork,
        ctypes.pythonapi.PyOS_BeforeFork,
        ctypes.pythonapi.PyOS_AfterFork_Parent,
        ctypes.pythonapi.PyOS_AfterFork_Child,
    ]
    return Hooks(*(ctypes.cast(f, ctypes.c_void_p) for f in names))


def heap_range():
    """First and last address of libc's heap; (0, 0) if it has none."""
    with open("/proc/self/maps") as f:
        for line in f:
            if line.endswith("[heap]\n"):
                return tuple(int(word, 16) for word in line.split()[0].split("-"))
    return 0, 0


def serve(library, work_dir):
    """Wait to be forked.  Returns the job descriptor, only ever in a child inside its sandbox."""
    with open(PROFILE, "rb") as f:
        profile = f.read()
    hooks = make_hooks()
    gc.collect()
    gc.freeze()  # so that collections in a child do not write to, and thereby copy, these objects
    ranges = pages.learn(runner.rehearse)
    library.dunlin_prefault(ranges, len(ranges) // pages.RANGE.size)
    return library.dunlin_serve(
        ctypes.byref(hooks), profile, len(profile) // 8, os.fsencode(work_dir)
    )


def leave_alone(names):
    """Take our own modules out of the programs' sight: theirs may have these names."""
    for name in names:
        del sys.modules[name]


def main():
    work_dir, names = sys.argv[1], wanted_modules(sys.argv[2])
    # PyDLL keeps the interpreter lock: a child wakes up holding it.
    library = ctypes.PyDLL(os.path.join(HERE, "_zygote.so"))
    if names:
        library.dunlin_arena_install(ctypes.pythonapi.PyObject_SetArenaAllocator)
    leave_alone(["pages", "runner"])
    del sys.path[0]  # our folder: what is imported from here on is the environment's
    for name in FREE_MODULES:
        import_module(name)
    runner.usual_modules = frozenset(sys.modules)
    import_modules(names)
    os.close(MODULES_FD)
    sys.path.insert(0, HERE)
    runner.set_world([], [os.fsencode(item) for item in usual_environment(work_dir)])
    runner.rehearse()
    if names:
        library.dunlin_arena_collapse(*map(ctypes.c_size_t, heap_range()))
    runner.modules_before = len(sys.modules)
    runner.run(serve(library, work_dir), work_dir)


main()
