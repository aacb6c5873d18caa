"""Attacks on the kernel's surface: namespaces, system calls, other ABIs, the filter (R70-R73)."""
import platform
import subprocess

import pytest

from inside import attack
from server import held

REFUSED = {"EPERM", "ENOSYS"}
NEW_NAMESPACES = {"time": 0x80, "mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000,
                  "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}

# Calls that have no use in a sandbox and a history of faults.  Arguments are zero but where a
# zero would be refused for itself.
DANGEROUS = [
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime",
    "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
    "init_module", "io_setup", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm",
    "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "listmount", "lookup_dcookie",
    "memfd_secret", "migrate_pages", "modify_ldt", "mount", "mount_setattr", "move_mount",
    "move_pages", "mq_open", "mq_unlink", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
    "open_tree", "open_tree_attr", "perf_event_open", "pidfd_getfd", "pivot_root",
    "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev", "ptrace",
    "quotactl", "quotactl_fd", "reboot", "remap_file_pages", "request_key", "setdomainname",
    "sethostname", "setns", "settimeofday", "splice", "statmount", "swapoff", "swapon", "sysfs",
    "syslog", "tee", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vhangup", "vmsplice"]


def test_no_namespace_can_be_made_or_joined(client):
    """R70"""
    found = client.find(attack(f"""
        flags = {NEW_NAMESPACES!r}
        results = {{}}
        for name, flag in flags.items():
            results["unshare " + name] = call("unshare", flag)
            if name == "time":
                continue  # in clone this bit belongs to the exit signal
            def clone():
                result = raw(NR["clone"], flag | 17, 0, 0, 0, 0)
                if result == 0:
                    os._exit(0)
                return 7 if result > 0 else min(-result, 90)
            code, signal = in_child(clone)
            results["clone " + name] = errno.errorcode.get(code, str(code or signal))
        args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
        results["clone3"] = call("clone3", args, 88)
        args = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
        results["plain clone3"] = call("clone3", args, 88)
        for name in os.listdir("/proc/self/ns") if os.path.isdir("/proc/self/ns") else []:
            try:
                fd = os.open("/proc/self/ns/" + name, os.O_RDONLY)
            except OSError:
                continue
            results["setns " + name] = call("setns", fd, 0)
        results["setns pidfd"] = call("setns", raw(NR["pidfd_open"], os.getpid(), 0), 0x7e020080)
        report(**results)
        """))
    allowed = {name: result for name, result in found.items() if result not in REFUSED}
    assert not allowed
    assert found["clone3"] == found["plain clone3"] == "ENOSYS", "glibc must fall back to clone"


def test_the_number_of_user_namespaces_is_zero_too(server):
    """R70: the second layer, read from the host in the run's own user namespace."""
    with held(server) as runs:
        text = subprocess.run(
            ["nsenter", f"--user=/proc/{runs[0].pid}/ns/user", "--preserve-credentials",
             "cat", "/proc/sys/user/max_user_namespaces"],
            capture_output=True, text=True, check=True, timeout=10).stdout
    assert text.strip() == "0"


def test_threads_and_forks_still_work(client):
    """R70: what is refused is the new namespace, not the clone."""
    answer = client.run("""
        import os, subprocess, threading
        t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
        if os.fork() == 0:
            print("child"); os._exit(0)
        os.wait()
        print(subprocess.check_output(["echo", "command"], text=True), end="")
        """)
    assert answer["stdout"] == "thread\nchild\ncommand\n"


def test_dangerous_system_calls_are_refused(client):
    """R71"""
    found = client.find(attack(f"""
        results = {{}}
        for name in {DANGEROUS!r}:
            if name in NR:
                results[name] = call(name, 0, 0, 0, 0, 0, 0)
        report(**results)
        """))
    assert len(found) > 60
    assert {name: result for name, result in found.items() if result not in REFUSED} == {}


def test_system_calls_that_do_not_exist_yet_are_refused(client):
    """R71: an allow-list refuses the calls of the next kernel."""
    found = client.find(attack("""
        report(results=[errno.errorcode.get(-raw(n, 0, 0, 0, 0, 0, 0), "ok")
                        for n in (*range(468, 600), 1000, 4095, 0x3fffffff)])
        """))
    assert set(found["results"]) == {"ENOSYS"}


def test_pages_cannot_be_moved_between_pipes_and_files(client):
    """R71: splice, tee and vmsplice with real arguments (Dirty Pipe, Copy Fail)."""
    found = client.find(attack("""
        out, into = os.pipe()
        other_out, other_into = os.pipe()
        fd = os.open("/usr/bin/env", os.O_RDONLY)
        os.write(into, b"x")
        buf = ctypes.create_string_buffer(8)
        vec = (ctypes.c_void_p * 2)(ctypes.addressof(buf), 8)
        report(splice=call("splice", fd, 0, into, 0, 1, 0), tee=call("tee", out, other_into, 1, 0),
               vmsplice=call("vmsplice", into, vec, 1, 0))
        """))
    assert set(found.values()) <= REFUSED


def test_personality_cannot_be_changed(client):
    """R71: no ADDR_NO_RANDOMIZE, no READ_IMPLIES_EXEC."""
    found = client.find(attack("""
        report(results=[call("personality", n) for n in (0x0040000, 0x0400000, 8)],
               now=raw(NR["personality"], 0xffffffff))
        """))
    assert set(found["results"]) <= REFUSED and found["now"] == 0


def test_devices_cannot_be_made_by_any_call(client):
    """R71"""
    found = client.find(attack("""
        report(char=call("mknodat", -100, ctypes.c_char_p(b"c"), 0o20666, 0x103),
               block=call("mknodat", -100, ctypes.c_char_p(b"b"), 0o60666, 0xfe00),
               fifo=call("mknodat", -100, ctypes.c_char_p(b"f"), 0o10666, 0))
        """))
    assert found["char"] in REFUSED and found["block"] in REFUSED and found["fifo"] == "ok"


MACHINE_CODE = """
        import mmap
        def execute(code):
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(code)
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            return ctypes.CFUNCTYPE(ctypes.c_int64)(address)()
        # push rbx; xor ebx, ebx; xor ecx, ecx; mov eax, NUMBER; int 0x80; pop rbx; ret
        def i386(number):
            return execute(b"\\x53\\x31\\xdb\\x31\\xc9\\xb8" + number.to_bytes(4, "little")
                           + b"\\xcd\\x80\\x5b\\xc3")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other ABIs are x86's")
def test_the_32_bit_system_calls_kill_or_fail(client):
    """R72: int 0x80 with getpid, mount, unshare, ptrace of i386."""
    found = client.find(attack(MACHINE_CODE + """
        results = {}
        for name, number in (("getpid", 20), ("mount", 21), ("unshare", 310), ("ptrace", 26)):
            code, signal = in_child(lambda: 0 if ctypes.c_int32(i386(number)).value >= 0 else 1)
            results[name] = [code, signal]
        report(**results)
        """))
    for name, (code, signal) in found.items():
        assert signal in (31, 11) or code == 1, f"{name} worked through int 0x80"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other ABIs are x86's")
def test_the_x32_system_calls_kill_or_fail(client):
    """R72: numbers with bit 30, also those that are dangerous under their plain number."""
    found = client.find(attack("""
        results = {}
        for number in (39, 165, 272, 101, 520, 544, 545, 0):
            code, signal = in_child(lambda: 0 if raw(0x40000000 | number, 0, 0, 0, 0) >= 0 else 1)
            results[str(number)] = [code, signal]
        report(**results)
        """))
    for number, (code, signal) in found.items():
        assert signal == 31 or code == 1, f"x32 call {number} worked"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other ABIs are x86's")
def test_an_int_0x80_in_the_run_itself_does_not_hurt_the_server(client):
    """R72"""
    answer = client.run(attack(MACHINE_CODE + "        print('before', flush=True); i386(20)"))
    assert answer["stdout"].startswith("before\n")
    assert client.run("print(1)")["success"]


def test_the_filter_cannot_be_relaxed_replaced_or_supervised(client):
    """R73"""
    found = client.find(attack("""
        class Program(ctypes.Structure):
            _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
        allow = (ctypes.c_uint64 * 1)(0x7fff000000000006)  # return SECCOMP_RET_ALLOW
        program = Program(1, ctypes.addressof(allow))
        results = {
            "listener": call("seccomp", 1, 8, ctypes.byref(program)),
            "listener and tsync": call("seccomp", 1, 8 | 1 | 16, ctypes.byref(program)),
            "notify sizes": call("seccomp", 3, 0, ctypes.byref(allow)),
            "mode 0": call("prctl", 22, 0, 0, 0, 0),
            "no_new_privs off": call("prctl", 38, 0, 0, 0, 0),
            "ptrace seccomp option": call("ptrace", 0x4206, os.getpid(), 0, 0x200000),
        }
        more = call("seccomp", 1, 0, ctypes.byref(program))
        status = read_file("/proc/self/status")
        report(results=results, more=more, mode=status.split("Seccomp:")[1].split()[0],
               still=call("unshare", 0x10000000), nnp=status.split("NoNewPrivs:")[1].split()[0])
        """))
    assert "ok" not in found["results"].values(), found
    assert (found["mode"], found["nnp"]) == ("2", "1")
    assert found["still"] in REFUSED


def test_prctl_cannot_raise_anything(client):
    """R73, R10: capabilities, securebits, the memory map."""
    found = client.find(attack("""
        results = {
            "ambient": call("prctl", 47, 2, 21, 0, 0), "securebits": call("prctl", 28, 0, 0, 0, 0),
            "mm": call("prctl", 35, 8, 4096, 0, 0), "bounding drop": call("prctl", 24, 0, 0, 0, 0),
            "sched core": call("prctl", 62, 1, 0, 1, 0),
        }
        status = read_file("/proc/self/status")
        report(results=results, effective=status.split("CapEff:")[1].split()[0])
        """))
    refused = REFUSED | {"EINVAL", "EFAULT", "ENODEV"}
    assert set(found["results"].values()) <= refused, found
    assert found["effective"] == "0000000000000000"


def test_ioctls_of_devices_and_terminals_are_refused(client):
    """R71, R16"""
    found = client.find(attack("""
        import fcntl
        bad = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCCONS": 0x541D, "FS_IOC_SETFLAGS":
               0x40086602, "FICLONE": 0x40049409, "KVM": 0xAE01, "BLKDISCARD": 0x1277}
        fd = os.open("file", os.O_RDWR | os.O_CREAT)
        report(**{name: attempt(fcntl.ioctl, fd, number, b"\\0" * 64)
                  for name, number in bad.items()})
        """))
    assert "ok" not in found.values(), found
