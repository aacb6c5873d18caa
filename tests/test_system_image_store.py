"""How system copies are made, kept and deleted: small Debian trees that the tests make up, crashes,
full disks, hostile leftovers."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from system_image_tools import Debian, Image

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes system copies"),
              pytest.mark.deadline(180)]


@pytest.fixture
def image():
    directory = tempfile.mkdtemp(prefix="dunlin-test-image-")
    yield Image(directory)
    shutil.rmtree(directory)


@pytest.fixture
def debian(image):
    return Debian(image.directory / "debian")


def copy(image, debian):
    return pathlib.Path(image.make("--from", debian.root)["system"])


def test_dependencies_come_along_and_the_uninstalled_do_not(image, debian):
    debian.install("jq", {"/usr/bin/jq": "x"}, Depends="libjq1 (>= 1), libc6 | libc6.1",
                   Pre_Depends="virtual-thing, dpkg")
    debian.install("libjq1", {"/usr/lib/libjq.x": "x"}, Depends="jq")
    debian.install("real-thing", {"/usr/lib/real.x": "x"}, Provides="other, virtual-thing (= 2)")
    debian.install("dpkg", {"/usr/bin/dpkg": "x"})
    debian.install("stranger", {"/usr/bin/stranger": "x"})
    system = copy(image, debian)
    assert (system / "usr/lib/libjq.x").exists() and (system / "usr/lib/real.x").exists()
    assert not (system / "usr/bin/dpkg").exists() and not (system / "usr/bin/stranger").exists()


def test_dangerous_modes_and_private_files_stay_behind(image, debian):
    debian.install("bc", {"/usr/bin/bc": "x", "/usr/lib/secret": "x", "/usr/lib/locked/x": "x",
                          "/usr/lib/open": "x", "/var/lib/bc/x": "x", "/opt/bc": "x",
                          "/root/x": "x", "/etc/bc.conf": "password", "/etc/services": "s",
                          "/etc/ssl/certs/a.pem": "-----BEGIN PRIVATE KEY-----",
                          "/etc/ssl/certs/b.pem": "public"})
    (debian.root / "usr/bin/bc").chmod(0o6777)
    (debian.root / "usr/lib/open").chmod(0o666)
    (debian.root / "usr/lib/secret").chmod(0o600)
    (debian.root / "usr/lib/locked").chmod(0o700)
    (debian.root / "etc/shadow").write_text("root:x")
    os.mkfifo(debian.root / "usr/lib/pipe")
    (debian.root / "var/lib/dpkg/info/bc.list").open("a").write("/usr/lib/pipe\n")
    system = copy(image, debian)
    assert (system / "usr/bin/bc").stat().st_mode & 0o7777 == 0o755
    assert (system / "usr/lib/open").stat().st_mode & 0o7777 == 0o644
    for name in ("usr/lib/secret", "usr/lib/locked", "usr/lib/pipe", "var", "opt", "root",
                 "etc/bc.conf", "etc/shadow", "etc/ssl/certs/a.pem"):
        assert not os.path.lexists(system / name), name
    assert (system / "etc/services").exists() and (system / "etc/ssl/certs/b.pem").exists()


def test_an_old_layout_is_merged_and_links_stay_whole(image, debian):
    (debian.root / "bin").unlink()
    debian.install("dash", {"/bin/dash": "x", "/bin/sh": ("dash",), "/usr/bin/out": ("/opt/x",),
                            "/usr/bin/chain": ("out",), "/usr/bin/loop": ("loop",),
                            "/usr/share/data/x": "x", "/usr/lib/folder": ("../share/data",),
                            "/usr/lib/folder/y": "y"})
    system = copy(image, debian)
    assert os.readlink(system / "bin") == "usr/bin"
    assert os.readlink(system / "usr/bin/sh") == "dash" and (system / "bin/sh").exists()
    for name in ("out", "chain", "loop"):
        assert not os.path.lexists(system / "usr/bin" / name), name
    assert (system / "usr/share/data/y").exists()
    assert os.readlink(system / "usr/lib/folder") == "../share/data"


def test_odd_names_are_copied_and_told_apart(image, debian):
    debian.install("bc", {"/usr/share/a b": "1", "/usr/share/a\\x20b": "2", "/usr/share/é": "3"})
    system = copy(image, debian)
    assert [(system / "usr/share" / name).read_text() for name in ("a b", "a\\x20b", "é")] == [
        "1", "2", "3"]
    lines = (system.parent / (system.name + ".manifest")).read_text().splitlines()
    assert len({line.split(" ")[4] for line in lines}) == len(lines)
    assert all(len(line.split(" ")) == 5 for line in lines)


def test_the_chosen_alternative_of_a_library_comes_along(image, debian):
    debian.install("bc", {"/usr/bin/bc": "x"}, Depends="libblas3 | libblas.so.3")
    debian.install("libblas3", {"/usr/lib/blas/libblas.so.3": "slow"}, Provides="libblas.so.3")
    debian.install("libopenblas0", {"/usr/lib/open/libblas.so.3": "fast"}, Provides="libblas.so.3")
    debian.alternative("libblas.so.3-x", "/usr/lib/libblas.so.3",
                       ["/usr/lib/blas/libblas.so.3", "/usr/lib/open/libblas.so.3"],
                       "/usr/lib/open/libblas.so.3")
    debian.alternative("editor", "/usr/bin/editor", ["/usr/bin/vim"], "/usr/bin/vim")
    system = copy(image, debian)
    assert os.readlink(system / "usr/lib/libblas.so.3") == "/etc/alternatives/libblas.so.3-x"
    assert os.readlink(system / "etc/alternatives/libblas.so.3-x") == "/usr/lib/open/libblas.so.3"
    assert (system / "usr/lib/open/libblas.so.3").read_text() == "fast"
    assert not os.path.lexists(system / "usr/bin/editor")


def test_a_changed_package_makes_a_new_copy_and_the_old_one_goes(image, debian):
    first = image.make("--from", debian.root)
    debian.install("bc", {"/usr/bin/bc": "x"})
    second, said = image.run("--from", debian.root)
    assert second["made"] and second["system"] != first["system"]
    assert "packages have changed" in said
    assert image.names() == image.expected_names(second)
    (debian.root / "var/lib/dpkg/status").touch()
    third, said = image.run("--from", debian.root)
    assert third == dict(second, made=False) and said == ""
    (debian.root / "usr/bin/bc").write_text("y")
    (debian.root / "var/lib/dpkg/status").touch()
    assert image.make("--from", debian.root, "--keep")["made"]
    assert os.path.exists(second["system"])


def test_a_package_file_in_the_store_adds_to_the_list(image, debian):
    debian.install("stranger", {"/usr/bin/stranger": "x"})
    image.make("--from", debian.root)
    (image.store / "packages").write_text("?stranger # wanted here\n")
    assert (copy(image, debian) / "usr/bin/stranger").exists()
    (image.store / "packages").write_text("no such name!\n")
    assert "packages, line 1: not a package name" in image.run("--from", debian.root)[1]


def test_what_cannot_work_is_said_plainly(image, debian):
    empty = image.directory / "empty"
    empty.mkdir()
    answer, said = image.run("--from", empty)
    assert answer is None and "needs Debian" in said and "Traceback" not in said
    (debian.root / "usr/bin/bash").unlink()
    assert "/usr/bin/bash is missing" in image.run("--from", debian.root)[1]
    status = debian.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("Package: tar\n", "Package: rat\n"))
    assert "needed and not installed: tar" in image.run("--from", debian.root)[1]
    for bad in (["--work-dir", "/usr/x"], ["--work-dir", "/"], ["--work-dir", "x"], ["--nonsense"],
                ["--work-dir"], ["--work-dir", "/a/../b"]):
        answer, said = image.run(*bad)
        assert answer is None and said.startswith("system-image: "), bad
    assert image.names() == ["lock"]


def test_a_full_disk_leaves_nothing(image, debian):
    debian.install("bc", {"/usr/bin/bc": "x" * 3_000_000, "/usr/lib/more": "x" * 3_000_000})
    image.store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", image.store],
                   check=True)
    try:
        answer, said = image.run("--from", debian.root)
        assert answer is None and "no space left in" in said and "Traceback" not in said
        (image.store / "filler").write_bytes(b"x")
        (debian.root / "usr/lib/more").unlink()
        os.truncate(debian.root / "usr/bin/bc", 0)
        # Enough bytes, but not enough inodes.
        subprocess.run(["mount", "-o", "remount,nr_inodes=20", image.store], check=True)
        answer, said = image.run("--from", debian.root)
        assert answer is None and "no space left in" in said and "Traceback" not in said
        assert image.names() == ["filler", "lock"]
    finally:
        subprocess.run(["umount", image.store], check=True)


def test_a_store_that_others_could_change_is_refused(image, debian):
    image.store.mkdir(mode=0o755)
    image.store.chmod(0o777)
    assert "others than root may write" in image.run("--from", debian.root)[1]
    image.store.chmod(0o755)
    os.chown(image.store, 1000, 1000)
    assert "others than root may write" in image.run("--from", debian.root)[1]
    image.store.rmdir()
    image.store.symlink_to("/etc")
    assert "is not a directory" in image.run("--from", debian.root)[1]
    assert not os.path.exists("/etc/lock")
    image.store.unlink()


def test_hostile_leftovers_are_deleted_and_never_followed(image, debian):
    outside = image.directory / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/precious").write_text("x")
    image.store.mkdir()
    (image.store / "tmp-link").symlink_to(outside)
    (image.store / "tmp-dir/sub").mkdir(parents=True)
    (image.store / "tmp-dir/sub/link").symlink_to(outside)
    (image.store / "tmp-dir/sub/\n odd").write_text("x")
    os.link(outside / "deep/precious", image.store / "tmp-hard")
    os.mkfifo(image.store / "tmp-pipe")
    (image.store / ("system-" + "0" * 64)).symlink_to(outside)
    (image.store / ("runtime-" + "1" * 64)).write_text("no directory")
    (image.store / "current.json").symlink_to(outside / "deep/precious")
    (image.store / "not-ours").mkdir()
    answer = image.make("--from", debian.root)
    assert image.names() == sorted(image.expected_names(answer) + ["not-ours"])
    assert (outside / "deep/precious").read_text() == "x"
    assert not (image.store / "current.json").is_symlink()


def test_a_mount_in_a_leftover_is_left_alone(image, debian):
    (image.directory / "precious").mkdir()
    (image.directory / "precious/file").write_text("x")
    point = image.store / "tmp-old/mounted"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", image.directory / "precious", point], check=True)
    try:
        answer, said = image.run("--from", debian.root)
        assert answer is not None and "something is mounted in" in said
        assert (image.directory / "precious/file").exists()
    finally:
        subprocess.run(["umount", point], check=True)


def test_a_copy_that_sandboxes_run_from_stays_until_they_end(image, debian):
    old = image.make("--from", debian.root)["system"]
    child = subprocess.Popen(["unshare", "--mount", "sh", "-c", 'mount --bind "$0/usr" /mnt; echo;'
                              "exec sleep 60", old], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        debian.install("bc", {"/usr/bin/bc": "x"})
        new, said = image.run("--from", debian.root)
        assert new["made"] and os.path.exists(old + "/usr/bin/bash") and "warning" not in said
    finally:
        child.kill()
        child.communicate()
    assert image.make("--from", debian.root) == dict(new, made=False)
    assert image.names() == image.expected_names(new)


@pytest.mark.parametrize("spoiled", [
    "", "{}", "[]", "null", '{"system": 1, "runtime": "x"}', "\n\n\n\n", "\xff\0",
    '{"fingerprint": "x",\n"trees": ".. ..",\n"a": 1,\n"answer": {}\n}\n',
    '{"system": {"tree": "../outside", "digest": "", "bytes": 1, "languages": []}, "runtime": {}}'])
def test_a_spoiled_record_is_made_again(image, debian, spoiled):
    first = image.make("--from", debian.root)
    (image.store / "current.json").write_text(spoiled)
    assert image.make("--from", debian.root) == dict(first, made=False)
    record = json.loads((image.store / "current.json").read_text())
    assert record["answer"]["system"] == first["system"]


def test_a_lost_or_spoiled_tree_is_made_again(image, debian):
    first = image.make("--from", debian.root)
    shutil.rmtree(first["system"])
    assert image.make("--from", debian.root) == first
    os.unlink(first["system"] + ".manifest")
    pathlib.Path(first["system"], "usr/bin/bash").write_text("spoiled")
    assert image.make("--from", debian.root, "--verify") == first
    assert pathlib.Path(first["system"], "usr/bin/bash").read_text() == "bash\n"
    pathlib.Path(first["runtime"], "zygote.py").write_text("spoiled")
    again, said = image.run("--from", debian.root, "--verify")
    assert again == first and "differs from what was made" in said
    assert image.make("--from", debian.root, "--verify") == dict(first, made=False)
    os.chown(first["system"], 1000, 1000)  # made by somebody else, for all we know
    assert image.make("--from", debian.root) == first
    assert os.stat(first["system"]).st_uid == 0


def test_killed_at_any_moment_nothing_stays_behind(image, debian):
    debian.install("bc", {f"/usr/share/bc/{number}": "x" * 1000 for number in range(2000)})
    for delay_ms in (30, 60, 90, 120, 150, 200, 250, 300, 400):
        child = subprocess.Popen(image.command("--from", debian.root, "--quiet"),
                                 stdout=subprocess.DEVNULL)
        time.sleep(delay_ms / 1000)
        child.send_signal(signal.SIGKILL)
        child.wait()
        (debian.root / "usr/share/bc/0").write_text(str(delay_ms))
        (debian.root / "var/lib/dpkg/status").touch()
    answer = image.make("--from", debian.root)
    assert image.names() == image.expected_names(answer)
    assert image.make("--from", debian.root, "--verify")["made"] is False


def test_two_at_once_make_one_copy(image, debian):
    command = image.command("--from", debian.root, "--quiet")
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    answers = [json.loads(child.communicate()[0]) for child in children]
    assert sorted(answer["made"] for answer in answers) == [False, False, False, True]
    assert len({answer["system"] for answer in answers}) == 1
    assert image.names() == image.expected_names(answers[0])
