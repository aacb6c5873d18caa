"""What fills images (runtime/image/make), in real TOOL sandboxes on a real tools layer."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import archives
import nest as nests
import registry
import small_roots
from system_image_tools import SCRIPT

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(240)]
MAKE = "/opt/dunlin/image/make"


@pytest.fixture(scope="module")
def tools():
    """The mounted tree of this machine's tools layer."""
    work = tempfile.mkdtemp(prefix="dunlin-test-tools-")
    subprocess.run([SCRIPT, "layer", "--which", "tools", "--out", work + "/1.img"], check=True)
    os.mkdir(work + "/mnt")
    subprocess.run(["mount", "-o", "loop,ro", work + "/1.img", work + "/mnt"], check=True)
    yield work + "/mnt/root"
    subprocess.run(["umount", work + "/mnt"], check=True)
    shutil.rmtree(work)


@pytest.fixture(scope="module")
def small_root(tmp_path_factory):
    return small_roots.make(tmp_path_factory.mktemp("small") / "root")


@pytest.fixture(scope="module")
def shop():
    """A registry with one image."""
    with registry.Registry() as one:
        one.digest = registry.small_image(one)
        yield one


class Made:
    """One image: what came of making it, and a look at it."""

    def __init__(self, tools, *arguments, source=None, files=None, env=None, host_network=False,
                 disk_mb=0):
        lying = {"/input": source.read_bytes()} if source else {}
        if host_network:
            lying["/etc/resolv.conf"] = pathlib.Path("/etc/resolv.conf").read_text()
        self.nest = nests.Nest(tools, nests.TOOL, files=lying, host_network=host_network,
                               disk_mb=disk_mb)
        try:
            self.result = self.nest.open().run([MAKE, *arguments], files=files, env=env,
                                               timeout=200)
        except BaseException:
            self.nest.close()
            raise
        self.reason = (self.result.err.splitlines() or [""])[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.nest.close()

    @property
    def facts(self):
        assert self.result.status == 0, self.result.err
        return json.loads(self.result.files["facts.json"])

    def look(self, script):
        """What a shell script says that starts in /image."""
        return self.nest.open().run(["bash", "-c", "cd /image && " + script]).out


def pull(tools, shop, reference, **options):
    env = {"DUNLIN_INSECURE": shop.address, **options.pop("env", {})}
    return Made(tools, "pull", reference, env=env, host_network=True, **options)


def test_an_image_is_pulled_and_its_digest_told(tools, shop):
    with pull(tools, shop, f"{shop.address}/library/small:1") as made:
        assert made.facts == {"digest": shop.digest, "python": None, "packages": [],
                              "source": f"{shop.address}/library/small:1"}
        assert "Pulling" in made.result.out
        assert made.look("ls; stat -c '%u:%g %a' root root/tmp root/etc/passwd; ls -A root/dev") \
            == "root\n0:0 755\n0:0 1777\n0:0 644\n"


def test_a_digest_pins_an_image(tools, shop):
    with pull(tools, shop, f"{shop.address}/library/small:gone@{shop.digest}") as made:
        assert made.facts["digest"] == shop.digest
    other = "sha256:" + "0" * 64
    with pull(tools, shop, f"{shop.address}/library/small@{other}") as made:
        assert made.result.status == 1 and "does not have it" in made.reason


def test_a_mirror_is_asked_first(tools, shop):
    with pull(tools, shop, "small:1", env={"DUNLIN_MIRROR": shop.address}) as made:
        assert made.facts["source"] == f"{shop.address}/library/small:1"
    with pull(tools, shop, "nothing:1", env={"DUNLIN_MIRROR": shop.address}) as made:
        assert made.result.status == 1
        assert f"nothing:1: the registry {shop.address} does not have it; the" in made.reason


def test_credentials_are_used_and_their_lack_is_told(tools):
    with registry.Registry(account=("me", "secret")) as shop:
        registry.small_image(shop, programs=("dash",))
        name = f"{shop.address}/library/small:1"
        with pull(tools, shop, name) as made:
            assert made.result.status == 1 and "not without (other) credentials" in made.reason
        with pull(tools, shop, name, files={"auth.json": shop.auth_json()}) as made:
            assert made.facts["source"] == name
            assert "secret" not in made.result.out + made.result.err


def test_what_is_wrong_with_a_registry_is_told(tools, shop):
    name = f"{shop.address}/library/small:1"
    with pull(tools, shop, name, env={"DUNLIN_INSECURE": ""}) as made:
        assert f"the registry {shop.address} offers no TLS connection" in made.reason
    with pull(tools, shop, "127.0.0.1:1/library/small:1") as made:
        assert "the registry 127.0.0.1:1 cannot be reached" in made.reason
    with pull(tools, shop, "no-such-host.invalid/small") as made:
        assert "the registry no-such-host.invalid cannot be reached" in made.reason


def test_an_image_for_another_machine_is_refused(tools, shop, small_root):
    shop.push("library/foreign:1", small_root, architecture="s390x")
    with pull(tools, shop, f"{shop.address}/library/foreign:1") as made:
        assert made.result.status == 1 and "it is made for 'linux/s390x'" in made.reason


def test_a_path_that_environments_do_not_have_is_noted(tools, shop, small_root):
    shop.push("library/paths:1", small_root, env=["PATH=/weird/bin:/usr/bin"])
    with pull(tools, shop, f"{shop.address}/library/paths:1") as made:
        assert "do not look for, in /weird/bin" in made.result.out


@pytest.mark.parametrize("text", ["", "-x", "--help", "UPPER", "a b", "a\nb", "x:", "x@sha256:1",
                                  "oci:/etc", "a//b", "/a", "a/../b", "x" * 300, "h:1/-x"])
def test_a_bad_reference_is_refused(tools, text):
    with Made(tools, "pull", text) as made:
        assert made.result.status == 1
        assert "is not an image reference" in made.reason or "longer than" in made.reason


@pytest.mark.parametrize("kind", ["plain", *archives.COMPRESSORS])
def test_a_root_archive_is_imported(tools, small_root, tmp_path, kind):
    source = archives.root_tar(small_root, tmp_path / "a.tar")
    if kind != "plain":
        source = archives.compress(source, kind)
    with Made(tools, "import", source=source) as made:
        assert made.facts["source"] == "a root file system"
        assert made.facts["digest"].startswith("sha256:")
        assert made.look("ls root/usr/bin | wc -l") == f"{len(os.listdir(small_root / 'bin'))}\n"


@pytest.mark.parametrize("write, what", [(archives.oci_tar, "an OCI layout"),
                                         (archives.docker_tar, "a docker archive")])
def test_an_image_archive_is_imported(tools, small_root, tmp_path, write, what):
    source = write(small_root, tmp_path / "a.tar")
    for path in (source, archives.compress(source, "gz")):
        with Made(tools, "import", source=path) as made:
            assert made.facts["source"] == what
            assert made.look("root/bin/true && ls root/bin/dash") == "root/bin/dash\n"


def test_python_and_packages_of_an_image_are_found(tools, tmp_path):
    root = small_roots.make(tmp_path / "root", programs=("dash",), files={
        "/usr/local/bin/python3.9": "#!/bin/sh\n",
        "/usr/local/lib/python3.9/site-packages/thing-2.0.dist-info/METADATA":
            "Metadata-Version: 2.1\nName: Thing\nVersion: 2.0\n\nText\n",
        "/var/lib/dpkg/status":
            "Package: one\nStatus: install ok installed\nVersion: 1:2-3\n\n"
            "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
        "/usr/local/include/python3.9/patchlevel.h": '#define PY_VERSION "3.9.18"\n',
        "/usr/lib/node_modules/left/package.json": '{"name": "left", "version": "0.1"}',
    })
    (root / "usr/local/bin/python3").symlink_to("python3.9")
    with Made(tools, "import", source=archives.root_tar(root, tmp_path / "a.tar")) as made:
        assert made.facts["python"] == "3.9.18"
        assert made.facts["packages"] == [
            {"name": "one", "version": "1:2-3", "manager": "dpkg"},
            {"name": "Thing", "version": "2.0", "manager": "pip"},
            {"name": "left", "version": "0.1", "manager": "npm"}]


HOSTILE = ["absolute", "dots", "link to the outside", "relative link", "link to a link",
           "hard link", "device", "root is a link", "links for directories"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_writes_and_reads_nothing_outside(tools, tmp_path, name):
    source = archives.hostile(tmp_path)[name]
    with Made(tools, "import", source=source, files={"auth.json": "secret"}) as made:
        assert set(made.result.files) <= {"facts.json"}
        assert "secret" not in made.look("grep -r secret . /tmp; find / -xdev -name 'escaped*' "
                                         "-not -path '/proc/*'")
        assert set(made.look("ls").split()) <= {"root", "tmp"}
        assert made.look("find . -type c -o -type b") == ""


@pytest.mark.parametrize("content, reason", [
    (b"", "the archive is empty"),
    (bytes(10240), "the archive is empty"),
    (b"PK\3\4" + bytes(600), "it is neither a tar archive nor a compressed one"),
    (b"#mtree\n/set type=file\nx contents=/etc/passwd\n" * 40, "neither a tar archive"),
    (b"\x1f\x8b" + b"x" * 600, "the archive is damaged"),
    (b"\x28\xb5\x2f\xfd" + b"x" * 600, "the archive is damaged"),
])
def test_what_is_no_archive_is_refused(tools, tmp_path, content, reason):
    (tmp_path / "x").write_bytes(content)
    with Made(tools, "import", source=tmp_path / "x") as made:
        assert made.result.status == 1 and reason in made.reason


def test_a_damaged_archive_is_refused(tools, small_root, tmp_path):
    whole = archives.root_tar(small_root, tmp_path / "a.tar")
    for path in (whole, archives.compress(whole, "gz"), archives.compress(whole, "xz")):
        data = path.read_bytes()
        (tmp_path / "cut").write_bytes(data[:len(data) // 2])
        with Made(tools, "import", source=tmp_path / "cut") as made:
            assert made.result.status == 1 and made.reason == "the archive is damaged"


@pytest.mark.parametrize("members, reason", [
    ([("etc/passwd", b"x")], "neither bin/sh nor usr/bin/sh"),
    ([("bin/sh", ("link", "/nowhere"))], "neither bin/sh nor usr/bin/sh"),
    ([("bin/sh", ("link", "sh"))], "neither bin/sh nor usr/bin/sh"),
    ([("oci-layout", b"{}"), ("index.json", b"[]")], "its index.json is none of an OCI layout"),
    ([("oci-layout", b"{}"), ("index.json", b'{"manifests": [{"digest": "../../x"}]}')],
     "it looks like an OCI layout, but is damaged"),
    ([("manifest.json", b"[]")], "it looks like an archive as docker save writes it"),
])
def test_an_archive_of_something_else_is_refused(tools, tmp_path, members, reason):
    source = archives.tar_of(tmp_path / "a.tar", *members)
    with Made(tools, "import", source=source) as made:
        assert made.result.status == 1 and reason in made.reason


FULL = "the image does not fit: its disk limit is reached"


def test_a_bomb_fills_its_own_disk_only(tools, tmp_path):
    with Made(tools, "import", source=archives.bomb(tmp_path / "a.tgz", 100), disk_mb=32) as made:
        assert made.result.status == 1 and made.reason == FULL


def test_an_image_that_is_too_large_is_told(tools, shop, small_root, tmp_path):
    with pull(tools, shop, f"{shop.address}/library/small:1", disk_mb=4) as made:
        assert made.result.status == 1 and made.reason == FULL
    for write in (archives.oci_tar, archives.docker_tar):
        source = write(small_root, tmp_path / write.__name__)
        with Made(tools, "import", source=source, disk_mb=4) as made:
            assert made.result.status == 1 and made.reason == FULL
        with Made(tools, "import", source=archives.compress(source, "gz"), disk_mb=4) as made:
            assert made.result.status == 1 and made.reason == FULL


def test_a_deep_tree_is_unpacked_and_emptied(tools, tmp_path):
    with Made(tools, "import", source=archives.deep(tmp_path / "a.tar", 3000)) as made:
        assert made.facts and made.look("ls -A root/tmp") == ""


def test_a_suite_must_have_a_name(tools):
    for text in ("", "-x", "a/b", "x" * 40, "Trixie", "a b"):
        with Made(tools, "debootstrap", text) as made:
            assert made.result.status == 1 and "is not the name of a Debian suite" in made.reason


def test_a_mirror_that_cannot_be_reached_is_named(tools):
    mirror = "http://127.0.0.1:1/debian"
    with Made(tools, "debootstrap", "trixie", env={"DUNLIN_DEBIAN_MIRROR": mirror},
              host_network=True) as made:
        assert made.result.status == 1 and made.reason == mirror + " cannot be reached"


def test_a_wrong_call_is_explained(tools):
    with Made(tools, "other") as made:
        assert made.result.status == 1 and "usage: make pull REFERENCE" in made.result.err
