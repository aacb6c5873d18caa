"""The layers that only the host can give: its base and the tools, from this machine's packages."""
import contextlib
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest

from system_image_tools import SCRIPT, Debian, Image

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes layers"),
              pytest.mark.deadline(180)]
ENVIRONMENT = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root",
               "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]


def make(which, out, *more):
    return subprocess.run([SCRIPT, "layer", "--which", which, "--out", out, *more],
                          capture_output=True, text=True, check=False, env={})


@contextlib.contextmanager
def mounted(image):
    """The tree of the image, mounted read-only as long as the context lasts."""
    point = tempfile.mkdtemp(prefix="dunlin-test-layer-")
    subprocess.run(["mount", "-o", "loop,ro", image, point], check=True)
    try:
        yield pathlib.Path(point) / "root"
    finally:
        subprocess.run(["umount", point], check=True)
        os.rmdir(point)


def one_layer(which):
    directory = tempfile.mkdtemp(prefix="dunlin-test-layer-")
    done = make(which, directory + "/1.img")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(directory) == ["1.img"]
    with mounted(directory + "/1.img") as root:
        yield root
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def base():
    yield from one_layer("base")


@pytest.fixture(scope="module")
def tools():
    yield from one_layer("tools")


def inside(root, script):
    """Runs a script as root in a copy-on-write view of the layer, offline."""
    start = """
        mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/root
        mount -t overlay -o lowerdir="$0",upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
        mount -t proc none /mnt/root/proc
        for name in null urandom; do
            touch /mnt/root/dev/$name; mount --bind /dev/$name /mnt/root/dev/$name
        done
        exec chroot /mnt/root "$@"
    """
    return subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh",
                           "-c", start, root, *ENVIRONMENT, "sh", "-ec", script],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_image_is_sparse_and_roots_own(tmp_path):
    out = tmp_path / "7.img"
    done = make("tools", out, "--size-mb", "3000")
    assert (done.returncode, done.stderr) == (0, "")
    status = out.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600 and status.st_size == 3000 << 20
    assert status.st_blocks * 512 < 600 << 20
    dump = subprocess.run(["dumpe2fs", "-h", out], capture_output=True, text=True, check=True)
    assert "has_journal" not in dump.stdout and "clean" in dump.stdout
    assert subprocess.run(["losetup", "-j", out], capture_output=True, check=True).stdout == b""


def test_nothing_private_of_the_host_is_in_it(base, tools):
    for root in (base, tools):
        for name in ("etc/ssh", "etc/sudoers", "etc/apt/auth.conf", "etc/ssl/private/*",
                     "root/.ssh", "root/.*_history", "home/*", "var/log/*.log",
                     "var/cache/debconf/*.dat", "var/lib/apt/lists/*_*", "srv/*", "boot/*",
                     "var/mail/*"):
            assert list(root.glob(name)) == [], name
        shadow = (root / "etc/shadow").read_text().splitlines()
        assert shadow and all(line.split(":")[1] == "*" for line in shadow)
        accounts = (root / "etc/passwd").read_text().splitlines()
        assert {line.split(":")[1] for line in accounts} == {"x"}
        for name in ("hostname", "hosts", "resolv.conf", "machine-id"):
            assert os.uname().nodename == "sandbox" or \
                os.uname().nodename not in (root / "etc" / name).read_text()


def test_no_file_gives_rights(base, tools):
    for root in (base, tools):
        for folder, folders, names in os.walk(root):
            for name in folders + names:
                status = os.lstat(os.path.join(folder, name))
                assert (status.st_uid, status.st_gid) == (0, 0), (folder, name)
                if not stat.S_ISLNK(status.st_mode):
                    assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID), (folder, name)
                    open_to_all = status.st_mode & 0o022
                    assert not open_to_all or status.st_mode & stat.S_ISVTX, (folder, name)


def test_package_management_finds_nothing_wrong(base):
    done = inside(base, """
        dpkg --audit; apt-get -qq check
        dpkg --verify | grep '^missing' | grep -v /node_modules/npm/ |
            grep -v -E '/usr/share/(doc|doc-base|man|info|locale|lintian|bug)(/|$)' || true
        apt-cache policy python3 | grep -q "Installed: 3"
        update-alternatives --query awk | grep -q "^Status: auto"
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_package_can_be_installed_and_removed(base, tmp_path):
    done = inside(base, """
        mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/man/man1 /tmp/p/usr/bin
        cat > /tmp/p/DEBIAN/control <<C
Package: dunlin-test
Version: 1
Architecture: all
Maintainer: x
Description: x
C
        echo manual > /tmp/p/usr/share/man/man1/x.1; echo echo works > /tmp/p/usr/bin/dunlin-test
        chmod 755 /tmp/p/usr/bin/dunlin-test
        dpkg-deb -b /tmp/p /tmp/p.deb > /dev/null; apt-get install -qq -y /tmp/p.deb > /tmp/log 2>&1
        sh /usr/bin/dunlin-test; test ! -e /usr/share/man/man1/x.1
        apt-get purge -qq -y dunlin-test > /tmp/log 2>&1; test ! -e /usr/bin/dunlin-test
    """)
    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr


def test_pip_and_venv_work_in_it(base):
    done = inside(base, """
        python - <<'P'
import zipfile
with zipfile.ZipFile("/tmp/thing-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("thing/__init__.py", "ANSWER = 42")
    wheel.writestr("thing-1.dist-info/METADATA",
                   "Metadata-Version: 2.1\\nName: thing\\nVersion: 1\\n")
    wheel.writestr("thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\n"
                   "Root-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("thing-1.dist-info/RECORD", "")
P
        cd /; pip install -q --no-index /tmp/thing-1-py3-none-any.whl
        python3 -c 'import thing; print(thing.ANSWER)'
        python3 -m venv /tmp/v; /tmp/v/bin/pip install -q --no-index /tmp/thing-1-py3-none-any.whl
        /tmp/v/bin/python -c 'import thing; print(thing.ANSWER)'
    """)
    assert (done.returncode, done.stdout) == (0, "42\n42\n"), done.stderr


@pytest.mark.skipif(shutil.which("npm", path="/usr/bin:/usr/local/bin") is None,
                    reason="npm is not installed here")
def test_npm_works_in_it(base):
    done = inside(base, """
        mkdir -p /tmp/m && cd /tmp/m && echo '{"name":"thing","version":"1.0.0"}' > package.json
        echo 'module.exports = 42' > index.js
        mkdir /tmp/n && cd /tmp/n && npm install --silent --offline /tmp/m > /dev/null
        node -e 'console.log(require("thing"))'
    """)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_accounts_can_be_added(base):
    done = inside(base, "useradd -m somebody; su -c whoami somebody;"
                        "getent passwd _apt www-data sandbox")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "somebody", "_apt", "www-data", "sandbox"]


def test_the_modules_of_runs_are_there_and_compiled(base):
    for name in ("numpy", "pandas"):
        if (pathlib.Path("/usr/lib/python3/dist-packages") / name).is_dir():
            done = inside(base, f"python3 -v -c 'import {name}' 2>&1 | grep -c '^# wrote' || true")
            assert done.stdout == "0\n"


def test_the_tools_run(tools):
    done = inside(tools, """
        for one in skopeo umoci mmdebstrap bsdtar gpgv apt-get zstd xz; do
            $one --version > /dev/null
        done
        python3 -c 'import json, tarfile'; echo ok
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert len((tools / "etc/ssl/certs/ca-certificates.crt").read_text()) > 10000


@pytest.mark.parametrize("arguments, reason", [
    ((), "--which must be base or tools"),
    (("--which", "other", "--out", "x"), "--which must be base or tools"),
    (("--which", "base"), "--out is missing"),
    (("--which", "base", "--out", "x", "--size-mb", "-1"), "--size-mb must be a number"),
    (("--which", "base", "--out", "x", "--bad"), "unknown option --bad"),
])
def test_bad_options_are_refused(arguments, reason):
    done = subprocess.run([SCRIPT, "layer", *arguments], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and reason in done.stderr


@pytest.fixture
def debian(tmp_path):
    """A made-up Debian with what the layer of tools needs."""
    one = Debian(tmp_path / "root")
    accounts = one.root / "usr/share/base-passwd"
    accounts.mkdir(parents=True)
    (accounts / "passwd.master").write_text("root:*:0:0:root:/root:/bin/bash\n")
    (accounts / "group.master").write_text("root:*:0:\n")
    return one


TOOLS = ["apt", "bzip2", "ca-certificates", "debian-archive-keyring", "dpkg", "gpgv",
         "libarchive-tools", "mmdebstrap", "skopeo", "umoci", "xz-utils", "zstd"]


def test_missing_tools_are_named_with_the_way_to_get_them(debian, tmp_path):
    for name in TOOLS:
        if name not in ("skopeo", "umoci"):
            debian.install(name, {f"/usr/bin/{name}": "x\n"})
    done = make("tools", tmp_path / "1.img", "--from", debian.root)
    assert done.returncode == 1 and not (tmp_path / "1.img").exists()
    assert "not installed: skopeo umoci (apt-get install skopeo umoci)" in done.stderr


def test_what_the_administrator_changed_stays_on_the_host(debian, tmp_path):
    for name in TOOLS:
        debian.install(name, {f"/usr/bin/{name}": "x\n"})
    digest = "401b30e3b8b5d629635a5c613cdb7919"  # MD5 of "x\n"
    debian.install("thing", {"/etc/thing/kept": "x\n", "/etc/thing/changed": "password\n",
                             "/etc/thing/unlisted": "x\n", "/var/lib/thing/data": "x\n"},
                   Essential="yes",
                   Conffiles=f"\n /etc/thing/kept {digest}\n /etc/thing/changed {digest}")
    (debian.root / "etc/apt/sources.list.d").mkdir(parents=True)
    (debian.root / "etc/apt/sources.list").write_text(
        "# password: x\ndeb http://a.test/debian stable main # mine\n"
        "deb https://me:secret@b.test/debian stable main\n")
    (debian.root / "etc/apt/sources.list.d/x.sources").write_text(
        "Types: deb\nURIs: http://c.test/debian\nSuites: stable\nComponents: main\n\n"
        "# x\nTypes: deb\nURIs: https://me:secret@d.test/debian\nSuites: stable\n\n"
        "Types: deb\nURIs: http://e.test/debian\nSuites: stable\nEnabled: no\n")
    done = make("tools", tmp_path / "1.img", "--from", debian.root)
    assert (done.returncode, done.stderr) == (0, "")
    with mounted(tmp_path / "1.img") as root:
        assert sorted(os.listdir(root / "etc/thing")) == ["kept"]
        assert not (root / "var/lib/thing").exists()
        sources = root / "etc/apt"
        assert (sources / "sources.list").read_text() == "deb http://a.test/debian stable main\n"
        assert (sources / "sources.list.d/x.sources").read_text() == (
            "Types: deb\nURIs: http://c.test/debian\nSuites: stable\nComponents: main\n")


def test_the_keys_change_with_the_layers(debian, tmp_path):
    image = Image(tmp_path / "image")

    def keys():
        answer = image.make("--from", debian.root)
        return answer["base_key"], answer["tools_key"]

    for name in TOOLS:
        debian.install(name, {f"/usr/bin/{name}": "x\n"})
    first = keys()
    assert keys() == first and first[0] != first[1]
    debian.install("unrelated", {"/usr/bin/unrelated": "x\n"})
    assert keys() == first
    (debian.root / "etc/apt").mkdir(exist_ok=True)
    (debian.root / "etc/apt/sources.list").write_text("deb http://a.test/debian stable main\n")
    second = keys()
    assert second[1] != first[1]
    for name in ("python3-pip", "python3-venv"):
        debian.install(name, {f"/usr/bin/{name}": "x\n"})
    third = keys()
    assert third[0] != second[0] and third[1] == second[1]
    debian.install("python3-numpy", {"/usr/lib/python3/numpy.py": "x\n"})
    assert keys()[0] != third[0] and keys()[1] == third[1]
