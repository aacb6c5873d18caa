"""The page that the processes of an instrumented build share with a test: see instrument.h.

    page = Page(path)
    server = Server(data, env={"DUNLIN_INSTRUMENT": page.path}, dist=build())
    with page.failing("spawner", nth=3, call="mkdirat", error=errno.ENOSPC):
        ...                                  # the third mkdirat(2) of the spawner fails
    page.hit                                 # which call that was, and where
"""
import contextlib
import ctypes
import mmap
import os
import pathlib
import re
import shutil
import subprocess
from dataclasses import dataclass

FOLDER = pathlib.Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent.parent
PROGRAMS = ("dunlin", "dunlin-spawner", "dunlin-init", "_zygote.so")  # by INSTRUMENT_PROGRAM
DIST = REPOSITORY / "build-instrumented" / "dist"
ROLES = ("server", "server child", "spawner", "spawner child", "builder", "builder child", "init",
         "init child", "zygote", "run")
CALLS = tuple(re.findall(r"^CALL\((\w+), \w+\)", (FOLDER / "calls.def").read_text(), re.M))
KINDS = dict(re.findall(r"^CALL\((\w+), (\w+)\)", (FOLDER / "calls.def").read_text(), re.M))
FAIL, SHORT, DIE, HANG = 1, 2, 3, 4
MAGIC = 0x3154534E494E5544
CODE_MAX = 8 << 20
PLACES = 1 << 20


def build(asan=False):
    """Brings the instrumented build up to date (a minute the first time); returns its folder.  asan:
    with AddressSanitizer in `dunlin`, which then counts no blocks of memory."""
    subprocess.run([REPOSITORY / "tools" / "dev", "instrumented"], check=True)
    if not asan:
        return DIST
    place, dist = REPOSITORY / "build-instrumented-asan", REPOSITORY / "build-instrumented-asan" / "dist"
    if not (place / "build.ninja").exists():
        subprocess.run(["meson", "setup", place, "-Db_sanitize=address", "-Dinstrument=true",
                        "-Dtests=false", "-Dwerror=false", "--prefix=/"], check=True,
                       cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "--quiet", "-C", place, "dunlin"], check=True)
    shutil.copytree(DIST, dist, symlinks=True, dirs_exist_ok=True)
    shutil.copy2(place / "dunlin", dist / "bin" / "dunlin")
    return dist


class _Layout(ctypes.Structure):
    """struct instrument_page."""

    _fields_ = [
        ("magic", ctypes.c_uint64), ("armed", ctypes.c_uint32), ("roles", ctypes.c_uint32),
        ("call", ctypes.c_int32), ("number", ctypes.c_int32), ("countdown", ctypes.c_int64),
        ("action", ctypes.c_uint32), ("error", ctypes.c_int32), ("repeat", ctypes.c_uint32),
        ("hang", ctypes.c_uint32), ("fresh", ctypes.c_uint32), ("realtime_ns", ctypes.c_int64), ("hits", ctypes.c_uint32),
        ("hit_role", ctypes.c_int32), ("hit_call", ctypes.c_int32), ("hit_number", ctypes.c_int32),
        ("hit_pid", ctypes.c_int32), ("hit_program", ctypes.c_int32),
        ("hit_offset", ctypes.c_uint64), ("calls", ctypes.c_uint64 * 256 * len(ROLES)),
        ("numbers", ctypes.c_uint64 * 512 * len(ROLES)),
        ("code", ctypes.c_uint8 * CODE_MAX * len(PROGRAMS)),
        ("heap_blocks", ctypes.c_int64), ("heap_bytes", ctypes.c_int64),
        ("failed", ctypes.c_uint8 * PLACES),
    ]


@dataclass(frozen=True)
class Hit:
    """The last call that was made to fail.

    role, call: names; number: of the system call, when call is "syscall", else -1; program: the
    name of the file; offset: of the return address from the start of the program's image."""

    role: str
    call: str
    number: int
    program: str
    offset: int

    def __str__(self):
        call = f"syscall {self.number}" if self.call == "syscall" else self.call
        return f"{call} of {self.role} ({self.program}+{self.offset:#x})"


class Page:
    """One page in a file.  path: the file; it is made if it is not there."""

    def __init__(self, path):
        self.path = str(path)
        size = ctypes.sizeof(_Layout)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, size)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        self._page = _Layout.from_buffer(self._map)
        self._page.magic = MAGIC

    def close(self):
        """Removes the file; processes that have it keep it.  When coverage is measured, what has run
        so far is added to the page that is measured with."""
        measured = os.environ.get("DUNLIN_INSTRUMENT")
        if measured and measured != self.path:
            Page(measured).add(self)
        pathlib.Path(self.path).unlink(missing_ok=True)

    # -- the plan

    def arm(self, roles, nth=1, call=None, number=None, action=FAIL, error=0, repeat=False,
            fresh=False):
        """From now on the `nth` call of any of `roles` (a name, or several) does `action`, once or,
        with `repeat`, it and each later one.  call: a symbol of calls.def, or None for any; number:
        of the system call, for call="syscall"; error: an errno (of SQLite a result code), 0 for the
        usual one of its kind; fresh: only calls from places (with their callers) that have not
        failed so before are counted."""
        page = self._page
        self.disarm()
        names = (roles,) if isinstance(roles, str) else roles
        page.roles = sum(1 << ROLES.index(role) for role in names)
        page.call = -1 if call is None else CALLS.index(call)
        page.number = -1 if number is None else number
        page.action, page.error, page.repeat = action, error, repeat
        page.hang, page.fresh = action == HANG, fresh
        page.countdown = nth
        page.armed = 1

    def disarm(self):
        """No call fails any more; threads that hang go on."""
        self._page.armed = 0
        self._page.hang = 0

    @contextlib.contextmanager
    def failing(self, roles, **plan):
        """arm() for the time of a with statement."""
        self.arm(roles, **plan)
        try:
            yield
        finally:
            self.disarm()

    @property
    def failed(self):
        """The places that have failed while `fresh`, as bytes; to be given to another page."""
        return bytes(self._page.failed)

    @failed.setter
    def failed(self, places):
        ctypes.memmove(self._page.failed, places, PLACES)

    def move_clock(self, seconds):
        """The time of day of all processes is the machine's plus `seconds` from now on."""
        self._page.realtime_ns = int(seconds * 1e9)

    # -- what happened

    @property
    def hits(self):
        """How many calls were made to fail since the page was made."""
        return self._page.hits

    @property
    def hit(self):
        """The last of them, or None."""
        page = self._page
        if page.hits == 0:
            return None
        return Hit(ROLES[page.hit_role], CALLS[page.hit_call], page.hit_number,
                   PROGRAMS[page.hit_program], page.hit_offset)

    def calls(self, role):
        """How many calls the processes of a role have made so far, by symbol."""
        counts = self._page.calls[ROLES.index(role)]
        return {call: counts[i] for i, call in enumerate(CALLS) if counts[i]}

    @property
    def heap(self):
        """What `dunlin` has in use of malloc, libraries included: (blocks, bytes)."""
        return self._page.heap_blocks, self._page.heap_bytes

    def numbers(self, role):
        """The same of syscall(2), by number."""
        counts = self._page.numbers[ROLES.index(role)]
        return {number: counts[number] for number in range(512) if counts[number]}

    def code(self, program):
        """The offsets in the image of a program at which marked code has run, as a sorted list."""
        seen = bytes(self._page.code[PROGRAMS.index(program)])
        return [match.start() for match in re.finditer(b"\x01", seen)]

    def add(self, other):
        """Marks also what another page has marked."""
        for program, name in enumerate(PROGRAMS):
            marks = self._page.code[program]
            for offset in other.code(name):
                marks[offset] = 1

    def forget(self, program):
        """Takes the marks of a program away."""
        ctypes.memset(self._page.code[PROGRAMS.index(program)], 0, CODE_MAX)


def binary(dist, program):
    """The path of a program in the build in `dist`."""
    folder = {"dunlin": "bin", "_zygote.so": "share/dunlin/runtime/python"}
    return pathlib.Path(dist) / folder.get(program, "libexec/dunlin") / program


def image_base(program):
    """The address at which a program's image begins, as its debug information has it."""
    return 0x400000 if program == "dunlin-init" else 0


def place(dist, hit):
    """function and file:line of a hit, from the debug information of the build in `dist`."""
    address = image_base(hit.program) + hit.offset - 1
    answer = subprocess.run(["addr2line", "-f", "-s", "-e", binary(dist, hit.program), hex(address)],
                            capture_output=True, text=True, check=True)
    return " ".join(answer.stdout.split())
