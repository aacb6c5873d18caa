"""The inside of BUILD and TOOL nests, as their root sees it: dunlin-init without a server, over a
read-only view of this machine's own tree.  What the spawner adds (layers, network) has tests of its own.
"""
import json
import os

import pytest

import nest as nests
from inside import attack

# CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
ROOT_CAPS = sum(1 << cap for cap in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31))


@pytest.fixture(scope="module")
def build():
    with nests.Nest("/", nests.BUILD) as nest:
        yield nest


@pytest.fixture(scope="module")
def tool():
    with nests.Nest("/", nests.TOOL) as nest:
        yield nest


def shell(nest, script, **more):
    return nest.open().run(["bash", "-c", script], **more)


def find(nest, code):
    """What attack code that runs as root of a new sandbox reports."""
    result = nest.open().run(["python3", "-c", attack(code)])
    assert result.status == 0, result.err
    return json.loads(result.out.splitlines()[-1])


def test_a_job_is_root_with_a_few_capabilities_and_every_lock(build):
    status = shell(build, "cat /proc/self/status; id -u; id -G").out
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(fields[name], 16) == ROOT_CAPS, name
    assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    assert status.splitlines()[-2:] == ["0", "0"]


def test_it_may_have_every_id_and_give_it_up_for_good(build):
    result = shell(build, """
        set -e
        touch /root/file && chown 33:65535 /root/file && chmod 4755 /root/file && stat -c %u:%g:%a /root/file
        su nobody -s /bin/sh -c 'id -u; id -G'
        setpriv --reuid 12345 --regid 23456 --groups 1,2 bash -c \
            'id -u; id -G; grep CapEff /proc/self/status; chown 0 /root/file || echo refused'
        """)
    assert result.status == 0, result.err
    assert result.out.splitlines() == ["33:65535:4755", "65534", "65534", "12345", "23456 1 2",
                                       "CapEff:\t0000000000000000", "refused"]


def test_init_is_out_of_its_reach(build):
    found = find(build, """
        import ctypes, signal
        limits = ctypes.create_string_buffer(16)
        found = {name: attempt(open, f"/proc/1/{name}") for name in
                 ("status", "mem", "environ", "maps", "exe", "fd")}
        for name in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCHLD):
            try:
                os.kill(1, name)
            except OSError as error:
                found[f"signal {int(name)}"] = errno.errorcode[error.errno]
        found["ptrace"] = call("ptrace", 16, 1, 0, 0)
        found["process_vm_readv"] = call("process_vm_readv", 1, 0, 0, 0, 0, 0)
        held = raw(NR["pidfd_open"], 1, 0)
        found["pidfd_getfd"] = call("pidfd_getfd", held, 3, 0)
        found["prlimit"] = errno.errorcode[-raw(302, 1, 7, limits, 0)]
        report(**found)
        """)
    for name in ("status", "mem", "environ", "maps", "exe", "fd"):
        assert found.pop(name) == "ENOENT", name
    for name, answer in found.items():
        assert answer == ("ENOSYS" if name == "prlimit" else "EPERM"), name


def test_it_gets_no_mount_no_namespace_and_no_device(build):
    found = find(build, """
        found = {name: call(name, 0, 0, 0, 0, 0) for name in
                 ("mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "mount_setattr",
                  "setns", "keyctl", "bpf", "perf_event_open", "open_by_handle_at")}
        found["unshare"] = call("unshare", 0x10000000)
        found["clone"] = call("clone", 0x10000000 | 17, 0, 0, 0, 0)
        found["disk"] = call("mknodat", -100, b"/root/disk", 0o60600, 0x800)
        found["memory"] = call("mknodat", -100, b"/root/mem", 0o20600, 0x101)
        report(**found)
        """)
    assert found.pop("disk") == found.pop("memory") == "EPERM", "tar and umoci go on at this one"
    for name, answer in found.items():
        assert answer in ("EPERM", "ENOSYS"), name


def test_proc_cannot_be_written_and_the_runtime_neither(build):
    for path in ("/proc/self/oom_score_adj", "/proc/self/comm", "/opt/dunlin/build.bpf"):
        assert shell(build, f"echo 0 > {path}").status == 1, path


def test_a_build_writes_into_its_layer_but_its_work_dir_is_apart(build):
    result = shell(build, "df --output=target,fstype / /tmp /var/tmp /sandbox /dev/shm;"
                          "touch /usr/bin/mine /tmp/mine /sandbox/mine /dev/shm/mine && pwd",
                   files={"setup.sh": "true\n", "sub/more": "x"})
    assert result.status == 0, result.err
    lines = [line.split() for line in result.out.splitlines()[1:]]
    assert lines == [["/", "overlay"]] * 3 + [["/sandbox", "tmpfs"], ["/dev/shm", "tmpfs"],
                                               ["/sandbox"]]
    assert set(result.files) == {"mine"}
    again = shell(build, "ls /usr/bin/mine /tmp/mine; ls -A /sandbox /dev/shm")
    assert again.out.split() == ["/tmp/mine", "/usr/bin/mine", "/dev/shm:", "/sandbox:"]


def test_input_files_belong_to_root(build):
    result = shell(build, "stat -c %u:%g . setup.sh sub sub/more",
                   files={"setup.sh": "true\n", "sub/more": "x"})
    assert result.out.split() == ["0:0"] * 4


def test_a_tool_has_a_read_only_root_and_tmp_in_memory(tool):
    result = shell(tool, "touch /usr/bin/mine; touch /tmp/mine && df --output=fstype /tmp; id -u")
    assert "Read-only file system" in result.err
    assert result.out.split() == ["Type", "tmpfs", "0"]


def test_a_tool_writes_into_the_image_and_can_work_in_it(tool):
    result = shell(tool, """
        set -e
        mkdir -p /image/root/usr /image/root/tmp && cp -a /usr/bin/true /image/root/usr/
        chown 0:42 /image/root/usr/true && mkfifo /image/root/fifo
        setfattr -h -n user.word -v x /image/root/usr/true 2>/dev/null || true
        python3 -c 'import os; os.chroot("/image/root"); os.chdir("/"); print(os.listdir("/usr"))'
        """)
    assert (result.status, result.out) == (0, "['true']\n"), result.err


def test_daemons_end_with_the_job(build):
    result = shell(build, "setsid sleep 1000 </dev/null >/dev/null 2>&1 & disown; echo done")
    assert (result.status, result.out) == (0, "done\n")


def test_a_deadline_ends_a_job(build):
    result = shell(build, "trap '' TERM INT; sleep 1000", timeout=0.3)
    assert result.timed_out and result.status == -9


def test_programs_are_found_on_the_path_of_the_job(build):
    result = shell(build, "mkdir -p /opt/venv/bin; printf '#!/bin/sh\\necho mine $1\\n' "
                          ">/opt/venv/bin/tool; chmod 755 /opt/venv/bin/tool")
    assert result.status == 0, result.err
    assert build.open().run(["tool", "word"]).out == "mine word\n"
    missing = build.open().run(["no-such-tool"])
    assert (missing.failure, missing.status) == (None, 127)
    assert missing.err.endswith("no-such-tool cannot be started in this environment: "
                                "No such file or directory\n")


def test_a_build_is_never_warm(build):
    with pytest.raises(ConnectionError):
        with nests.Nest("/", nests.BUILD) as nest:
            nest.open(nests.WARM)


def test_sync_does_not_reach_the_disks_of_the_host(build):
    assert shell(build, "sync && sync -f /root").status == 0


def test_a_nest_starts_whatever_descriptors_the_tests_have_open():
    held = []
    try:
        for _ in range(12):  # once this number decided, and all tests of a nest failed
            with nests.Nest("/", nests.BUILD) as nest:
                assert nest.open().run(["true"]).status == 0
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for fd in held:
            os.close(fd)
