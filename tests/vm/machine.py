"""The machine: QEMU's own emulation of a processor, three disks and a serial line."""
import io
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading

from debian import REPOSITORY, Unavailable, run

PROGRAM = "qemu-system-x86_64"
GUEST = pathlib.Path(__file__).parent / "guest"
MEMORY_MB = 2048
PROCESSORS = 2
RESULTS_MB = 256
# What the tests read of the repository.
CODE = ("VERSION", "api", "bench", "build/bench/control", "build/bench/load", "build/dist",
        "build/src/spawner/spawner_cgroup_v2_test", "deploy", "environments", "pytest.ini",
        "runtime", "sdk", "tests", "tools", "web")
INITS = {"plain": "/vm/plain-init", "systemd": "/sbin/init", "prepare": "/vm/prepare"}


def is_code(member):
    """Leaves out what Python compiled."""
    return None if "__pycache__" in member.name else as_root(member)


def as_root(member):
    """Files on the disks belong to root."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def add_text(archive, name, text):
    """A file with this text."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text.encode()), 0o644
    archive.addfile(member, io.BytesIO(text.encode()))


def write_code_disk(path, init, arguments, environment):
    """A tar archive that is unpacked into the root file system before anything runs there."""
    with tarfile.open(path, "w") as archive:
        for name in CODE if init != "prepare" else ["runtime"]:
            archive.add(REPOSITORY / name, f"repo/{name}", filter=is_code)
        for script in GUEST.iterdir():
            if script.is_file():
                archive.add(script, f"vm/{script.name}", filter=as_root)
        add_text(archive, "vm/arguments", "".join(f"{word}\n" for word in arguments))
        add_text(archive, "vm/environment",
                 "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items()))
        if init == "systemd":
            archive.add(GUEST / "vm-suite.service", "etc/systemd/system/vm-suite.service",
                        filter=as_root)
            archive.add(REPOSITORY / "deploy/dunlin.service",
                        "etc/systemd/system/dunlin.service", filter=as_root)
            archive.add(REPOSITORY / "build/dist", "usr/local", filter=is_code)


def disk(name, path, *options):
    """QEMU's words for a disk that the machine knows by this serial number."""
    return ["-drive", ",".join(["if=none", f"id={name}", "format=raw", f"file={path}",
                                "cache=unsafe", *options]),
            "-device", f"virtio-blk-pci,drive={name},serial={name}"]


def command(kernel, root, directory, init):
    """The command that runs it.  What it writes to its root goes, unless it is to prepare that."""
    kept = "off" if init == "prepare" else "on"
    words = ["console=ttyS0", "loglevel=2", "panic=-1", "mitigations=off", f"vm.init={INITS[init]}"]
    if init == "systemd":
        words += ["systemd.unit=vm-suite.service", "systemd.show_status=false"]
    return [PROGRAM, "-M", "pc,usb=off,vmport=off,hpet=off", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", str(PROCESSORS), "-m", f"{MEMORY_MB}m",
            "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            "-no-reboot", "-kernel", str(kernel / "linux"),
            "-initrd", str(kernel / "first-root.gz"), "-append", " ".join(words),
            "-object", "rng-random,id=rng,filename=/dev/urandom",
            "-device", "virtio-rng-pci,rng=rng",
            *disk("root", root, f"snapshot={kept}"), *disk("code", directory / "code", "readonly=on"),
            *disk("results", directory / "results")]


def check():
    """Unavailable if there is no QEMU here."""
    if os.uname().machine != "x86_64":
        raise Unavailable("the machine is one with an x86-64 processor; this one has another")
    if shutil.which(PROGRAM) is None:
        raise Unavailable(f"{PROGRAM} is not installed (tools/deps test)")


def watch(popen, log):
    """Shows what the machine says and keeps it."""
    with open(log, "wb") as file:
        for line in popen.stdout:
            file.write(line)
            file.flush()
            sys.stdout.buffer.write(line.replace(b"\r", b""))
            sys.stdout.flush()


def boot(kernel, root, out, init, seconds, arguments=(), environment=None):
    """Runs pytest with these arguments in a machine, or prepares its root file system.  Everything it leaves lands in the directory
    `out`: console.log and, if it got so far, junit.xml, pytest.log, kernel.log and others.  Returns
    whether it ended by itself within `seconds`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dunlin-vm-") as name:
        directory = pathlib.Path(name)
        write_code_disk(directory / "code", init, arguments, environment or {})
        with open(directory / "results", "wb") as file:
            file.truncate(RESULTS_MB << 20)
        with subprocess.Popen(command(kernel, root, directory, init), stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                              env={**os.environ, "TMPDIR": name}) as popen:
            watcher = threading.Thread(target=watch, args=(popen, out / "console.log"))
            watcher.start()
            try:
                popen.wait(seconds)
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
            finally:
                popen.kill()
                watcher.join()
        if ended:
            run(["tar", "-xf", directory / "results", "--no-same-owner", "-C", out])
    return ended
