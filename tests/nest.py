"""A nest without a server: tests speak to dunlin-init as the spawner and the server do.

``Nest`` lays a root file system out as an environment's (an overlay of a made-up skeleton and a tree
with plain ids, seen through id-mapped mounts), starts dunlin-init as pid 1 of it, and opens sandboxes;
``Sandbox`` speaks the frames of src/wire/frame.h.  Needs root.
"""
import array
import ctypes
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import tempfile
import time
import traceback

import descriptors
from drivers import DIST
from slowness import stretched

RUN, BUILD, TOOL = range(3)  # enum spawn_nest_kind
COLD, WARM = range(2)  # enum spawn_kind
NEST_BUILD, NEST_PING, NEST_JOIN = 1, 2, 3
JOB, FILE, STDIN, GO = range(1, 5)
READY, FAILED, BAD_FILE, REFUSED, EXIT, OUTPUT, SKIPPED, DONE, MODULES = range(16, 25)
JOB_CHANGED, JOB_RUNNER = 2, 4
NUMBER = 63  # of the nest that tests make; a server opens it last
FIRST_ID, IDS = 0x70010000 + NUMBER * 0x10000, 0x10000
PATH = "/opt/venv/bin:/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NAMESPACES = 0x10000000 | 0x20000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
NEW_USER, NEW_NS, NEW_NET = 0x10000000, 0x00020000, 0x40000000
REQUEST = struct.Struct("=IIIIII")
REPLY = struct.Struct("=IIi")
JOB_HEAD = struct.Struct("=IIIIIIQ")

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)
    return result


def mount(source, target, kind, flags=0, data=None):
    encoded = [a.encode() if a is not None else None for a in (source, target, kind)]
    check(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), target)


def map_ids(pid):
    for name in ("uid_map", "gid_map"):
        pathlib.Path(f"/proc/{pid}/{name}").write_text(f"0 {FIRST_ID} {IDS}\n")


def mount_mapped(source, target):
    """A view of ``source`` in which the ids 0 to 65535 on the disk are the nest's."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        check(libc.unshare(NEW_USER), "unshare")
        os.write(ready[1], b"r")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    map_ids(pid)
    userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    tree = check(libc.syscall(428, -100, source.encode(), 1), "open_tree")
    attributes = struct.pack("=QQQQ", 0x100000, 0, 0, userns)  # MOUNT_ATTR_IDMAP
    check(libc.syscall(442, tree, b"", 0x1000, attributes, len(attributes)), "mount_setattr")
    check(libc.syscall(429, tree, b"", -100, target.encode(), 4), "move_mount")
    os.write(go[1], b"g")
    os.waitpid(pid, 0)
    for fd in (*ready, *go, userns, tree):
        os.close(fd)


def detached(source, pid):
    """A detached mount of ``source`` (its descriptor) with the ids of the user namespace of ``pid``."""
    userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    tree = check(libc.syscall(428, -100, source.encode(), 1 | os.O_CLOEXEC), "open_tree")
    attributes = struct.pack("=QQQQ", 0x100000, 0, 0, userns)  # MOUNT_ATTR_IDMAP
    check(libc.syscall(442, tree, b"", 0x1000, attributes, len(attributes)), "mount_setattr")
    os.close(userns)
    return tree


def pid_of(pidfd):
    """The process that a pidfd means, as the host counts."""
    with open(f"/proc/self/fdinfo/{pidfd}") as f:
        return int(next(line.split()[1] for line in f if line.startswith("Pid:")))


def as_owner(call):
    """Calls with the file-system ids of the nest's root, and all capabilities."""
    check(libc.prctl(28, 1 << 2, 0, 0, 0), "securebits")  # SECBIT_NO_SETUID_FIXUP
    libc.setfsgid(FIRST_ID)
    libc.setfsuid(FIRST_ID)
    try:
        return call()
    finally:
        libc.setfsuid(0)
        libc.setfsgid(0)


class Nest:
    """dunlin-init as pid 1 of a nest whose root is ``tree``; what a BUILD or a TOOL (into /image) writes is lost.

    ``files`` ({path: text, bytes, or a pathlib.Path that a link leads to}) lie over the tree; ``runtime`` is
    seen as /opt/dunlin.
    """

    def __init__(self, tree, kind=RUN, warm=False, forks=0, minutes=0, modules="", files=None,
                 runtime=DIST / "share/dunlin/runtime", host_network=False, disk_mb=0):
        self.files, self.runtime = files or {}, str(runtime)
        self.place = tempfile.mkdtemp(prefix="dunlin-nest-")
        os.chmod(self.place, 0o755)
        for name in ("stage", "skeleton", "disk", "base", "written"):
            os.mkdir(os.path.join(self.place, name))
        self.host_network, self.disk_mb = host_network, disk_mb
        self.slots = 0
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [str(kind), "/sandbox", str(int(warm)), str(forks), str(minutes), str(NUMBER)]
        listed = os.memfd_create("modules")
        os.write(listed, modules.encode())
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become_spawner(str(tree), kind, theirs.fileno(), listed, words)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        os.close(listed)

    def _lay_out(self, tree, kind):
        stage, skeleton = (os.path.join(self.place, n) for n in ("stage", "skeleton"))
        check(libc.unshare(NEW_NS), "unshare")
        mount(None, "/", None, 0x44000)  # MS_REC | MS_PRIVATE
        mount("skeleton", skeleton, "tmpfs", 0, "mode=0755")
        for name in ("proc", "dev", "tmp", "sandbox", "opt", "opt/dunlin", "run", "image", "workspace"):
            os.mkdir(os.path.join(skeleton, name))
            os.chown(os.path.join(skeleton, name), FIRST_ID, FIRST_ID)
        os.chmod(os.path.join(skeleton, "tmp"), 0o1777)
        os.chown(skeleton, FIRST_ID, FIRST_ID)
        for name, content in self.files.items():
            path = pathlib.Path(skeleton, name.lstrip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pathlib.Path):
                path.symlink_to(content)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
                path.chmod(0o755)
        mount_mapped(tree, os.path.join(self.place, "base"))
        size = f",size={self.disk_mb}m" if self.disk_mb else ""
        mount("disk", os.path.join(self.place, "disk"), "tmpfs", 0, "mode=0755" + size)
        for name in ("upper", "work"):
            os.mkdir(os.path.join(self.place, "disk", name))
        mount_mapped(os.path.join(self.place, "disk"), os.path.join(self.place, "written"))
        layers = f"lowerdir={skeleton}:{self.place}/base"
        if kind == BUILD:
            layers += f",upperdir={self.place}/written/upper,workdir={self.place}/written/work"
        as_owner(lambda: mount("overlay", stage, "overlay", 2 | (kind != BUILD), layers))
        mount("dev", stage + "/dev", "tmpfs", 2, "mode=0755")
        for name in ("pts", "shm"):
            os.mkdir(f"{stage}/dev/{name}")
        os.symlink("pts/ptmx", stage + "/dev/ptmx")
        for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
            os.mknod(f"{stage}/dev/{name}", 0o20666, os.makedev(1, minor))
            os.chmod(f"{stage}/dev/{name}", 0o666)
        os.mknod(stage + "/dev/tty", 0o20666, os.makedev(5, 0))
        os.chmod(stage + "/dev/tty", 0o666)
        if kind == TOOL:
            mount(f"{self.place}/written/upper", stage + "/image", None, 0x1000)
        mount(self.runtime, stage + "/opt/dunlin", None, 0x1000)
        mount(None, stage + "/opt/dunlin", None, 0x1000 | 0x20 | 1 | 2)
        return stage

    def _become_spawner(self, tree, kind, sock, listed, words):
        os.setsid()
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        descriptors.keep_page()
        os.chdir(self._lay_out(tree, kind))
        init = os.open(DIST / "libexec/dunlin/dunlin-init", os.O_RDONLY)
        ready, go = os.pipe(), os.pipe()
        nest = os.fork()
        if nest == 0:
            os.setgroups([])
            check(libc.unshare(NAMESPACES & ~(NEW_NET * self.host_network)), "unshare")
            os.write(ready[1], b"r")
            os.read(go[0], 1)
            first = os.fork()
            if first == 0:
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
                descriptors.become(sock, listed, init)
                os.execve(5, ["dunlin-init", "nest", *words], {})
            os.closerange(3, 1000)
            os.waitpid(first, 0)
            os._exit(0)
        os.read(ready[0], 1)
        map_ids(nest)
        os.write(go[1], b"g")
        os.closerange(3, 1000)
        os.waitpid(nest, 0)
        os._exit(0)

    def close(self):
        self.sock.close()  # the nest ends with its spawner's end
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.place)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, op, kind=COLD, fds=()):
        self.slots += 1
        message = REQUEST.pack(op, self.slots, kind, 64, 0, int(self.host_network))
        socket.send_fds(self.sock, [message], list(fds))
        reply, ancillary, _, _ = self.sock.recvmsg(64, socket.CMSG_SPACE(4))
        if not reply:
            raise ConnectionError("the nest went away")
        pidfd = array.array("i")
        for _, _, data in ancillary:
            pidfd.frombytes(data[:4])
        return REPLY.unpack(reply)[2], (pidfd[0] if pidfd else -1)

    def ping(self):
        """0, or the errno that says why no warm sandbox can be had."""
        return self.request(NEST_PING)[0]

    def wait(self, wanted=0, seconds=20):
        """Waits until ping() answers ``wanted``."""
        end = time.monotonic() + stretched(seconds)
        while self.ping() != wanted:
            assert time.monotonic() < end, f"ping does not answer {wanted}"
            time.sleep(0.02)

    def join(self, sandbox, fds):
        """Has the zygote's child join a sandbox; fds: stdout, stderr, job socket, status pipe."""
        message = REQUEST.pack(NEST_JOIN, 0, COLD, 0, 0, 0)
        socket.send_fds(self.sock, [message], [sandbox.pidfd, *fds])

    def zygotes(self):
        """Host pids of the processes that have the zygote's identity: itself, and one for each warm
        sandbox."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"Uid:\t{FIRST_ID + 1}\t" in (path / "status").read_text():
                    found.append(int(path.name))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def open(self, kind=COLD):
        """A new Sandbox; OSError with what the builder answered."""
        control, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        fds = [theirs.fileno(), out[1], err[1]]
        error, pidfd = self.request(NEST_BUILD, kind, fds)
        theirs.close()
        os.close(out[1])
        os.close(err[1])
        if error:
            raise OSError(error, os.strerror(error))
        return Sandbox(control, out[0], err[0], pidfd)


class Sandbox:
    """The server's side of one sandbox."""

    def __init__(self, control, out, err, pidfd):
        self.control, self.out, self.err, self.pidfd = control, out, err, pidfd
        control.settimeout(60)
        self.pending = b""

    def frame(self):
        """(type, payload) of the next frame; ConnectionError at the end."""
        kind, length = struct.unpack("=II", self._take(8))
        return kind, self._take(length)

    def _take(self, count):
        while len(self.pending) < count:
            piece = self.control.recv(65536)
            if not piece:
                raise ConnectionError("init went away")
            self.pending += piece
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def expect(self, wanted):
        kind, payload = self.frame()
        assert kind == wanted, (kind, payload)
        return payload

    def send(self, kind, payload=b"", raw=b""):
        self.control.sendall(struct.pack("=II", kind, len(payload)) + payload + raw)

    def run(self, argv=(), files=None, main="", args=(), env=None, timeout=20, flags=JOB_CHANGED):
        """Gives the job and returns its Result."""
        env = {"PATH": PATH, "HOME": "/tmp", **(env or {})}
        self.expect(READY)
        pairs = [f"{name}={value}" for name, value in env.items()]
        head = JOB_HEAD.pack(flags, int(timeout * 1000), 0, len(argv), len(args), len(pairs), 1 << 20)
        strings = [main, "off", "", *argv, *args, *pairs]
        self.send(JOB, head + b"".join(s.encode() + b"\0" for s in strings))
        for name, data in (files or {}).items():
            raw = data.encode()
            self.send(FILE, struct.pack("=Q", len(raw)) + name.encode(), raw)
        self.send(GO)
        return Result(self)

    def close(self):
        """Ends the sandbox at once, as SPAWN_CLOSE does."""
        for fd in (self.out, self.err, self.pidfd):
            os.close(fd)
        self.control.close()


class Result:
    """What came of a job: status (an exit code, or minus a signal), output, files, modules."""

    def __init__(self, sandbox):
        self.out, self.err = self._read(sandbox)
        self.files, self.modules, self.failure, self.status = {}, None, None, None
        try:
            self._frames(sandbox)
        finally:
            sandbox.close()

    @staticmethod
    def _read(sandbox):
        texts = {sandbox.out: b"", sandbox.err: b""}
        still = set(texts)
        while still:
            for fd in select.select(list(still), [], [])[0]:
                piece = os.read(fd, 65536)
                texts[fd] += piece
                if not piece:
                    still.remove(fd)
        return texts[sandbox.out].decode(), texts[sandbox.err].decode()

    def _frames(self, sandbox):
        while True:
            kind, payload = sandbox.frame()
            if kind == DONE:
                return
            if kind == FAILED:
                self.failure = payload.decode()
                return
            if kind == EXIT:
                self.status = os.waitstatus_to_exitcode(struct.unpack_from("=i", payload)[0])
                self.timed_out = bool(struct.unpack_from("=iI", payload)[1] & 1)
            elif kind == OUTPUT:
                size, = struct.unpack_from("=Q", payload)
                self.files[payload[8:].decode()] = sandbox._take(size)
            elif kind == MODULES:
                self.modules = payload.decode()
