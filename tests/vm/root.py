"""The root file system: Debian's own packages of this machine's release in an ext4 image, with
systemd, Python, pytest and the private copy of the system's files that Dunlin would make at its
first start.  Dunlin itself comes on a disk of its own."""
import hashlib
import os
import pathlib
import re
import tempfile

import machine
from debian import REPOSITORY, Unavailable, codename, made_once, run, sources

IMAGE_MB = 2048
PACKAGES = """bash dbus e2fsprogs iproute2 kmod mount nftables procps python3
    python3-pytest python3-requests python3-websockets python3-yaml systemd systemd-sysv
    util-linux""".split()
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
FOLDERS = ("repo", "results", "vm")
LIBRARIES = "cmocka curl gnutls jansson seccomp sqlite3 uv wslay".split()
STORE = "/var/lib/dunlin-vm/store"  # of the private copy of its system files, in the image
MAKE_SECONDS = 1200
PREPARE_SECONDS = 900


def libraries():
    """The packages of the libraries that our programs are linked with, found by the names that
    compilers know them by."""
    folder = pathlib.Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
    files = [(folder / f"lib{name}.so").resolve() for name in LIBRARIES]
    absent = [str(path) for path in files if not path.exists()]
    if absent:
        raise Unavailable(f"{' '.join(absent)} not installed (tools/deps test)")
    owners = run(["dpkg-query", "-S", *files])
    return sorted(set(re.findall(r"^([a-z0-9.+-]+)(?::\w+)?: /", owners, re.M)))


def make(packages, release, image):
    """Makes the image."""
    with tempfile.TemporaryDirectory(dir=image.parent) as work:
        tree = pathlib.Path(work) / "tree"
        command = ["mmdebstrap", "--mode=root", "--variant=essential", "--format=directory",
                   f"--include={','.join(packages)}", '--aptopt=Apt::Install-Recommends "false"',
                   *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
                   release, tree, *sources(release)]
        run(command, seconds=MAKE_SECONDS)
        (tree / "etc/hostname").write_text("dunlin-vm\n")
        (tree / "etc/fstab").write_text("")
        for folder in FOLDERS:
            (tree / folder).mkdir()
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", tree, image,
             f"{IMAGE_MB}M"])


def prepare(kernel_files, bare, directory):
    """Starts a machine with a copy of the image `bare` that keeps what it writes: its private copy
    of the system's files."""
    image = directory / "root.img"
    run(["cp", "--sparse=always", bare, image])
    with tempfile.TemporaryDirectory() as out:
        if not machine.boot(kernel_files, image, pathlib.Path(out), "prepare", PREPARE_SECONDS):
            raise Unavailable(f"the machine did not prepare its root in {PREPARE_SECONDS} s")
        if not (pathlib.Path(out) / "answer").exists():
            raise Unavailable("the machine could not copy its system files, see above")


def digest(*inputs):
    """A short name for what is made from these."""
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]


def get(kernel_files):
    """The path of the image; made, in two steps, if it is not kept."""
    release, packages = codename(), PACKAGES + libraries()
    key = digest(release, packages, LEFT_OUT, FOLDERS, IMAGE_MB)
    bare = made_once(f"root-{release}-{key}",
                     lambda directory: make(packages, release, directory / "root.img"))
    copier = sorted((REPOSITORY / "runtime/system").rglob("*"))
    key = digest(key, [path.read_bytes() for path in copier if path.is_file()
                       and path.suffix != ".pyc"])
    return made_once(f"ready-{release}-{key}", lambda directory: prepare(
        kernel_files, bare / "root.img", directory)) / "root.img"
