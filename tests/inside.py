"""Code that the attack tests put before their own: raw system calls, memory scans, reports.

Everything in PRELUDE runs inside the sandbox as the attacker.  `call` returns "ok" or the name of
the error; `attempt` does the same for a Python function; `report` prints findings as JSON.
"""
import platform
import textwrap

# number by name: x86-64, arm64.  -1: the architecture has no such call.
_NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bpf": (321, 280),
    "chroot": (161, 51), "clock_adjtime": (305, 266), "clock_settime": (227, 112),
    "clone": (56, 220), "clone3": (435, 435), "delete_module": (176, 106),
    "fanotify_init": (300, 262), "finit_module": (313, 273), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433), "getpid": (39, 172),
    "init_module": (175, 105), "io_setup": (206, 0), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioperm": (173, -1),
    "iopl": (172, -1), "kcmp": (312, 272), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "kill": (62, 129), "listmount": (458, 458),
    "lookup_dcookie": (212, 18), "memfd_secret": (447, 447), "migrate_pages": (256, 238),
    "mknodat": (259, 33), "modify_ldt": (154, -1), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "move_pages": (279, 239), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "name_to_handle_at": (303, 264), "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pivot_root": (155, 41), "prctl": (157, 167),
    "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "reboot": (169, 142),
    "remap_file_pages": (216, 234), "request_key": (249, 218), "seccomp": (317, 277),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268),
    "settimeofday": (164, 170), "shmget": (29, 194), "splice": (275, 76), "statmount": (457, 457),
    "swapoff": (168, 225), "swapon": (167, 224), "sysfs": (139, -1), "syslog": (103, 116),
    "tee": (276, 77), "umount2": (166, 39), "unshare": (272, 97), "uselib": (134, -1),
    "userfaultfd": (323, 282), "ustat": (136, -1), "vhangup": (153, 58), "vmsplice": (278, 75),
    "wait4": (61, 260),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]
NUMBERS = {name: pair[_COLUMN] for name, pair in _NUMBERS.items() if pair[_COLUMN] >= 0}

PRELUDE = f"NR = {NUMBERS!r}" + r'''
import ctypes, errno, json, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def raw(number, *args):
    """The result of a system call, or minus its errno."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number),
                          *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    return -ctypes.get_errno() if result == -1 else result


def call(name, *args):
    """"ok" if the kernel did it, else the error's name."""
    result = raw(NR[name], *args)
    return "ok" if result >= 0 else errno.errorcode[-result]


def attempt(action, *args, **named):
    """"ok" if the function returned, else the name of its OSError (or ValueError)."""
    try:
        action(*args, **named)
        return "ok"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except ValueError:
        return "ValueError"


def read_file(path, size=1 << 20):
    """The start of a file, or the error's name in brackets."""
    try:
        with open(path, "rb") as f:
            return f.read(size).decode("latin-1")
    except OSError as error:
        return f"<{errno.errorcode.get(error.errno)}>"


def in_child(action):
    """Calls action() in a forked child; its wait status as (exit code or None, signal or None)."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(action() or 0)
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (code, None) if code >= 0 else (None, -code)


def own_memory():
    """Yields all of this process's readable memory in pieces, through a pipe: no fault kills it."""
    out, into = os.pipe()
    libc.fcntl(into, 1031, 1 << 20)
    for line in open("/proc/self/maps"):
        span, mode = line.split()[:2]
        start, end = (int(x, 16) for x in span.split("-"))
        if mode[0] != "r" or "[v" in line:
            continue
        at = start
        while at < end:
            size = min(1 << 16, end - at)
            n = libc.write(into, ctypes.c_void_p(at), ctypes.c_size_t(size))
            if n <= 0:
                break
            yield os.read(out, n)
            at += n


def memory_has(first, second):
    """Whether first + second stands anywhere in memory.  The two are never joined here."""
    tail = b""
    for piece in own_memory():
        data = tail + piece
        at = data.find(first)
        while at >= 0:
            if data[at + len(first):at + len(first) + len(second)] == second:
                return True
            at = data.find(first, at + 1)
        tail = data[-(len(first) + len(second)):]
        del data, piece
    return False


def report(**findings):
    """Prints what was found, as the last line of stdout."""
    print(json.dumps(findings), flush=True)


'''


def attack(code):
    """`code`, dedented, behind the PRELUDE."""
    return PRELUDE + textwrap.dedent(code)


def halves(secret):
    """Two Python expressions for the halves of a secret that do not contain it in clear."""
    middle = len(secret) // 2
    return tuple(f"bytes.fromhex('{part.encode().hex()}')"
                 for part in (secret[:middle], secret[middle:]))
