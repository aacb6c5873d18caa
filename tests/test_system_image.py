"""The private system copy that sandboxes execute from (R3), made of this machine's own packages."""
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from slowness import stretched
from system_image_tools import SCRIPT, Image

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes system copies"),
              pytest.mark.deadline(180)]


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
    return ((str(path), path.lstat()) for path in pathlib.Path(top).rglob("*"))


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
    assert set(answer) == {"system", "runtime", "languages", "made", "bytes", "python_version",
                           "base_key", "tools_key"}
    assert answer["python_version"] == "%d.%d" % sys.version_info[:2]
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
    assert min(seconds) < stretched(0.5)
    assert {path: path.stat().st_ino for path in machine.store.iterdir()} == before
    (machine.runtime / "zygote.py").touch()  # only a date changes: the same copy stays
    answer, said = machine.run()
    assert answer == dict(machine.answer, made=False) and said == ""


def test_a_foreign_node_comes_with_its_libraries():
    node = shutil.which("node", path="/usr/local/bin:/usr/bin")
    if node is None:
        pytest.skip("node is not installed here")
    program = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from system_image import contents, host
plan = {{}}
contents.add_foreign_node(host.Host("/"), plan)
print(sorted(plan))
"""
    done = subprocess.run(["/usr/bin/python3", "-I", "-B", "-c", program], capture_output=True,
                          text=True, check=True)
    for name in ("usr/bin/node", "libstdc++.so.6", "ld-linux"):
        assert name in done.stdout
