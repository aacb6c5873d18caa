"""The root file system: Debian's own packages of this machine's release in an ext4 image, with
systemd, Python and pytest, and without anything of Dunlin's, which comes on a disk of its own."""
import hashlib
import pathlib
import re
import subprocess
import tempfile

from debian import REPOSITORY, Unavailable, codename, made_once, run, sources

IMAGE_MB = 2048
PACKAGES = """bash dbus e2fsprogs iproute2 kmod libcmocka0 mount nftables procps python3
    python3-pytest python3-requests python3-websockets python3-yaml systemd systemd-sysv
    util-linux""".split()
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
FOLDERS = ("repo", "results", "vm")
MAKE_SECONDS = 1200


def libraries():
    """The packages of the libraries that our programs are linked with."""
    dist = REPOSITORY / "build/dist"
    programs = [dist / "bin/dunlin", *(dist / "libexec/dunlin").iterdir()]
    text = "".join(subprocess.run(["ldd", one], text=True, capture_output=True, check=False).stdout
                   for one in programs)
    paths = set(re.findall(r"=> (/\S+)", text))
    # A package may know its file by either of its two names (merged /usr).
    ways = paths | {path.removeprefix("/usr") for path in paths} | {f"/usr{path}" for path in paths}
    owners = subprocess.run(["dpkg", "-S", *ways], text=True, capture_output=True, check=False).stdout
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


def get():
    """The path of the image; made if it is not kept."""
    release, packages = codename(), PACKAGES + libraries()
    if not (REPOSITORY / "build/dist/bin/dunlin").exists():
        raise Unavailable("nothing is built: tools/dev build")
    inputs = repr((release, packages, LEFT_OUT, FOLDERS, IMAGE_MB))
    key = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    return made_once(f"root-{release}-{key}",
                     lambda directory: make(packages, release, directory / "root.img")) / "root.img"
