"""How each call can really fail: the faults that fit the calls a process was seen to make."""
import errno
from dataclasses import dataclass

from instrument.page import DIE, FAIL, HANG, KINDS, SHORT

# calls.def has them, but with what we hand them the kernel always does them.
NEVER = {"clock_gettime", "time", "sigprocmask"}
MEMORY = (errno.ENOMEM,)
FILES = (errno.EMFILE, errno.EIO)
ROOM = (errno.ENOSPC, errno.EIO)
WAITING = (errno.EINTR,)
ERRORS = {
    **dict.fromkeys(("malloc", "calloc", "realloc", "strdup", "strndup", "asprintf", "vasprintf",
                     "mmap", "mmap64", "epoll_ctl", "mount", "fsopen", "fsmount", "setns", "bind",
                     "setrlimit64", "mount_setattr", "move_mount", "open_tree", "socket"), MEMORY),
    **dict.fromkeys(("open", "open64", "openat", "openat64", "fopen", "fopen64", "opendir",
                     "fdopendir", "setmntent"), FILES),
    **dict.fromkeys(("pipe", "pipe2", "socketpair", "eventfd", "epoll_create1", "signalfd", "dup",
                     "dup2", "dup3", "fcntl", "fcntl64", "inotify_init1"), (errno.EMFILE,)),
    **dict.fromkeys(("mkdir", "mkdirat", "mknod", "mknodat", "mkfifo", "symlink", "symlinkat",
                     "link", "linkat", "rename", "renameat", "ftruncate", "ftruncate64",
                     "truncate", "inotify_add_watch", "fsync", "syncfs"), ROOM),
    **dict.fromkeys(("write", "pwrite", "pwrite64", "writev"),
                    (errno.ENOSPC, errno.EIO, errno.EINTR)),
    **dict.fromkeys(("read", "pread", "pread64"), (errno.EIO, errno.EINTR)),
    **dict.fromkeys(("poll", "epoll_wait", "select", "waitpid", "wait4"), WAITING),
    **dict.fromkeys(("recvmsg", "recv", "recvfrom", "accept4"),
                    (errno.EINTR, errno.ECONNRESET)),
    **dict.fromkeys(("sendmsg", "send"), (errno.EINTR, errno.ENOBUFS, errno.EPIPE)),
    "fork": (errno.EAGAIN,),
    "close": (errno.EIO,),
    "flock": (errno.ENOLCK, errno.EINTR),
    "rmdir": (errno.EBUSY,),
    "kill": (errno.ESRCH, errno.EPERM),
    "ioctl": (errno.ENOMEM, errno.EIO),
}
# The same for syscall(2), by number on x86-64; others: EIO.
NUMBERS = {
    0: (errno.EIO, errno.EINTR),          # read
    1: (errno.EIO, errno.EINTR),          # write
    9: MEMORY,                            # mmap
    45: (errno.EINTR,),                   # recvfrom
    47: (errno.EINTR, errno.ECONNRESET),  # recvmsg
    61: WAITING,                          # wait4
    257: FILES,                           # openat
    293: (errno.EMFILE,),                 # pipe2
    319: (errno.EMFILE,),                 # memfd_create
    434: (errno.EMFILE,),                 # pidfd_open
    435: (errno.EAGAIN, errno.ENOMEM),    # clone3
    437: FILES,                           # openat2
}
# PR_CAPBSET_DROP is how confine() finds the highest capability: EINVAL is an answer, not a failure.
SHORT_NUMBERS = {0, 1}
NEVER_NUMBERS = {13}  # rt_sigaction
WHOLE = {"readlink", "getrandom"}  # never short with the sizes we ask for


@dataclass(frozen=True)
class Fault:
    """The nth call of a kind by a role does an action; error: an errno, 0 with others than FAIL.  nth 0: the
    next from a place that has not failed yet."""

    role: str
    call: str
    number: int
    nth: int
    action: int
    error: int = 0

    def __str__(self):
        call = f"syscall {self.number}" if self.call == "syscall" else self.call
        what = {FAIL: errno.errorcode.get(self.error, "fails"), SHORT: "short", DIE: "dies",
                HANG: "hangs"}[self.action]
        return f"{self.role}: {call}{f' #{self.nth}' if self.nth else ''} {what}"


def ways(call, number, actions):
    """(action, errno) of every way in which a call fails."""
    found = []
    if FAIL in actions:
        errors = NUMBERS.get(number, (errno.EIO,)) if call == "syscall" else \
            ERRORS.get(call, (0,))
        found += [(FAIL, error) for error in errors]
    short = (KINDS[call] == "READS" and call not in WHOLE) or (call == "syscall" and number in SHORT_NUMBERS)
    if SHORT in actions and short:
        found.append((SHORT, 0))
    return found + [(action, 0) for action in (DIE, HANG) if action in actions]


def faults(role, counts, actions=(FAIL, SHORT)):
    """Every fault that fits `counts`, a dictionary of (call, number) to how often it was made, in the
    order of n; number is -1 but for syscall."""
    found = []
    for (call, number), count in counts.items():
        if call in NEVER or number in NEVER_NUMBERS:
            continue
        for nth in range(1, count + 1):
            found += [Fault(role, call, number, nth, action, error)
                      for action, error in ways(call, number, actions)]
    return sorted(found, key=lambda one: (one.nth, one.call, one.number, one.action, one.error))


def kinds(role, counts):
    """For each kind of call in `counts` the fault that fails it at the next place that has not failed yet, in the
    first way that fits."""
    return [Fault(role, call, number, 0, *ways(call, number, (FAIL,))[0]) for call, number in sorted(counts)
            if call not in NEVER and number not in NEVER_NUMBERS]
