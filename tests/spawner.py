"""Drives a dunlin-spawner of its own, as the server would: numbers over its socket."""
import array
import ctypes
import os
import pathlib
import resource
import shutil
import socket
import struct
import subprocess
import tempfile

import descriptors
import host
from client import wait_until
from server import DIST, MEMORY_DIRECTORY
from slowness import stretched

OPEN, START, USAGE, CLOSE, PING = 1, 2, 3, 4, 5
NEST_OPEN, NEST_CLOSE, LAYER_HOST, LAYER_REMOVE, LAYER_NEXT, INPUT_REMOVE = 6, 7, 8, 9, 10, 11
JOIN, WORKSPACE_MAKE, WORKSPACE_OPEN, WORKSPACE_ATTACH, WORKSPACE_CLOSE = 12, 13, 14, 15, 16
WORKSPACE_GROW, WORKSPACE_COPY, WORKSPACE_REMOVE = 17, 18, 19
RUN, BUILD, TOOL = 0, 1, 2  # kinds of nests
NONE, BRIDGE, HOST = 0, 1, 2  # networks
UID_NEST, UID_COUNT = 0x70010000, 0x10000
REPLY_SECONDS = stretched(60)

JOB, GO, READY, FAILED, EXIT, OUTPUT, SKIPPED, DONE = 1, 4, 16, 17, 20, 21, 22, 23  # frames


def fields(**types):
    """The _fields_ of a structure; a number is that many bytes of text."""
    return [(name, ctypes.c_char * kind if isinstance(kind, int) else kind)
            for name, kind in types.items()]


U32, U64, I32 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32


class Limits(ctypes.Structure):
    """struct spawn_limits."""

    _fields_ = fields(memory_mb=U32, cpu_milli=U32, processes=U32, workspace_mb=U32)


class Config(ctypes.Structure):
    """struct spawn_config."""

    _fields_ = fields(
        data=256, system=256, runtime=256, programs=256, init=256, work_dir=256, python=256,
        modules=512,
        defaults=Limits, ceilings=Limits, build_ceilings=Limits, build_weight=U32, network=U32,
        ndns=U32, dns=3 * 46, nallowed=U32, allowed=16 * 50, connections=U32, rate_kb=U32,
        ports=U32 * 4, zygote_forks=U32, zygote_minutes=U32, slots=U32,
        workspace_bytes_max=U64)


class Nest(ctypes.Structure):
    """struct spawn_nest."""

    _fields_ = fields(kind=U32, network=U32, warm=U32, nlayers=U32, layers=U64 * 8, target=U64,
                      input=U64, target_mb=U32)


class Request(ctypes.Structure):
    """struct spawn_request."""

    _fields_ = fields(op=U32, slot=U32, kind=U32, nest=U32, network=U32, limits=Limits, layer=U64,
                      other=U64, bytes=U64, make=Nest)


class Reply(ctypes.Structure):
    """struct spawn_reply."""

    _fields_ = fields(op=U32, slot=U32, error=I32, oom_kills=U32, pids_hits=U32, cgroup=U32,
                      cpu_us=U64, memory_peak=U64, nest=U32, reserved=U32, layer=U64, bytes=U64,
                      text=160)


def nest(kind, *layers, **more):
    """A struct spawn_nest over these layers, the upper first."""
    return Nest(kind=kind, nlayers=len(layers), layers=(U64 * 8)(*layers), **more)


class Spawner:
    """A dunlin-spawner with a data directory of its own and, unless it gets one, no system copy, so
    that only layers hold programs."""

    def __init__(self, directory=None, **more):
        place = directory or (MEMORY_DIRECTORY if os.access(MEMORY_DIRECTORY, os.W_OK) else None)
        self.data = pathlib.Path(tempfile.mkdtemp(prefix=host.OWN_PREFIX + "spawner-", dir=place))
        for name in ("system/usr", "system/etc"):
            (self.data / name).mkdir(parents=True)
        (self.data / "system/etc/resolv.conf").touch()  # as every system copy has it
        limits = Limits(256, 1000, 64, 64)
        self.config = Config(
            data=bytes(self.data), system=bytes(self.data / "system"),
            runtime=bytes(DIST / "share/dunlin/runtime"),
            programs=bytes(DIST / "share/dunlin/runtime"),
            init=bytes(DIST / "libexec/dunlin/dunlin-init"), work_dir=b"/sandbox",
            defaults=limits, ceilings=Limits(512, 2000, 128, 128),
            build_ceilings=Limits(512, 2000, 256, 256), build_weight=50, network=BRIDGE, slots=32,
            workspace_bytes_max=1 << 40)
        for name, value in more.items():
            setattr(self.config, name, value)
        self.popen = None
        self.sock = None
        self.files = None  # RLIMIT_NOFILE

    def start(self):
        """Starts it; the first answer takes a moment."""
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lock = os.open(self.data, os.O_RDONLY)

        def place():
            descriptors.become(theirs, lock)
            if self.files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

        self.popen = subprocess.Popen([DIST / "libexec/dunlin/dunlin-spawner"], close_fds=False,
                                      preexec_fn=place, stdin=subprocess.DEVNULL)
        theirs.close()
        os.close(lock)
        self.sock.settimeout(REPLY_SECONDS)
        self.sock.send(bytes(self.config))
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.data)

    def stop(self):
        """Hangs up, as a server that ends does, and waits."""
        self.sock.close()
        self.popen.wait(REPLY_SECONDS)

    def kill(self):
        """SIGKILL."""
        self.popen.kill()
        self.popen.wait(REPLY_SECONDS)
        self.sock.close()

    # -- requests

    def send(self, op, descriptors=(), **more):
        """Sends one request."""
        data = bytes(Request(op=op, **more))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self.sock.sendmsg([data], rights if descriptors else [])

    def receive(self):
        """The next reply and its descriptors."""
        data, ancillary, _, _ = self.sock.recvmsg(ctypes.sizeof(Reply), 256)
        if not data:
            raise EOFError("the spawner has hung up")
        descriptors = array.array("i")
        for _, _, raw in ancillary:
            descriptors.frombytes(raw)
        return Reply.from_buffer_copy(data), list(descriptors)

    def ask(self, op, **more):
        """One request and its reply."""
        self.send(op, **more)
        reply, descriptors = self.receive()
        assert reply.op == op and not descriptors
        return reply

    def good(self, op, **more):
        """The same, and it must succeed."""
        reply = self.ask(op, **more)
        assert reply.error == 0, f"{os.strerror(reply.error)}: {reply.text.decode()}"
        return reply

    def ends_at(self, data, descriptors=()):
        """Whether this message is the end of the spawner."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self.sock.sendmsg([data], rights if descriptors else [])
        try:
            self.receive()
        except EOFError:
            return self.popen.wait(REPLY_SECONDS) == 0
        return False

    # -- sandboxes

    def sandbox(self, number=0):
        """A cold sandbox in a nest."""
        def opened():
            self.send(OPEN, nest=number)
            reply, descriptors = self.receive()
            assert reply.error in (0, 11), os.strerror(reply.error)
            return (reply, descriptors) if reply.error == 0 else None

        reply, descriptors = wait_until(opened, 10, "a sandbox in the nest")
        return Sandbox(self, reply.slot, *descriptors)

    def run(self, number, script, **limits):
        """Runs /bin/sh -c `script` in a new sandbox of a nest; (wait status, stdout, stderr)."""
        box = self.sandbox(number)
        try:
            self.good(START, slot=box.slot, nest=number, limits=Limits(**limits))
            return box.run(["/bin/sh", "-c", script])
        finally:
            box.close()

    # -- what it has made

    def mounts(self):
        """Directories below the stage directory where something is mounted, in its namespace."""
        stage = f"{self.data}/stage/"
        points = (line.split()[4] for line in host.mounts(self.popen.pid))
        return sorted(point[len(stage):] for point in points if point.startswith(stage))

    def loops(self):
        """Loop devices of this instance."""
        table = subprocess.run(["losetup", "-nO", "BACK-FILE"], text=True, check=True,
                               stdout=subprocess.PIPE).stdout
        return [line for line in table.splitlines() if str(self.data) in line]

    def images(self, folder="layers"):
        """Names of the files of layers, or of workspaces."""
        return sorted(os.listdir(self.data / folder))


class Sandbox:
    """An open slot: its control socket and its outputs."""

    def __init__(self, spawner, slot, control, out, err):
        self.spawner, self.slot = spawner, slot
        self.control = socket.socket(fileno=control)
        self.control.settimeout(REPLY_SECONDS)
        self.outputs = [open(fd, "rb") for fd in (out, err)]

    def close(self):
        """Ends it."""
        self.spawner.send(CLOSE, slot=self.slot)
        self.control.close()
        for output in self.outputs:
            output.close()

    def read(self, count):
        """Exactly `count` bytes from init."""
        data = b""
        while len(data) < count:
            piece = self.control.recv(count - len(data))
            assert piece, "init has hung up"
            data += piece
        return data

    def frame(self):
        """One frame: its type and payload; contents of output files are passed over."""
        kind, length = struct.unpack("II", self.read(8))
        payload = self.read(length)
        if kind == OUTPUT:
            self.read(struct.unpack_from("Q", payload)[0])
        assert kind != FAILED, payload.decode()
        return kind, payload

    def run(self, argv):
        """Runs a program, which gets "main" as its last argument; (wait status, stdout, stderr)."""
        strings = ["main", "off", "", *argv, "PATH=/usr/bin:/bin", "HOME=/tmp"]
        text = b"".join(s.encode() + b"\0" for s in strings)
        fixed = struct.pack("6IQ", 0, 20000, 0, len(argv), 0, 2, 1 << 20)
        while self.frame()[0] != READY:
            pass
        self.control.sendall(struct.pack("II", JOB, len(fixed + text)) + fixed + text
                             + struct.pack("II", GO, 0))
        status = None
        while True:
            kind, payload = self.frame()
            if kind == EXIT:
                status = struct.unpack_from("i", payload)[0]
            elif kind == DONE:
                out, err = (output.read().decode() for output in self.outputs)
                return status, out, err
