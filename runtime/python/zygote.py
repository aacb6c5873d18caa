"""The zygote: a Python interpreter that has imported what runs usually need, and waits to be forked.

Started by dunlin-init inside a nest as ``python3 -u zygote.py WORK_DIR`` with the builder's socket
as descriptor 3 and the list of modules to import ahead, one a line, as 4.  All forking and locking-in is done by ``_zygote.so``; this file warms the
interpreter up, hands over, and in each forked child hands on to ``runner``.
"""
import ctypes
import gc
import os
import sys

import pages
import runner

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES_FD = 4
MODULES_BYTES = 1 << 16  # of the list that are read
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
        ("clone", ctypes.c_void_p),
        ("before_fork", ctypes.c_void_p),
        ("after_fork_parent", ctypes.c_void_p),
        ("after_fork_child", ctypes.c_void_p),
    ]


def usual_environment(work_dir):
    """What src/engine/feed.c gives to runs that ask for nothing else; if it differs, runs are slower."""
    return (
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
        "PYTHONPATH=" + work_dir,
    )


def wanted_modules():
    """The names that the environment lists.  Closes the list: no child shall have it."""
    text = os.pread(MODULES_FD, MODULES_BYTES, 0).decode("utf-8", "replace")
    os.close(MODULES_FD)
    return text.split()


def import_modules(names):
    """Import each name; one that cannot be imported is left to the run that asks for it."""
    for name in names:
        try:
            __import__(name)
        except Exception:  # a broken package must not take the interpreter down
            pass


def make_hooks():
    """Collect the addresses of libc's fork and clone and of Python's fork hooks."""
    libc = ctypes.CDLL(None)
    names = [
        libc.fork,
        libc.clone,
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


def main():
    work_dir = sys.argv[1]
    # PyDLL keeps the interpreter lock: a child wakes up holding it.
    library = ctypes.PyDLL(os.path.join(HERE, "_zygote.so"))
    names = wanted_modules()
    if names:
        library.dunlin_arena_install(ctypes.pythonapi.PyObject_SetArenaAllocator)
    import_modules(FREE_MODULES)
    import_modules(names)
    runner.set_world([], [os.fsencode(item) for item in usual_environment(work_dir)])
    runner.rehearse()
    if names:
        library.dunlin_arena_collapse(*map(ctypes.c_size_t, heap_range()))
    runner.run(serve(library, work_dir), work_dir)


main()
