"""dunlin doctor: what it says of this machine, and of one that lacks something."""
import json
import os
import pathlib
import subprocess

import pytest

import host
from server import DUNLIN, clean_environment, dunlin

NAMES = {
    "processor", "kernel", "root and capabilities", "ids for sandboxes", "user namespaces",
    "pid namespaces", "mount namespaces", "network namespaces", "ipc namespaces",
    "uts namespaces", "cgroup namespaces", "nested namespaces", "proc inside",
    "tmpfs and devpts inside", "change of root inside", "overlayfs", "device nodes", "clone3",
    "pidfd_open", "close_range", "openat2", "seccomp filter", "landlock", "cgroup memory",
    "cgroup cpu", "cgroup pids", "swap accounting", "data directory", "python3", "bash", "node",
    "open files", "memory", "mke2fs", "loop devices", "layers", "workspaces", "image tools", "veth", "nftables",
    "forwarding", "resolvers"}


def without(spoil, *flags):
    """Runs `dunlin doctor --json` in a mount namespace in which the shell commands `spoil` were run
    first; returns the exit status and the checks by name."""
    script = f'set -e; {spoil}; exec "$0" doctor --json "$@"'
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, DUNLIN, *flags],
        env=clean_environment(), text=True, capture_output=True, timeout=30, check=False)
    assert ended.stdout, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["ok"] == (ended.returncode == 0)
    return ended.returncode, {check["name"]: check for check in answer["checks"]}


def traces():
    """What a careless doctor would leave: groups, mounts and processes of its own."""
    # os.walk() passes over groups that others remove meanwhile.
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup")
              if os.path.basename(folder).startswith("dunlin-doctor-")]
    mounts = pathlib.Path("/proc/self/mounts").read_text().count("dunlin-doctor")
    processes = [one for one in host.processes()
                 if b"\0doctor\0" in host.read(one.pid, "cmdline")]
    return groups, mounts, processes


def test_this_machine_can_run_sandboxes_and_each_check_is_a_line():
    ended = dunlin("doctor", seconds=30)
    assert ended.returncode == 0, ended.stdout
    assert "\nSandboxes can run" in ended.stdout
    assert "✗" not in ended.stdout and "\x1b" not in ended.stdout
    for name in NAMES:
        assert f" {name}" in ended.stdout, name
    assert ended.stderr == ""


def test_the_json_says_what_each_weakness_costs_and_what_enables_it():
    ended = dunlin("doctor", "--json", seconds=30)
    answer = json.loads(ended.stdout)
    assert answer["ok"] is True and ended.returncode == 0
    assert {check["name"] for check in answer["checks"]} == NAMES
    for check in answer["checks"]:
        assert check["status"] in ("ok", "degraded"), check
        assert (check["cost"] is None) == (check["status"] == "ok"), check
        assert (check["fix"] is None) == (check["status"] == "ok"), check


def test_nothing_is_left_behind():
    dunlin("doctor", seconds=30)
    assert traces() == ([], 0, [])


@pytest.mark.parametrize("words", [["--jsn"], ["now"], ["--data"], ["--data="], ["-x"]])
def test_wrong_words_end_with_two_and_the_usage(words):
    ended = dunlin("doctor", *words, seconds=10)
    assert ended.returncode == 2 and ended.stdout == ""
    assert "Usage: dunlin doctor" in ended.stderr


def test_help_is_printed():
    ended = dunlin("doctor", "--help", seconds=10)
    assert ended.returncode == 0 and "--json" in ended.stdout


@pytest.mark.parametrize("spoil, name, words", [
    ("mount --bind /dev/null /proc/kmsg", "proc inside", "mount proc"),
    ("mount --bind -o ro /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
     "nested namespaces", "Read-only"),
    ("umount --lazy /sys/fs/cgroup", "cgroup memory", "no memory controller"),
])
def test_what_a_container_lacks_is_missing(spoil, name, words):
    status, checks = without(spoil)
    assert status == 1
    assert checks[name]["status"] == "missing"
    assert words in checks[name]["detail"]
    assert checks[name]["fix"]


def test_a_data_directory_without_exec_is_a_weakness_only(tmp_path):
    status, checks = without(f"mount -t tmpfs -o noexec none {tmp_path}", "--data", tmp_path / "d")
    assert status == 0
    assert checks["data directory"]["status"] == "degraded"
    assert "noexec" in checks["data directory"]["detail"]


def test_a_read_only_data_directory_is_missing(tmp_path):
    status, checks = without(f"mount -t tmpfs -o ro none {tmp_path}", "--data", tmp_path)
    assert status == 1
    assert checks["data directory"]["status"] == "missing"


def test_root_without_its_capabilities_is_told_so():
    ended = subprocess.run(
        ["setpriv", "--inh-caps", "-sys_admin", "--bounding-set", "-sys_admin", DUNLIN, "doctor"],
        env=clean_environment(), text=True, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "root without the capabilities sys_admin" in ended.stdout
    assert "sudo dunlin doctor" in ended.stdout
