"""The private system copy that sandboxes execute from (R3): runtime/system/system-image, as root.

The first half makes one copy of this machine's own packages and looks at it from every side.  The
second half copies small Debian trees that the tests make up, to get at what this machine has not.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SCRIPT = ROOT / "runtime/system/system-image"
NEEDED = ["python3", "bash", "coreutils", "findutils", "grep", "sed", "tar", "gzip", "diffutils",
          "libc-bin"]

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes system copies"),
              pytest.mark.deadline(180)]


class Image:
    """A store and a runtime directory of the tests' own, and runs of the script on them."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.store = self.directory / "store"
        self.runtime = self.directory / "runtime"
        (self.runtime / "node").mkdir(parents=True)
        (self.runtime / "zygote.py").write_text("ANSWER = 42\n")
        (self.runtime / "node/run.js").write_text("1;\n")

    def command(self, *more):
        return [SCRIPT, "--store", self.store, "--runtime", self.runtime, *more]

    def run(self, *more):
        """Runs the script to its end: (answer or None, what it said on stderr)."""
        done = subprocess.run(self.command(*more), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            assert (done.returncode, done.stdout) == (1, "")
            return None, done.stderr
        lines = done.stdout.split("\n")
        assert len(lines) == 2 and lines[1] == ""
        return json.loads(lines[0]), done.stderr

    def make(self, *more):
        """As run(), for a run that must succeed: the answer."""
        answer, said = self.run(*more)
        assert answer is not None, said
        return answer

    def names(self):
        return sorted(path.name for path in self.store.iterdir())

    def expected_names(self, answer):
        """What the store holds when nothing is left over."""
        trees = [pathlib.Path(answer[kind]).name for kind in ("runtime", "system")]
        return sorted(["current.json", "lock"] + trees + [name + ".manifest" for name in trees])


@pytest.fixture
def image():
    directory = tempfile.mkdtemp(prefix="dunlin-test-image-")
    yield Image(directory)
    shutil.rmtree(directory)


# --- a copy of this machine -----------------------------------------------------------------


@pytest.fixture(scope="module")
def machine():
    """One copy of this machine for all the tests that only look at it."""
    directory = tempfile.mkdtemp(prefix="dunlin-test-image-")
    one = Image(directory)
    one.answer, one.said = one.run()
    yield one
    shutil.rmtree(directory)


@pytest.fixture
def system(machine):
    return pathlib.Path(machine.answer["system"])


def walk(top):
    """Every path below `top` with its lstat."""
    for path in map(str, pathlib.Path(top).rglob("*")):
        yield path, os.lstat(path)


def inside(system, *command):
    """Runs a command as uid 1000 in a root of nothing but the copy, /proc, /tmp and two devices."""
    script = """
        mount -t tmpfs none /mnt && cd /mnt && mkdir usr etc proc tmp dev && chmod 1777 tmp
        find "$0" -maxdepth 1 -type l -exec cp -P {} . \\;
        for name in usr etc; do mount --bind -o ro "$0/$name" $name; done
        mount -t proc none proc
        for name in null urandom; do touch dev/$name; mount --bind /dev/$name dev/$name; done
        exec chroot --userspec=1000:1000 . /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp \
            LANG=C.UTF-8 MPLCONFIGDIR=/tmp "$@"
    """
    return subprocess.run(["unshare", "--mount", "--pid", "--net", "--ipc", "--fork",
                           "--kill-child", "sh", "-c", script, system, *command],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def has_package(name):
    run = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
                         capture_output=True, text=True, check=False)
    return run.stdout == "installed"


def test_the_answer_names_what_was_made(machine, system):
    answer = machine.answer
    assert set(answer) == {"system", "runtime", "languages", "made", "bytes"}
    assert answer["made"] is True and answer["bytes"] > 50_000_000
    assert answer["languages"]["python"] == "/usr/bin/python3"
    assert answer["languages"]["shell"] == "/bin/bash"
    assert answer["languages"]["javascript"] in ("/usr/bin/node", None)
    assert system.parent == machine.store
    assert "Making the private system copy (first start)" in machine.said
    assert machine.names() == machine.expected_names(answer)


def test_the_address_is_that_of_the_content(machine):
    for kind in ("system", "runtime"):
        tree = pathlib.Path(machine.answer[kind])
        manifest = tree.with_name(tree.name + ".manifest").read_bytes()
        assert tree.name == f"{kind}-{hashlib.sha256(manifest).hexdigest()}"
        lines = manifest.decode().splitlines()
        assert len(lines) == sum(1 for _ in walk(tree))
        for line in lines[::50]:
            kind_of, mode, size, value, name = line.split(" ")
            path = tree / name
            if kind_of == "-":
                assert hashlib.sha256(path.read_bytes()).hexdigest() == value
                assert path.stat().st_size == int(size)
                assert path.stat().st_mode & 0o7777 == int(mode, 8)


def test_nothing_in_it_gives_power_or_can_be_written_by_others(machine, system):
    for top in (system, machine.answer["runtime"]):
        for path, status in walk(top):
            assert stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK), path
            assert (status.st_uid, status.st_gid) == (0, 0), path
            if not stat.S_ISLNK(status.st_mode):
                assert not status.st_mode & 0o6022, path
                assert os.listxattr(path) == [], path


def test_no_file_shares_its_inode_with_anything(system):
    for path, status in walk(system):
        if stat.S_ISREG(status.st_mode):
            assert status.st_nlink == 1, path
            twin = "/" + os.path.relpath(path, system)
            if os.path.exists(twin):
                host = os.stat(twin)
                assert (host.st_dev, host.st_ino) != (status.st_dev, status.st_ino), path


def test_it_holds_nothing_private_of_the_host(system):
    assert {path.name for path in system.iterdir()} <= {"usr", "etc", "bin", "sbin", "lib", "lib32",
                                                       "lib64", "libx32"}
    for name in ("shadow", "gshadow", "ssh", "sudoers", "machine-id", "fstab", "crontab", "apt",
                 "ssl/private", "cron.d", "systemd", "pam.d", "profile.d"):
        assert not os.path.lexists(system / "etc" / name), name
    for path, status in walk(system / "etc"):
        if stat.S_ISREG(status.st_mode):
            assert b"PRIVATE KEY" not in pathlib.Path(path).read_bytes(), path
    assert (system / "etc/passwd").read_text().count("\n") == 3
    assert "sandbox:x:1000:1000:sandbox:/tmp:/bin/bash" in (system / "etc/passwd").read_text()
    assert (system / "etc/hostname").read_text() == "sandbox\n"
    assert (system / "etc/resolv.conf").read_text() == ""
    assert "::1" in (system / "etc/hosts").read_text()


def test_the_bulk_that_nobody_needs_is_left_out(system):
    for name in ("share/doc", "share/man", "include", "lib/node_modules/npm", "lib/systemd",
                 "bin/dpkg", "bin/perl", "bin/mount", "bin/su"):
        assert not os.path.lexists(system / "usr" / name), name
    modules = system / "usr/lib/python3/dist-packages"
    assert not list(modules.glob("numpy/**/tests")) and not list(modules.glob("pandas/tests"))
    assert not list(system.glob("usr/lib/**/*.a")) and not list(modules.glob("numpy/**/*.h"))


def test_every_link_leads_somewhere(system):
    done = inside(system, "find", "/usr", "/etc", "-xtype", "l")
    assert (done.stdout, done.stderr) == ("", "")


def test_every_shared_library_finds_its_own(system):
    script = """
        find /usr/lib /usr/bin -type f \\( -name '*.so*' -o -perm -1 \\) -print0 |
            xargs -0 -n 50 ldd 2>/dev/null | grep 'not found'
    """
    assert inside(system, "bash", "-c", script).stdout == ""


def test_programs_run_in_it(system):
    script = """
        set -e
        [ "$(whoami)" = sandbox ]; [ "$(echo a b | awk '{print $2}')" = b ]
        [ "$(printf 'b\\na\\n' | sort | head -1)" = a ]; [ "$(date +%Z)" = UTC ]
        [ "$(sh -c 'echo 1 | sed s/1/2/')" = 2 ]
        tar czf /tmp/x.tgz /etc/passwd 2>/dev/null; tar tzf /tmp/x.tgz | grep -q etc/passwd
        [ "$(python -c 'print(1)')" = 1 ]
        [ "$(TZ=Asia/Shanghai date -d @0 +%H)" = 08 ]
        echo all right
    """
    done = inside(system, "bash", "-c", script)
    assert (done.stdout, done.stderr) == ("all right\n", "")


def test_python_has_its_standard_library(system):
    program = ("import ssl, sqlite3, lzma, bz2, zlib, ctypes.util, curses, readline, decimal, uuid,"
               "asyncio, multiprocessing, xml.etree.ElementTree, zoneinfo, socket, pwd, locale\n"
               "assert ctypes.util.find_library('c') == 'libc.so.6'\n"
               "assert pwd.getpwuid(1000).pw_dir == '/tmp'\n"
               "assert socket.gethostbyname('localhost') == '127.0.0.1'\n"
               "assert locale.setlocale(locale.LC_ALL, 'C.UTF-8')\n"
               "import os; folder = ssl.get_default_verify_paths().openssl_capath\n"
               "print(len(os.listdir(folder)) > 50)")
    done = inside(system, "python3", "-c", program)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("package, program", [
    ("python3-numpy", "import numpy, numpy.testing; print(numpy.linalg.inv([[2.0]])[0][0])"),
    ("python3-pandas", "import pandas, pandas.testing; print(pandas.DataFrame({'a': [.5]}).a[0])"),
    ("python3-scipy", "import scipy.stats, scipy.optimize, scipy.signal, scipy.sparse.linalg;"
                      "print(scipy.stats.norm.cdf(0))"),
    ("python3-matplotlib", "import matplotlib.pyplot as p; p.plot([1, 2]); p.savefig('/tmp/x.png');"
                           "p.savefig('/tmp/x.pdf'); p.savefig('/tmp/x.svg'); print(0.5)"),
    ("python3-sympy", "import sympy; print(float(sympy.integrate(sympy.Symbol('x'), "
                      "(sympy.Symbol('x'), 0, 1))))"),
    ("python3-requests", "import requests; print(0.5)"),
])
def test_an_installed_package_works_in_it(system, package, program):
    if not has_package(package):
        pytest.skip(f"{package} is not installed here")
    done = inside(system, "python3", "-c", program)
    assert done.stdout == "0.5\n", done.stderr


def test_node_runs_in_it(machine, system):
    if machine.answer["languages"]["javascript"] is None:
        pytest.skip("node is not installed here")
    done = inside(system, "/usr/bin/node", "-e", "console.log([1, 2].length, typeof fetch)")
    assert (done.stdout, done.stderr) == ("2 function\n", "")


def test_python_compiles_nothing_again(system):
    modules = "json, asyncio, email, http.client, unittest, sqlite3"
    modules += ", numpy" * has_package("python3-numpy") + ", pandas" * has_package("python3-pandas")
    done = inside(system, "python3", "-v", "-c", "import " + modules)
    compiled = [line for line in done.stderr.splitlines()
                if line.startswith("# code object from ") and not line.endswith(".pyc'")]
    assert done.returncode == 0 and compiled == []
    assert "# wrote" not in done.stderr and "could not create" not in done.stderr


def test_the_runtime_comes_compiled(machine):
    runtime = pathlib.Path(machine.answer["runtime"])
    assert (runtime / "node/run.js").read_text() == "1;\n"
    compiled = list((runtime / "__pycache__").glob("zygote.*.pyc"))
    assert len(compiled) == 1
    assert compiled[0].read_bytes()[4:8] == b"\1\0\0\0"  # PEP 552: by hash, never checked


def test_the_second_run_is_quick_and_makes_nothing(machine):
    before = {path: path.stat().st_ino for path in machine.store.iterdir()}
    seconds = []
    for _ in range(5):
        start = time.monotonic()
        answer, said = machine.run()
        seconds.append(time.monotonic() - start)
        assert said == "" and answer == dict(machine.answer, made=False)
    assert min(seconds) < 0.5
    assert {path: path.stat().st_ino for path in machine.store.iterdir()} == before
    (machine.runtime / "zygote.py").touch()  # only a date changes: the same copy stays
    answer, said = machine.run()
    assert answer == dict(machine.answer, made=False) and said == ""


# --- trees made up --------------------------------------------------------------------------


class Debian:
    """A made-up root with the packages that are always needed, each one file big."""
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.packages = {}
        for name in ("var/lib/dpkg/info", "var/lib/dpkg/alternatives", "etc/alternatives",
                     "usr/bin", "usr/lib"):
            (self.root / name).mkdir(parents=True)
        (self.root / "bin").symlink_to("usr/bin")
        (self.root / "lib").symlink_to("usr/lib")
        for name in NEEDED:
            self.install(name, {f"/usr/bin/{name}": f"{name}\n"})

    def install(self, name, files, **fields):
        """Installs a package: files as {path: text, or a link's target in a tuple}."""
        self.packages[name] = fields
        for path, content in files.items():
            place = self.root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                place.symlink_to(content[0])
            else:
                place.write_text(content)
                place.chmod(0o755)
        listing = "".join(f"{path}\n" for path in ["/.", *files])
        (self.root / f"var/lib/dpkg/info/{name}.list").write_text(listing)
        blocks = []
        for package, more in self.packages.items():
            blocks.append(f"Package: {package}\nStatus: install ok installed\nArchitecture: all\n"
                          "Version: 1\nMaintainer: x\nDescription: x\n"
                          + "".join(f"{key.replace('_', '-')}: {value}\n"
                                    for key, value in more.items()))
        (self.root / "var/lib/dpkg/status").write_text("\n".join(blocks))

    def alternative(self, name, link, choices, chosen):
        body = "".join(f"{choice}\n50\n" for choice in choices)
        (self.root / f"var/lib/dpkg/alternatives/{name}").write_text(f"auto\n{link}\n\n{body}\n")
        (self.root / f"etc/alternatives/{name}").symlink_to(chosen)
        (self.root / link.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (self.root / link.lstrip("/")).symlink_to(f"/etc/alternatives/{name}")


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
    children = [subprocess.Popen(image.command("--from", debian.root, "--quiet"),
                                 stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [json.loads(child.communicate()[0]) for child in children]
    assert sorted(answer["made"] for answer in answers) == [False, False, False, True]
    assert len({answer["system"] for answer in answers}) == 1
    assert image.names() == image.expected_names(answers[0])


def test_a_foreign_node_comes_with_its_libraries(image):
    node = shutil.which("node", path="/usr/local/bin:/usr/bin")
    if node is None:
        pytest.skip("node is not installed here")
    program = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from system_image import contents, host
plan = {{}}
contents._add_foreign_node(host.Host("/"), plan)
print(sorted(plan))
"""
    done = subprocess.run(["/usr/bin/python3", "-I", "-B", "-c", program], capture_output=True,
                          text=True, check=True)
    for name in ("usr/bin/node", "libstdc++.so.6", "ld-linux"):
        assert name in done.stdout
