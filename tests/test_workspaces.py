"""Workspaces of sessions: a real dunlin-spawner, asked over its socket as the server would."""
import ast
import contextlib
import errno
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time

import pytest

import host
import nest_session
import spawner as sp
from client import wait_until
from spawner import Request, Spawner

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLOCK = 4096
CEILING = 64 * GIB


@pytest.fixture(scope="module")
def shared():
    """One spawner for all that leave it alive.  After its end nothing is left."""
    with Spawner(workspace_bytes_max=CEILING) as one:
        one.numbers = iter(range(1, 1000))
        yield one
        assert stages(one) == [] and not one.loops()


@pytest.fixture
def own():
    """A spawner for one test that ends it."""
    with Spawner(workspace_bytes_max=CEILING) as one:
        one.numbers = iter(range(1, 1000))
        yield one
        if one.popen.poll() is None:
            one.stop()
        wait_until(lambda: not one.loops(), 10, "its loop devices are gone")


@pytest.fixture
def made(shared):
    """A workspace of 1 MiB, closed and removed afterwards."""
    number = next(shared.numbers)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=MIB)
    yield number
    remove(shared, number)


def remove(one, number):
    """Closes and removes a workspace."""
    one.good(sp.WORKSPACE_CLOSE, layer=number)
    wait_until(lambda: one.ask(sp.WORKSPACE_REMOVE, layer=number).error == 0, 10, "it is removed")


def stages(one):
    """Mount points of workspaces."""
    return [name for name in one.mounts() if name.startswith("w")]


@contextlib.contextmanager
def sandbox(one):
    """A cold sandbox of the built-in environment."""
    box = one.sandbox()
    try:
        yield box
    finally:
        box.close()


@contextlib.contextmanager
def attached(one, number, box):
    """A descriptor of the workspace as this sandbox sees it, detached."""
    def asked():
        one.send(sp.WORKSPACE_ATTACH, layer=number, slot=box.slot)
        reply, descriptors = one.receive()
        assert (reply.error == 0) == (len(descriptors) == 1)
        assert reply.error in (0, errno.EAGAIN), os.strerror(reply.error)
        return descriptors

    tree = wait_until(asked, 10, "the sandbox is there")[0]
    try:
        yield tree
    finally:
        os.close(tree)


def host_id(box):
    """The host's id of a run in the slot of a sandbox of nest 0."""
    return sp.UID_NEST + 1000 + 2 * box.slot + 1


def started(box, tree, call):
    """A process with the ids of a run of the sandbox, in the workspace; a function for its result."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.fchdir(tree)
            os.setgroups([])
            os.setresgid(*[host_id(box)] * 3)
            os.setresuid(*[host_id(box)] * 3)
            os.write(writing, repr(call()).encode())
        except BaseException as error:  # pylint: disable=broad-except
            os.write(writing, repr(f"failed: {error!r}").encode())
        finally:
            os._exit(0)
    os.close(writing)

    def result():
        with open(reading, "rb") as pipe:
            said = pipe.read().decode()
        os.waitpid(pid, 0)
        return ast.literal_eval(said)

    return result


def as_run(box, tree, call):
    """What `call` returns in a process with the ids of a run, in the workspace."""
    return started(box, tree, call)()


def fill(name="big"):
    """Writes until the disk is full; the bytes that fitted."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    written = 0
    try:
        while True:
            written += os.write(fd, b"x" * BLOCK)
    except OSError as error:
        assert error.errno == errno.ENOSPC
    os.fsync(fd)
    return written


def put(name, data):
    """A function that writes a file down."""
    def call():
        with open(name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return True

    return call


def get(name):
    """A function that reads a file."""
    return lambda: open(name, "rb").read()


@contextlib.contextmanager
def on_disk(one, number):
    """The whole file system of an image, seen by the host."""
    with tempfile.TemporaryDirectory(prefix=host.OWN_PREFIX) as directory:
        image = one.data / f"workspaces/{number}.img"
        subprocess.run(["mount", "-o", "loop,ro", image, directory], check=True)
        try:
            yield pathlib.Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


# -- the quota


@pytest.mark.parametrize("size", [64 * KIB, MIB, 50 * MIB])
def test_exactly_its_bytes_can_be_used(shared, size):
    """By files and directories, whatever the file system was made for."""
    number = next(shared.numbers)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=size)
    with sandbox(shared) as box, attached(shared, number, box) as tree:
        written = as_run(box, tree, fill)
        assert size - 4 * BLOCK <= written <= size
        seen = os.fstatvfs(tree)
        assert seen.f_bavail == 0
        assert size <= (seen.f_blocks - seen.f_bfree) * BLOCK <= size + 8 * BLOCK
        assert as_run(box, tree, lambda: os.unlink("big")) is None
        assert size - 8 * BLOCK <= as_run(box, tree, fill) <= size
    remove(shared, number)


def test_the_largest_ones_take_up_nothing_until_they_are_used(shared):
    """10 GiB, made and opened at once."""
    number = next(shared.numbers)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=10 * GIB)
    with sandbox(shared) as box, attached(shared, number, box) as tree:
        seen = os.fstatvfs(tree)
        assert abs(seen.f_bavail * BLOCK - 10 * GIB) <= 8 * BLOCK
        assert seen.f_ffree >= 10 * GIB // 8192
        assert seen.f_files - seen.f_ffree == 12  # WORKSPACE_OWN_INODES
        assert seen.f_blocks - seen.f_bfree == 6  # WORKSPACE_OWN_BLOCKS
        assert seen.f_files - seen.f_ffree == 12  # WORKSPACE_OWN_INODES
        assert seen.f_blocks - seen.f_bfree == 6  # WORKSPACE_OWN_BLOCKS
    assert shared.good(sp.WORKSPACE_CLOSE, layer=number).bytes < 4 * MIB
    wait_until(lambda: shared.ask(sp.WORKSPACE_REMOVE, layer=number).error == 0, 10, "removed")


def test_files_have_a_limit_of_their_own(shared, made):
    """Empty files until there is no inode left."""
    def make_files():
        count = 0
        try:
            while True:
                os.close(os.open(f"f{count}", os.O_CREAT | os.O_EXCL))
                count += 1
        except OSError as error:
            return count, error.errno

    with sandbox(shared) as box, attached(shared, made, box) as tree:
        count, error = as_run(box, tree, make_files)
        assert error == errno.ENOSPC and 1000 <= count <= 1024


def test_a_workspace_grows_while_it_is_written_to(shared, made):
    """And not beyond what it was made for."""
    def keep_writing():
        written, refused = 0, 0
        with open("log", "ab", buffering=0) as file:
            while written < 3 * MIB and refused < 2000:
                try:
                    written += file.write(b"y" * BLOCK)
                except OSError:
                    refused += 1
                    time.sleep(0.002)
        return written, refused

    with sandbox(shared) as box, attached(shared, made, box) as tree:
        result = started(box, tree, keep_writing)
        wait_until(lambda: os.fstatvfs(tree).f_bavail == 0, 10, "it is full")
        shared.good(sp.WORKSPACE_GROW, layer=made, bytes=4 * MIB)
        written, refused = result()
        assert written == 3 * MIB and refused > 0
        shared.good(sp.WORKSPACE_GROW, layer=made, bytes=8 * MIB)
        assert as_run(box, tree, fill) + written >= 8 * MIB - 8 * BLOCK
        assert shared.ask(sp.WORKSPACE_GROW, layer=made, bytes=GIB).error == errno.ERANGE


@pytest.mark.parametrize("size", [0, 64 * KIB - 1, CEILING + 1, 2**64 - 1])
def test_sizes_beyond_the_operators_are_refused(shared, made, size):
    """Of everything that has one; nothing is made."""
    other = next(shared.numbers)
    for op, number in ((sp.WORKSPACE_MAKE, other), (sp.WORKSPACE_OPEN, made),
                       (sp.WORKSPACE_GROW, made)):
        assert shared.ask(op, layer=number, bytes=size).error == errno.ERANGE
    assert f"{other}.img" not in shared.images("workspaces")


# -- ids


def test_the_disk_has_plain_ids_and_each_slot_its_own_view(shared, made):
    """Two sandboxes after each other; the host's root sees 1000."""
    with sandbox(shared) as first, attached(shared, made, first) as tree:
        assert as_run(first, tree, put("file", b"one"))
        assert os.stat("file", dir_fd=tree).st_uid == host_id(first)
        with sandbox(shared) as second, attached(shared, made, second) as view:
            assert host_id(second) != host_id(first)
            assert os.stat("file", dir_fd=view).st_uid == host_id(second)
            assert as_run(second, view, get("file")) == b"one"
            assert as_run(second, view, put("file", b"two"))
        assert "failed" in as_run(second, tree, put("file", b"three")), "of another slot"
        assert as_run(first, tree, get("file")) == b"two"
    shared.good(sp.WORKSPACE_CLOSE, layer=made)
    wait_until(lambda: not shared.loops(), 10, "it is unmounted")
    with on_disk(shared, made) as top:
        for path in (top / "root", top / "root/file"):
            assert (path.stat().st_uid, path.stat().st_gid) == (1000, 1000)
        assert sorted(os.listdir(top)) == ["lost+found", "root"]


def test_only_the_tree_can_be_seen(shared, made):
    """Not what lies above it; and nothing there gives rights."""
    with sandbox(shared) as box, attached(shared, made, box) as tree:
        assert as_run(box, tree, lambda: os.listdir(".")) == []
        assert as_run(box, tree, lambda: os.listdir("..")) == []
        flags = os.fstatvfs(tree).f_flag
        assert flags & os.ST_NOSUID and flags & os.ST_NODEV and flags & os.ST_NOATIME


# -- open and closed


def test_what_is_written_outlives_closing(shared):
    """And the image says what it takes up."""
    number = next(shared.numbers)
    data = os.urandom(3 * MIB)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=8 * MIB)
    with sandbox(shared) as box, attached(shared, number, box) as tree:
        assert as_run(box, tree, put("file", data))
    reply = shared.good(sp.WORKSPACE_CLOSE, layer=number)
    assert 3 * MIB < reply.bytes < 4 * MIB
    shared.good(sp.WORKSPACE_CLOSE, layer=number)  # is none any more
    wait_until(lambda: not shared.loops(), 10, "it is unmounted")
    shared.good(sp.WORKSPACE_OPEN, layer=number, bytes=4 * MIB)
    shared.good(sp.WORKSPACE_OPEN, layer=number, bytes=8 * MIB)  # is open
    with sandbox(shared) as box, attached(shared, number, box) as tree:
        assert as_run(box, tree, get("file")) == data
        assert os.fstatvfs(tree).f_bavail * BLOCK > 4 * MIB
        assert as_run(box, tree, lambda: os.unlink("file")) is None
    assert shared.good(sp.WORKSPACE_CLOSE, layer=number).bytes < MIB, "room is given back"
    remove(shared, number)


def test_a_workspace_is_mounted_once_at_a_time(shared, made):
    """Who still holds it keeps everybody else out; its end does not."""
    with sandbox(shared) as box:
        with attached(shared, made, box) as tree:
            shared.good(sp.WORKSPACE_CLOSE, layer=made)
            assert as_run(box, tree, put("late", b"late")), "it goes on"
            reply = shared.ask(sp.WORKSPACE_OPEN, layer=made, bytes=MIB)
            assert reply.error == errno.EAGAIN and b"in use" in reply.text
            assert shared.ask(sp.WORKSPACE_REMOVE, layer=made).error == errno.EBUSY
            other = next(shared.numbers)
            assert shared.ask(sp.WORKSPACE_COPY, layer=made, other=other).error == errno.EAGAIN
            assert f"{other}.img.part" not in shared.images("workspaces")
        wait_until(lambda: shared.ask(sp.WORKSPACE_OPEN, layer=made, bytes=MIB).error == 0, 10,
                   "it can be opened")
        assert shared.ask(sp.WORKSPACE_REMOVE, layer=made).error == errno.EBUSY
        with attached(shared, made, box) as tree:
            assert as_run(box, tree, get("late")) == b"late"


def make_session(box, tree):
    """Has the init of a cold sandbox take the workspace; the socket to speak with it."""
    while box.frame()[0] != sp.READY:
        pass
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    head = struct.pack("=IIII", nest_session.FRAME_SESSION, 8, 64, 1)
    socket.send_fds(box.control, [head], [theirs.fileno(), tree])
    theirs.close()
    ours.settimeout(20)
    assert nest_session.HEAD.unpack(ours.recv(1024))[0] == nest_session.UP
    return ours


def test_a_sandbox_holds_its_workspace_until_its_end(shared, made):
    """However the spawner is told to let go; and then whatever was written is there."""
    with sandbox(shared) as box:
        with attached(shared, made, box) as tree:
            session = make_session(box, tree)
            assert as_run(box, tree, put("file", b"of a session"))
        shared.good(sp.WORKSPACE_CLOSE, layer=made)
        for _ in range(5):
            assert shared.ask(sp.WORKSPACE_OPEN, layer=made, bytes=MIB).error == errno.EAGAIN
        assert stages(shared) == []
        session.close()
    wait_until(lambda: shared.ask(sp.WORKSPACE_OPEN, layer=made, bytes=MIB).error == 0, 10,
               "its end lets go")
    with sandbox(shared) as box, attached(shared, made, box) as tree:
        assert as_run(box, tree, get("file")) == b"of a session"


def test_what_is_not_there_is_said(shared, made):
    """Numbers that are taken, and numbers that are not."""
    none = next(shared.numbers)
    assert shared.ask(sp.WORKSPACE_OPEN, layer=none, bytes=MIB).error == errno.ENOENT
    assert shared.ask(sp.WORKSPACE_GROW, layer=none, bytes=MIB).error == errno.ENOENT
    assert shared.ask(sp.WORKSPACE_COPY, layer=none, other=none + 1).error == errno.ENOENT
    assert shared.ask(sp.WORKSPACE_MAKE, layer=made, bytes=MIB).error == errno.EEXIST
    shared.good(sp.WORKSPACE_REMOVE, layer=none)
    shared.good(sp.WORKSPACE_CLOSE, layer=none)
    with sandbox(shared) as box:
        assert shared.ask(sp.WORKSPACE_ATTACH, layer=none, slot=box.slot).error == errno.ENOENT
    shared.good(sp.WORKSPACE_CLOSE, layer=made)
    assert shared.ask(sp.WORKSPACE_MAKE, layer=made, bytes=MIB).error == errno.EEXIST


def test_a_damaged_workspace_is_not_mounted_and_said_to_be(shared, made):
    """Its superblock is gone."""
    shared.good(sp.WORKSPACE_CLOSE, layer=made)
    wait_until(lambda: not shared.loops(), 10, "it is unmounted")
    with open(shared.data / f"workspaces/{made}.img", "r+b") as image:
        image.seek(1024)
        image.write(os.urandom(1024))
    reply = shared.ask(sp.WORKSPACE_OPEN, layer=made, bytes=MIB)
    assert reply.error not in (0, errno.EAGAIN, errno.ENOENT)
    assert b"damaged" in reply.text
    assert stages(shared) == []


# -- copies


def test_copies_are_equal_and_independent(shared, made):
    """Of a closed one and of an open one."""
    copies = [next(shared.numbers), next(shared.numbers)]
    with sandbox(shared) as box:
        with attached(shared, made, box) as tree:
            assert as_run(box, tree, put("file", b"before"))
            reply = shared.good(sp.WORKSPACE_COPY, layer=made, other=copies[0])
            assert 0 < reply.bytes < MIB
            assert as_run(box, tree, put("file", b"after"))
        shared.good(sp.WORKSPACE_CLOSE, layer=made)
        wait_until(lambda: shared.ask(sp.WORKSPACE_COPY, layer=made, other=copies[1]).error == 0,
                   10, "it can be copied")
        assert shared.ask(sp.WORKSPACE_COPY, layer=made, other=copies[1]).error == errno.EEXIST
        for number, data in zip([*copies, made], (b"before", b"after", b"after")):
            shared.good(sp.WORKSPACE_OPEN, layer=number, bytes=MIB)
            with attached(shared, number, box) as tree:
                assert as_run(box, tree, get("file")) == data
                assert as_run(box, tree, put("file", b"of %d" % number))
        for number in (*copies, made):
            with attached(shared, number, box) as tree:
                assert as_run(box, tree, get("file")) == b"of %d" % number
    for number in copies:
        remove(shared, number)


def counter(seconds):
    """A function that writes the same number to two files, again and again."""
    def call():
        end, count = time.monotonic() + seconds, 0
        with open("a", "wb", buffering=0) as first, open("b", "wb", buffering=0) as second:
            while time.monotonic() < end:
                count += 1
                os.pwrite(first.fileno(), b"%09d" % count, 0)
                os.pwrite(second.fileno(), b"%09d" % count, 0)
        return count

    return call


def test_an_open_one_is_copied_as_it_is_at_one_moment(shared):
    """While somebody writes; large enough for the copy to take its time."""
    number, other = next(shared.numbers), next(shared.numbers)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=128 * MIB)
    with sandbox(shared) as box:
        with attached(shared, number, box) as tree:
            assert as_run(box, tree, put("big", os.urandom(MIB) * 100))
            result = started(box, tree, counter(2))
            wait_until(lambda: as_run(box, tree, lambda: os.path.exists("b")), 5, "it writes")
            shared.good(sp.WORKSPACE_COPY, layer=number, other=other)
            assert result() > 100
        shared.good(sp.WORKSPACE_OPEN, layer=other, bytes=128 * MIB)
        with attached(shared, other, box) as tree:
            first, second = (int(as_run(box, tree, get(name))) for name in "ab")
            assert first - second in (0, 1)
            assert as_run(box, tree, lambda: os.path.getsize("big")) == 100 * MIB
    remove(shared, number)
    remove(shared, other)


def test_nobody_waits_for_a_copy(shared, made):
    """What wakes a session is answered while another one is copied."""
    number, other = next(shared.numbers), next(shared.numbers)
    shared.good(sp.WORKSPACE_MAKE, layer=number, bytes=512 * MIB)
    with sandbox(shared) as box, attached(shared, number, box) as tree:
        assert as_run(box, tree, put("big", bytes(MIB) * 300))
    shared.send(sp.WORKSPACE_COPY, layer=number, other=other)
    shared.send(sp.WORKSPACE_GROW, layer=number, bytes=512 * MIB)
    shared.send(sp.WORKSPACE_OPEN, layer=made, bytes=2 * MIB)
    replies = [shared.receive()[0] for _ in range(3)]
    assert [(one.op, one.error) for one in replies] == [
        (sp.WORKSPACE_GROW, errno.EAGAIN), (sp.WORKSPACE_OPEN, 0), (sp.WORKSPACE_COPY, 0)]
    remove(shared, number)
    shared.good(sp.WORKSPACE_REMOVE, layer=other)


def frozen_copy(one, number, other):
    """Begins a copy of an open workspace with 300 MB; its worker's process, once it copies."""
    one.send(sp.WORKSPACE_COPY, layer=number, other=other)
    part = one.data / f"workspaces/{other}.img.part"
    end = time.monotonic() + 10
    while not (part.exists() and part.stat().st_blocks > 0):
        assert time.monotonic() < end, "the copy has not begun"
    return [child for child in host.tree(one.popen.pid) if opens(child.pid, part)]


def opens(pid, path):
    """Whether a process has this file open."""
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == str(path)
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def large(one, box):
    """An open workspace with 300 MB in it."""
    number = next(one.numbers)
    one.good(sp.WORKSPACE_MAKE, layer=number, bytes=512 * MIB)
    with attached(one, number, box) as tree:
        assert as_run(box, tree, put("big", os.urandom(MIB) * 300))
    return number


def test_a_copier_that_is_killed_leaves_nothing_frozen(own):
    """The writers go on, the part is gone, the next copy is good."""
    with sandbox(own) as box:
        number = large(own, box)
        with attached(own, number, box) as tree:
            for child in frozen_copy(own, number, 100):
                host.kill(child)
            reply = own.receive()[0]
            assert reply.error == errno.EIO and b"ended by somebody" in reply.text
            assert as_run(box, tree, put("small", b"written"))
            assert own.images("workspaces") == [f"{number}.img"]
            own.good(sp.WORKSPACE_COPY, layer=number, other=100)


def test_a_killed_spawner_leaves_workspaces_that_can_be_opened(own):
    """Whatever it was doing: also while one was frozen."""
    box = own.sandbox()
    number = large(own, box)
    with attached(own, number, box) as tree:
        assert as_run(box, tree, put("file", b"written"))
    frozen_copy(own, number, 100)
    own.kill()
    for file in (box.control, *box.outputs):
        file.close()
    own.start()
    wait_until(lambda: own.ask(sp.WORKSPACE_OPEN, layer=number, bytes=512 * MIB).error == 0, 20,
               "it can be opened again")
    assert own.images("workspaces") == [f"{number}.img"], "no part is left"
    with sandbox(own) as box, attached(own, number, box) as tree:
        assert as_run(box, tree, get("file")) == b"written"
        assert as_run(box, tree, put("file", b"again"))


# -- the host


def test_a_full_disk_of_the_host_is_said_and_nothing_is_left():
    """Making and copying."""
    with tempfile.TemporaryDirectory(prefix=host.OWN_PREFIX) as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "dunlin-test", directory],
                       check=True)
        try:
            with Spawner(workspace_bytes_max=CEILING, directory=directory) as one:
                one.good(sp.WORKSPACE_MAKE, layer=1, bytes=16 * MIB)
                with sandbox(one) as box, attached(one, 1, box) as tree:
                    assert as_run(box, tree, put("file", os.urandom(14 * MIB)))
                (one.data / "other").write_bytes(bytes(16 * MIB))
                assert one.ask(sp.WORKSPACE_MAKE, layer=2, bytes=MIB).error == errno.ENOSPC
                reply = one.ask(sp.WORKSPACE_COPY, layer=1, other=2)
                assert reply.error == errno.ENOSPC and b"No space" in reply.text
                assert one.images("workspaces") == ["1.img"]
                with sandbox(one) as box, attached(one, 1, box) as tree:
                    assert as_run(box, tree, put("more", b"it has thawed"))
        finally:
            subprocess.run(["umount", directory], check=True)


def test_half_made_ones_are_swept_away_at_the_start(own):
    """And what is no workspace stays."""
    own.stop()
    for name in ("7.img.part", "8.img"):
        (own.data / "workspaces" / name).touch()
    own.start()
    own.good(sp.WORKSPACE_REMOVE, layer=7)  # none: it is up
    assert own.images("workspaces") == ["8.img"]


@pytest.mark.parametrize("request_", [
    {"op": sp.WORKSPACE_MAKE, "layer": 0, "bytes": MIB},
    {"op": sp.WORKSPACE_OPEN, "layer": 1 << 48, "bytes": MIB},
    {"op": sp.WORKSPACE_COPY, "layer": 1, "other": 1},
    {"op": sp.WORKSPACE_COPY, "layer": 1, "other": 1 << 48},
    {"op": sp.WORKSPACE_REMOVE, "layer": 1 << 48},
    {"op": sp.WORKSPACE_ATTACH, "layer": 1, "slot": 0},
    {"op": sp.JOIN, "slot": 0},
    {"op": sp.WORKSPACE_REMOVE + 1},
], ids=str)
def test_requests_that_make_no_sense_are_the_end(own, request_):
    """Whoever sends one is not our server."""
    assert own.ends_at(bytes(Request(**request_)))
    assert not own.loops()
