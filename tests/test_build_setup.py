"""What runs a setup script (runtime/build/setup), in real BUILD sandboxes on the host's base."""
import json
import os
import shutil
import subprocess
import tempfile
import time

import pytest

import nest as nests
import pip_index
import small_roots
from server import free_port
from slowness import stretched
from system_image_tools import SCRIPT

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(120)]


@pytest.fixture(scope="module")
def base():
    """The mounted tree of this machine's base layer."""
    work = tempfile.mkdtemp(prefix="dunlin-test-base-")
    subprocess.run([SCRIPT, "layer", "--which", "base", "--out", work + "/1.img"], check=True)
    os.mkdir(work + "/mnt")
    subprocess.run(["mount", "-o", "loop,ro", work + "/1.img", work + "/mnt"], check=True)
    yield work + "/mnt/root"
    subprocess.run(["umount", work + "/mnt"], check=True)
    shutil.rmtree(work)


class Build:
    """One setup script and what came of it; `look` runs a script in what it has made."""

    def __init__(self, base, script, timeout=60, host_network=False):
        self.nest = nests.Nest(base, nests.BUILD, host_network=host_network)
        try:
            self.result = self.nest.open().run(["/opt/dunlin/build/setup"], timeout=timeout,
                                               files={"setup.sh": script})
        except BaseException:
            self.nest.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.nest.close()

    @property
    def facts(self):
        assert self.result.status == 0, self.result.err
        return json.loads(self.result.files["facts.json"])

    @property
    def packages(self):
        listed = json.loads(self.result.files["packages.json"])
        return {(one["manager"], one["name"]): one["version"] for one in listed if one}

    def look(self, script):
        result = self.nest.open().run(["sh", "-c", script])
        return result.out + result.err


def test_an_empty_script_is_done_at_once_and_described(base):
    with Build(base, "") as build:
        assert build.facts == {"python": subprocess.check_output(
            ["/usr/bin/python3", "-c", "import platform; print(platform.python_version())"],
            text=True).strip()}
        assert ("dpkg", "apt") in build.packages and ("pip", "pip") in build.packages
        assert set(build.result.files) == {"facts.json", "packages.json"}
        assert (build.result.out, build.result.err) == ("", "")
        seconds = []
        for _ in range(3):
            start = time.monotonic()
            build.nest.open().run(["/opt/dunlin/build/setup"], files={"setup.sh": ""})
            seconds.append(time.monotonic() - start)
        assert min(seconds) < stretched(0.4)


@pytest.mark.parametrize("script, status", [
    ("exit 7", 7), ("false; echo on", 1), ("kill -9 $$", 137), ("if then", 2), ("no-program", 127)])
def test_a_script_that_fails_ends_the_build_with_its_status(base, script, status):
    with Build(base, script) as build:
        assert build.result.status == status and build.result.files == {}
        assert "on\n" not in build.result.out


def test_a_script_finds_the_world_that_is_promised(base):
    script = """
        pwd; whoami; cat; umask; ps -o pid= -p $$ > /dev/null
        echo $PATH; echo $HOME $DEBIAN_FRONTEND $PIP_BREAK_SYSTEM_PACKAGES
        test -n "$BASH_VERSION"; ls /usr/sbin/policy-rc.d; env | grep -c DUNLIN || true
    """
    with Build(base, script) as build:
        assert build.result.out.splitlines() == [
            "/root", "root", "0022", nests.PATH, "/root noninteractive 1",
            "/usr/sbin/policy-rc.d", "0"], build.result.err
        assert build.look("ls /usr/sbin/policy-rc.d") != "/usr/sbin/policy-rc.d\n"


def test_what_packagers_leave_behind_is_cleaned_away(base):
    script = """
        touch /tmp/a /tmp/.b /var/tmp/c /var/lib/apt/lists/d /var/cache/apt/archives/e.deb
        mkdir -p /root/.cache/pip; touch /root/.cache/pip/f /root/kept /opt/kept; mkdir '/tmp/g h'
    """
    with Build(base, script) as build:
        assert build.result.status == 0
        assert build.look("ls -A /tmp /var/tmp /var/lib/apt/lists /root/.cache 2>/dev/null") == (
            "/tmp:\n\n/var/lib/apt/lists:\npartial\n\n/var/tmp:\n")
        assert build.look("ls /root/kept /opt/kept") == "/opt/kept\n/root/kept\n"


def test_pip_installs_into_the_system_and_into_a_venv(base):
    with pip_index.PipIndex("127.0.0.1", free_port()) as index:
        index.add("firstthing", "1.5")
        index.add("otherthing", "2.5")
        index.wait()
        options = f"-q --index-url {index.url} --trusted-host 127.0.0.1"
        with Build(base, f"pip install {options} firstthing; python3 -c 'import firstthing'",
                   host_network=True) as build:
            assert build.facts and build.packages["pip", "firstthing"] == "1.5"
            assert build.result.err == ""
        script = f"python3 -m venv /opt/venv; pip install {options} otherthing; which pip"
        with Build(base, script, host_network=True) as build:
            assert build.result.out == "/opt/venv/bin/pip\n", build.result.err
            assert build.packages["pip", "otherthing"] == "2.5"
            assert build.look("python3 -c 'import otherthing; print(otherthing.ANSWER)'") == "42\n"


def test_a_package_of_debian_is_installed(base):
    script = """
        mkdir -p p/DEBIAN p/usr/bin p/etc
        cat > p/DEBIAN/control <<C
Package: dunlin-test
Version: 1
Architecture: all
Maintainer: x
Description: x
C
        echo 'echo works' > p/usr/bin/dunlin-test; chmod 755 p/usr/bin/dunlin-test
        printf '#!/bin/sh\\nadduser --system --group --quiet dunlintest\\n' > p/DEBIAN/postinst
        chmod 755 p/DEBIAN/postinst; dpkg-deb -b p p.deb; apt-get install -y ./p.deb
    """
    with Build(base, script) as build:
        assert build.facts and build.packages["dpkg", "dunlin-test"] == "1"
        assert build.look("dpkg --audit; getent passwd dunlintest | cut -d: -f1;"
                          "sh /usr/bin/dunlin-test") == "dunlintest\nworks\n"


def test_modules_that_were_only_copied_are_compiled(base):
    script = """
        place=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        mkdir -p $place/other
        echo 'x = 1' | tee $place/other/__init__.py > $place/single.py
    """
    with Build(base, script) as build:
        assert build.result.status == 0, build.result.err
        said = build.look("python3 -v -c 'import other, single' 2>&1 | grep ' matches '")
        assert "/other/__init__.py" in said and "/single.py" in said


def test_a_daemon_that_a_script_leaves_does_not_keep_the_build(base):
    start = time.monotonic()
    with Build(base, "nohup sleep 1000 & setsid sleep 1000 & echo started") as build:
        assert build.facts and build.result.out == "started\n"
    assert time.monotonic() - start < stretched(20)


def test_an_image_without_bash_and_python_will_do(tmp_path):
    root = small_roots.make(tmp_path / "root", programs=("dash", "date", "mkdir", "rm", "chmod"))
    with Build(root, "echo hello; test -z \"$BASH_VERSION\"; false || exit 0") as build:
        assert build.facts == {"python": None}
        assert build.result.out == "hello\n" and build.packages == {}


def test_an_image_with_python_only_is_compiled_ahead(tmp_path):
    root = small_roots.make(tmp_path / "root", python=True)
    with Build(root, "python3 -c 'import json'") as build:
        assert build.facts["python"].startswith("3.")
        assert build.look("python3 -v -c 'import asyncio' 2>&1 | grep -c 'wrote\\|could not create'"
                          ) == "0\n"


def test_lies_about_packages_stay_lies(base):
    script = """
        mkdir -p /opt/venv/bin; cd /opt/venv/bin; printf '#!/bin/sh\\nexit 3\\n' > python3
        chmod 755 python3; cp python3 python
        echo 'garbage' >> /var/lib/dpkg/status
    """
    with Build(base, script) as build:
        assert build.facts == {"python": None}
