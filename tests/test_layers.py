"""Nests made from layers: a real dunlin-spawner, asked over its socket as the server would."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

import host
import spawner as sp
from client import wait_until
from slowness import stretched
from spawner import BUILD, RUN, TOOL, Request, Spawner, nest

BASE, CHANGES, MORE = 5, 7, 8  # numbers of layers
PROGRAMS = ("sh ls cat chown chmod mkdir mkfifo ln rm stat touch id mv dd mknod sleep true readlink"
            .split())
ENOENT, EAGAIN, EBUSY, EEXIST, ENOSPC, ERANGE, ESHUTDOWN = 2, 11, 16, 17, 28, 34, 108


@pytest.fixture(scope="session")
def base_image():
    """An image file of a tree with a shell and a few programs of the host."""
    with tempfile.TemporaryDirectory(prefix=host.OWN_PREFIX) as directory:
        root = pathlib.Path(directory, "tree/root")
        for name in ("usr/bin", "etc", "root", "var/lib", "home"):
            (root / name).mkdir(parents=True)
        (root / "bin").symlink_to("usr/bin")
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (root / "var/lib/data").write_text("of the base\n")
        for name in PROGRAMS:
            program = os.path.realpath(shutil.which(name, path="/usr/bin:/bin"))
            shutil.copy(program, root / "usr/bin" / name)
            needed = subprocess.run(["ldd", program], text=True, check=True, capture_output=True)
            for library in re.findall(r"(/\S+)", needed.stdout):
                to = root / library.lstrip("/")
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(os.path.realpath(library), to)
        image = pathlib.Path(directory, "base.img")
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-b", "4096",
                        "-d", root.parent, image], check=True)
        yield image


@pytest.fixture
def instance(base_image):
    """A spawner with the base as layer 5.  After its end nothing is left."""
    with Spawner() as one:
        one.good(sp.LAYER_NEXT)
        shutil.copy(base_image, one.data / f"layers/{BASE}.img")
        groups = host.group_roots([one.popen.pid])
        yield one
        if one.popen.poll() is None:
            one.stop()
        assert not one.loops()
        assert not [group for group in groups if os.path.isdir(group)]


def open_build(one, number=1, target=CHANGES, mb=64, **more):
    """Opens a nest of a build over the base."""
    return one.good(sp.NEST_OPEN, nest=number,
                    make=nest(BUILD, BASE, target=target, target_mb=mb, **more))


def build(one, script, target=CHANGES, **limits):
    """A layer made by a script; (stdout, reply of the close)."""
    open_build(one, target=target)
    status, out, err = one.run(1, script, **limits)
    assert status == 0, err
    return out, one.good(sp.NEST_CLOSE, nest=1)


@contextlib.contextmanager
def content(one, layer):
    """The file system of a layer as the disk has it, seen by the host."""
    with tempfile.TemporaryDirectory(prefix=host.OWN_PREFIX) as directory:
        subprocess.run(["mount", "-o", "loop,ro", one.data / f"layers/{layer}.img", directory],
                       check=True)
        try:
            yield pathlib.Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


def at_rest(one):
    """Whether only nest 0 is mounted."""
    return not [name for name in one.mounts() if not name.startswith("n0")]


def test_what_a_build_changes_becomes_a_layer_with_plain_ids(instance):
    """Ids, modes and removals."""
    out, reply = build(instance, "id -u; echo new > /root/file; chown 33:44 /root/file;"
                                 "chmod 4711 /bin/true; rm /var/lib/data; mv /home /moved")
    assert out == "0\n"
    assert 0 < reply.bytes < 8 << 20
    with content(instance, CHANGES) as tree:
        file = (tree / "root/root/file").stat()
        assert (file.st_uid, file.st_gid, file.st_size) == (33, 44, 4)
        program = (tree / "root/usr/bin/true").stat()
        assert (program.st_uid, program.st_mode & 0o7777) == (0, 0o4711)
        assert (tree / "root/moved").is_dir()
        owners = {os.lstat(os.path.join(path, name)).st_uid
                  for path, folders, files in os.walk(tree) for name in folders + files}
        assert owners == {0, 33}
    assert at_rest(instance) and not instance.loops()


def test_a_run_sees_the_layers_and_can_change_none(instance):
    """Of two nests over the same layers, at once."""
    build(instance, "echo new > /root/file; rm /var/lib/data; mv /home /moved")
    for number in (1, 2):
        instance.good(sp.NEST_OPEN, nest=number, make=nest(RUN, CHANGES, BASE))
    for number in (1, 2):
        status, out, err = instance.run(number, "id -u; cat /root/file; ls /var/lib /moved;"
                                                "echo x > /root/other; rm /bin/true")
        assert out == "1000\nnew\n/moved:\n\n/var/lib:\n"
        assert status != 0 and err.count("Read-only file system") == 2
    assert len(instance.loops()) == 2, "layers are shared"
    assert instance.ask(sp.LAYER_REMOVE, layer=BASE).error == EBUSY
    instance.good(sp.NEST_CLOSE, nest=1)
    assert instance.run(2, "cat /root/file")[1] == "new\n"
    instance.good(sp.NEST_CLOSE, nest=2)
    assert at_rest(instance) and not instance.loops()
    instance.good(sp.LAYER_REMOVE, layer=CHANGES)
    assert instance.images() == [f"{BASE}.img"]


def started(one, number, script):
    """A sandbox of a nest where a script runs for some time."""
    box = one.sandbox(number)
    one.good(sp.START, slot=box.slot)
    threading.Thread(target=quietly, args=(box.run, ["/bin/sh", "-c", script]), daemon=True).start()
    return box


def quietly(function, *arguments):
    """Calls it; it is ended while it works."""
    with contextlib.suppress(AssertionError, OSError, EOFError, ValueError):
        function(*arguments)


def test_nests_have_host_ids_of_their_own(instance):
    """Two builds and a run, all different, none the host's root."""
    open_build(instance, 1, CHANGES)
    open_build(instance, 2, MORE)
    instance.good(sp.NEST_OPEN, nest=3, make=nest(RUN, BASE))
    for number in (1, 2, 3):
        box = started(instance, number, "sleep 30; true")
        process = wait_until(lambda: [one for one in host.tree(instance.popen.pid)
                                      if one.comm == "sleep"], 10, "the job runs")[0]
        uid, first = host.host_uid(process.pid)[0], sp.UID_NEST + number * sp.UID_COUNT
        assert uid == first if number < 3 else first < uid < first + sp.UID_COUNT
        box.close()
        wait_until(lambda gone=process: not host.is_alive(gone), 5, "the job is gone")


def test_links_of_an_image_lead_no_mount_point_anywhere(instance, tmp_path):
    """R32: dev, etc, opt, proc, tmp and the rest of a hostile image point to the host."""
    victim = tmp_path / "victim"
    victim.mkdir()
    names = ("dev", "etc", "opt", "proc", "tmp", "run", "sandbox", "image", "input")
    script = "".join(f"ln -s {victim} /image/root/{name};" for name in names)
    instance.good(sp.NEST_OPEN, nest=1, make=nest(TOOL, BASE, target=CHANGES, target_mb=64))
    status, _, err = instance.run(1, script)
    assert status == 0, err
    instance.good(sp.NEST_CLOSE, nest=1)
    for kind, more in ((RUN, {}), (BUILD, {"target": MORE, "target_mb": 16}),
                       (TOOL, {"target": MORE, "target_mb": 16})):
        instance.good(sp.NEST_OPEN, nest=1, make=nest(kind, CHANGES, BASE, **more))
        status, out, err = instance.run(
            1, "readlink /dev /etc /opt /proc /tmp /run /sandbox; ls /opt; cat /etc/hostname;"
               "echo x > /dev/null && ls /proc/self/status")
        assert out == "dunlin\nsandbox\n/proc/self/status\n", err
        instance.good(sp.NEST_CLOSE, nest=1)
        instance.good(sp.LAYER_REMOVE, layer=MORE)
    assert not list(victim.iterdir())


def test_a_root_that_is_a_link_shows_nothing_of_the_host(instance):
    """Who fills an image may replace root itself."""
    instance.good(sp.NEST_OPEN, nest=1, make=nest(TOOL, BASE, target=CHANGES, target_mb=16))
    assert instance.run(1, "mv /image/root /image/old; ln -s / /image/root")[0] == 0
    instance.good(sp.NEST_CLOSE, nest=1)
    reply = instance.ask(sp.NEST_OPEN, nest=1, make=nest(RUN, CHANGES, BASE))
    assert reply.error != 0 and b"no directory root" in reply.text
    assert at_rest(instance)


def test_a_tool_reads_its_input_and_fills_the_image(instance):
    """The root of its own file system stays as it is."""
    (instance.data / "imports/3").write_bytes(b"archive")
    os.chown(instance.data / "imports/3", 0x70000000, 0x70000000)
    (instance.data / "imports/3").chmod(0o600)
    instance.good(sp.NEST_OPEN, nest=1,
                  make=nest(TOOL, BASE, target=CHANGES, target_mb=16, input=3))
    status, out, err = instance.run(1, "cat /input; cat /input > /image/root/copy;"
                                       "chown 1:2 /image/root/copy; echo x >> /input; echo x > /x")
    assert out == "archive"
    assert status != 0
    assert "cannot create /input" in err and "/x: Read-only file system" in err
    instance.good(sp.NEST_CLOSE, nest=1)
    with content(instance, CHANGES) as tree:
        copy = (tree / "root/copy").stat()
        assert (copy.st_uid, copy.st_gid, copy.st_size) == (1, 2, 7)
    instance.good(sp.INPUT_REMOVE, layer=3)
    assert not list((instance.data / "imports").iterdir())
    reply = instance.ask(sp.NEST_OPEN, nest=1,
                         make=nest(TOOL, BASE, target=MORE, target_mb=16, input=3))
    assert reply.error == ENOENT
    assert instance.images() == [f"{BASE}.img", f"{CHANGES}.img"], "no target is left behind"


def test_a_build_cannot_make_devices_or_use_those_of_a_layer(instance):
    """R11: nodev and nosuid everywhere, and the capability is missing anyway."""
    open_build(instance)
    status, _, err = instance.run(1, "mknod /root/sda b 8 0")
    assert status != 0 and err
    assert instance.run(1, "mkfifo /root/fifo")[0] == 0
    nests = [one for one in host.tree(instance.popen.pid) if one.comm == "dunlin-init"]
    for line in host.mounts(nests[-1].pid):
        assert "nosuid" in line
    status, out, _ = instance.run(1, "cat /proc/self/mountinfo")
    for line in out.splitlines():
        fields = line.split()
        assert "nosuid" in fields[5], line
        assert "nodev" in fields[5] or fields[4] in ("/dev", "/dev/pts"), line


def test_a_script_that_fills_its_disk_gets_enospc_and_the_layer_can_still_be_closed(instance):
    """The quota is the size of the target."""
    open_build(instance, mb=16)
    status, _, err = instance.run(1, "dd if=/dev/zero of=/root/large bs=1M count=64")
    assert status != 0 and "No space left" in err
    assert instance.good(sp.NEST_CLOSE, nest=1).bytes <= 17 << 20
    instance.good(sp.LAYER_REMOVE, layer=CHANGES)


def test_a_full_disk_of_the_host_is_an_error_and_no_layer(base_image, tmp_path):
    """What could not be written is noticed when the layer is closed."""
    with Spawner() as one:
        one.good(sp.LAYER_NEXT)
        one.stop()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", one.data / "layers"],
                       check=True)
        try:
            shutil.copy(base_image, one.data / f"layers/{BASE}.img")
            one.start()
            one.good(sp.LAYER_NEXT)
            open_build(one, mb=128)
            one.run(1, "dd if=/dev/zero of=/root/large bs=1M count=60", memory_mb=400)
            reply = one.ask(sp.NEST_CLOSE, nest=1)
            assert reply.error != 0 and b"could not be written" in reply.text
            assert at_rest(one)
            one.good(sp.LAYER_REMOVE, layer=CHANGES)
            build(one, "echo small > /root/file", target=MORE)
            one.stop()
        finally:
            subprocess.run(["umount", "-l", one.data / "layers"], check=True)


def test_what_cannot_be_opened_leaves_nothing(instance):
    """Missing layers, targets that exist, inputs that are not there."""
    cases = [(nest(RUN, 6, BASE), ENOENT), (nest(RUN, BASE, 6), ENOENT),
             (nest(BUILD, 6, target=CHANGES, target_mb=16), ENOENT),
             (nest(BUILD, BASE, target=MORE, target_mb=16), EEXIST)]
    (instance.data / f"layers/{MORE}.img").write_bytes(b"x")
    for make, error in cases:
        reply = instance.ask(sp.NEST_OPEN, nest=1, make=make)
        assert reply.error == error and reply.text
        assert at_rest(instance) and not instance.loops()
        assert instance.images() == [f"{BASE}.img", f"{MORE}.img"]
    (instance.data / f"layers/{MORE}.img").unlink()
    build(instance, "true")


def builder(one, number):
    """The process that makes the sandboxes of a nest."""
    uids = range(sp.UID_NEST + number * sp.UID_COUNT, sp.UID_NEST + (number + 1) * sp.UID_COUNT)

    def found():
        for process in host.tree(one.popen.pid):
            with contextlib.suppress(OSError):
                if process.parent == one.popen.pid and host.host_uid(process.pid)[0] in uids:
                    return process
        return None
    return wait_until(found, 5, f"the builder of nest {number}")


def test_a_build_whose_nest_dies_is_over_and_its_number_serves_again(instance):
    """A nest of runs is started again instead."""
    def lost():
        instance.send(sp.OPEN, nest=1)
        reply, descriptors = instance.receive()
        for descriptor in descriptors:
            os.close(descriptor)
        return reply.error == ESHUTDOWN

    open_build(instance)
    host.kill(builder(instance, 1))
    wait_until(lost, 5, "no sandbox can be had")
    instance.good(sp.NEST_CLOSE, nest=1)
    instance.good(sp.LAYER_REMOVE, layer=CHANGES)
    instance.good(sp.NEST_OPEN, nest=1, make=nest(RUN, BASE))
    first = builder(instance, 1)
    host.kill(first)
    wait_until(lambda: builder(instance, 1).key != first.key, 5, "it is started again")
    assert instance.run(1, "echo back")[1] == "back\n"


def test_a_close_ends_what_runs_and_is_answered_after_it(instance):
    """A process that writes until it is killed does not keep the layer from being finished."""
    open_build(instance)
    box = started(instance, 1, "while :; do echo x >> /root/log; done")
    time.sleep(0.3)
    begun = time.monotonic()
    instance.good(sp.NEST_CLOSE, nest=1)
    assert time.monotonic() - begun < stretched(3)
    with content(instance, CHANGES) as tree:
        assert (tree / "root/root/log").stat().st_size > 0
    box.close()


def test_the_spawner_serves_while_the_disk_is_busy(instance):
    """Pings between the opening of ten nests."""
    for number in range(1, 11):
        instance.send(sp.NEST_OPEN, nest=number,
                      make=nest(BUILD, BASE, target=100 + number, target_mb=16))
    begun = time.monotonic()
    instance.send(sp.PING)
    first, _ = instance.receive()
    assert first.op == sp.PING and time.monotonic() - begun < stretched(0.05)
    opened = [instance.receive()[0] for _ in range(10)]
    assert [reply.nest for reply in opened] == list(range(1, 11))
    assert not any(reply.error for reply in opened)


def test_only_tools_reach_the_hosts_network_and_resolve_as_the_host_does(base_image):
    """What the operator has named; everybody else has our resolvers."""
    with Spawner(network=sp.HOST, ndns=1, dns=b"192.0.2.53") as one:
        one.good(sp.LAYER_NEXT)
        shutil.copy(base_image, one.data / f"layers/{BASE}.img")
        one.good(sp.NEST_OPEN, nest=1, make=nest(TOOL, BASE, target=CHANGES, target_mb=16,
                                                 network=sp.HOST))
        open_build(one, 2, MORE)
        look = "readlink /proc/self/ns/net; cat /etc/resolv.conf"
        own = host.namespace("self", "net")
        assert one.run(1, look)[1] == f"{own}\n" + pathlib.Path("/etc/resolv.conf").read_text()
        net, _, resolver = one.run(2, look)[1].partition("\n")
        assert net != own and resolver == "nameserver 192.0.2.53\n"
        wait_until(lambda: one.ask(sp.PING).error == 0, 5, "nest 0 answers")
        box = one.sandbox(2)
        assert one.ask(sp.START, slot=box.slot, network=sp.HOST).error == ERANGE
        one.stop()


def test_limits_of_builds_are_the_builds(instance):
    """And those of runs the runs'."""
    open_build(instance)
    instance.good(sp.NEST_OPEN, nest=2, make=nest(RUN, BASE))
    for number, processes, error in ((1, 256, 0), (1, 257, ERANGE), (2, 128, 0), (2, 129, ERANGE)):
        box = instance.sandbox(number)
        limits = sp.Limits(processes=processes)
        assert instance.ask(sp.START, slot=box.slot, limits=limits).error == error
        box.close()


def test_nests_and_slots_find_descriptors_when_there_are_few(instance):
    """A service manager may give as few as 1024: then there are fewer slots, and no errors."""
    instance.stop()
    instance.files = 1024
    instance.start()
    for number in range(1, 64):
        instance.good(sp.NEST_OPEN, nest=number, make=nest(RUN, BASE))
    boxes, error = [], 0
    while error == 0 and len(boxes) < instance.config.slots:
        instance.send(sp.OPEN, nest=1)
        reply, descriptors = instance.receive()
        error = reply.error
        if error == 0:
            boxes.append(sp.Sandbox(instance, reply.slot, *descriptors))
    assert boxes and error in (0, EAGAIN)
    for box in boxes:
        box.close()


def test_nothing_is_made_from_a_layer_that_is_still_written_to(instance):
    """Its blocks are the script's, and the kernel would read them as a file system's."""
    open_build(instance)
    assert instance.ask(sp.NEST_OPEN, nest=2, make=nest(RUN, CHANGES)).error == ENOENT
    assert instance.ask(sp.LAYER_HOST, layer=CHANGES, kind=0).error == EBUSY
    assert instance.good(sp.LAYER_NEXT, layer=BASE).layer == 0
    host.kill(builder(instance, 1))
    instance.kill()
    instance.start()
    instance.good(sp.LAYER_NEXT)
    assert instance.images() == [f"{BASE}.img"]


def test_leftovers_are_swept_or_listed_at_the_start(instance):
    """Half-made layers and imports go; images are found by number."""
    instance.stop()
    for name in ("layers/9.img.part", "imports/4", "layers/12.img"):
        (instance.data / name).write_bytes(b"x")
    instance.start()
    found = [0]
    while found[-1] != 0 or len(found) == 1:
        found.append(instance.good(sp.LAYER_NEXT, layer=found[-1]).layer)
    assert found == [0, BASE, 12, 0]
    assert instance.images() == ["12.img", f"{BASE}.img"]
    assert not list((instance.data / "imports").iterdir())


def host_layer_begun(one):
    """The worker and the programs that it has started to make a layer of the host's."""
    one.send(sp.LAYER_HOST, layer=9, kind=0)

    def found():
        tree = host.tree(one.popen.pid)
        workers = [process for process in tree if process.parent == one.popen.pid
                   and process.comm == "dunlin-spawner"]
        programs = [process for process in tree if workers and process.parent == workers[0].pid]
        return (workers[0], programs) if programs else None
    return wait_until(found, 5, "a program of the host runs")


@pytest.mark.parametrize("victim", ["worker", "spawner"])
def test_no_program_of_the_host_outlives_the_worker_or_the_spawner(instance, victim):
    """They are in a pid namespace of the worker's own."""
    worker, programs = host_layer_begun(instance)
    if victim == "worker":
        host.kill(worker)
        reply, _ = instance.receive()
        assert reply.error == 5 and reply.text
        build(instance, "true")
    else:
        instance.kill()
    wait_until(lambda: not any(map(host.is_alive, [worker, *programs])), 5, "all are dead")
    if victim == "spawner":
        instance.start()
        instance.good(sp.LAYER_NEXT)
    assert "9.img" not in instance.images()


BAD = {
    "nest 0": {"op": sp.NEST_OPEN, "nest": 0, "make": nest(RUN, BASE)},
    "nest 64": {"op": sp.NEST_OPEN, "nest": 64, "make": nest(RUN, BASE)},
    "no kind": {"op": sp.NEST_OPEN, "nest": 1, "make": nest(3, BASE, target=7, target_mb=1)},
    "no layer": {"op": sp.NEST_OPEN, "nest": 1, "make": nest(RUN)},
    "layer 0": {"op": sp.NEST_OPEN, "nest": 1, "make": nest(RUN, BASE, 0)},
    "large layer": {"op": sp.NEST_OPEN, "nest": 1, "make": nest(RUN, 1 << 48)},
    "nine layers": {"op": sp.NEST_OPEN, "nest": 1,
                    "make": sp.Nest(kind=RUN, nlayers=9, layers=(sp.U64 * 8)(*range(1, 9)))},
    "run with target": {"op": sp.NEST_OPEN, "nest": 1,
                        "make": nest(RUN, BASE, target=7, target_mb=1)},
    "large target": {"op": sp.NEST_OPEN, "nest": 1,
                     "make": nest(BUILD, BASE, target=7, target_mb=257)},
    "host network": {"op": sp.NEST_OPEN, "nest": 1,
                     "make": nest(TOOL, BASE, target=7, target_mb=1, network=sp.HOST)},
    "close of nothing": {"op": sp.NEST_CLOSE, "nest": 1},
    "open of nothing": {"op": sp.OPEN, "nest": 1},
    "no such host layer": {"op": sp.LAYER_HOST, "layer": 9, "kind": 2},
    "removal of 0": {"op": sp.LAYER_REMOVE, "layer": 0},
    "unknown": {"op": 12},
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_makes_no_sense_is_the_end(instance, name):
    """The server has been taken over: nothing more is done for it."""
    assert instance.ends_at(bytes(Request(**BAD[name])))


def test_a_descriptor_that_is_no_plain_file_is_the_end(instance):
    """And so is one where none belongs."""
    request = Request(op=sp.NEST_OPEN, nest=1, make=nest(RUN, BASE, warm=1))
    with open("/dev/null", "rb") as null:
        assert instance.ends_at(bytes(request), [null.fileno()])


def test_sigkill_of_the_spawner_at_any_moment_leaves_no_mount_no_loop_and_no_process(base_image):
    """R46, while nests are opened, used and closed."""
    with Spawner() as one:
        one.good(sp.LAYER_NEXT)
        shutil.copy(base_image, one.data / f"layers/{BASE}.img")
        groups = set()
        for turn in range(12):
            pids = set()

            def work(turn=turn):
                for number in (1, 2, 3):
                    one.good(sp.NEST_OPEN, nest=number,
                             make=nest(BUILD, BASE, target=1000 + 10 * turn + number,
                                       target_mb=32))
                    one.run(number, "echo x > /root/x")
                    one.good(sp.NEST_CLOSE, nest=number)

            thread = threading.Thread(target=quietly, args=(work,))
            thread.start()
            time.sleep(random.uniform(0.005, 0.5))
            pids |= {process.key for process in host.tree(one.popen.pid)}
            groups |= host.group_roots([one.popen.pid, *(pid for pid, _ in pids)])
            one.kill()
            thread.join(10)
            wait_until(lambda: not one.loops(), 5, "loop devices are gone")
            wait_until(lambda seen=pids: not [p for p in host.processes()
                                              if p.key in seen and p.state not in "ZX"],
                       10, "processes are gone")
            assert not [line for line in host.mounts() if str(one.data) in line]
            one.start()
        one.good(sp.LAYER_NEXT)
        build(one, "echo works > /root/x", target=MORE)
        one.stop()
    assert not [group for group in groups if os.path.isdir(group)]
