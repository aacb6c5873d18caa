"""The kernel: a package of Debian's, and a first file system with the modules that Dunlin needs."""
import hashlib
import lzma
import pathlib
import re
import shutil
import tempfile

from debian import Release, Unavailable, made_once, run

DEFAULT = "linux-image-cloud-amd64/bookworm"
GUEST = pathlib.Path(__file__).parent / "guest"
# What Dunlin and the disks of the machine use, as far as a kernel has it as modules.
MODULES = ("virtio_pci virtio_blk virtio_rng overlay loop fuse tun veth bridge br_netfilter nf_tables "
           "nft_chain_nat nft_connlimit nft_ct nft_fib_inet nft_limit nft_log nft_masq nft_nat "
           "nft_reject_inet").split()


def module_name(path):
    """The name modprobe knows a module's file by."""
    return pathlib.Path(path).name.split(".")[0].replace("-", "_")


def with_dependencies(modules, wanted):
    """The files of the wanted modules and of those they need, by the tree's modules.dep."""
    needs = dict(line.split(":", 1) for line in (modules / "modules.dep").read_text().splitlines())
    files = {module_name(path): path for path in needs}
    found = {}

    def add(path):
        if path not in found:
            found[path] = True
            for other in needs[path].split():
                add(other)

    for name in wanted:
        if name in files:
            add(files[name])
    return list(found)


def decompress(modules):
    """Busybox reads plain modules only."""
    for path in modules.rglob("*.ko.xz"):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()


def make_first_root(busybox, modules, target):
    """The compressed archive that the kernel starts from."""
    version = modules.name
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        tree = pathlib.Path(name)
        for folder in ("bin", "dev", "proc", "sys", "root"):
            (tree / folder).mkdir()
        shutil.copy(busybox, tree / "bin/busybox")
        shutil.copy(GUEST / "first-init", tree / "init")
        kept = tree / "lib/modules" / version
        for path in with_dependencies(modules, MODULES):
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(modules / path, kept / path)
        for path in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(modules / path, kept)
        run([busybox, "depmod", "-b", tree, version])
        run(["bsdtar", "-czf", target, "--format", "newc", "--uid", "0", "--gid", "0", "-C", tree,
             "."])


def fetch(package, release, directory):
    """Fills `directory`: linux, first-root.gz, config and version."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        work = pathlib.Path(name)
        apt = Release(release, work / "apt")
        while images := [one for one in apt.depends(package) if one.startswith("linux-image-")]:
            package = images[0]
        version = apt.unpack(package, work / "tree")
        apt.unpack("busybox-static", work / "tree")
        kernels = list((work / "tree/boot").glob("vmlinuz-*"))
        trees = [*(work / "tree").glob("lib/modules/*"), *(work / "tree").glob("usr/lib/modules/*")]
        if not kernels or not trees:
            raise Unavailable(f"{package} holds no kernel")
        modules, = trees
        decompress(modules)
        busybox = next(path for path in (work / "tree").glob("**/bin/busybox"))
        run([busybox, "depmod", "-b", modules.parents[2], modules.name])
        make_first_root(busybox, modules, directory / "first-root.gz")
        shutil.move(kernels[0], directory / "linux")
        shutil.move(next((work / "tree/boot").glob("config-*")), directory / "config")
        (directory / "version").write_text(f"{package} {version}\n")


def get(name):
    """The directory of a kernel named as apt does, PACKAGE/RELEASE; fetched if it is not kept."""
    package, _, release = name.partition("/")
    if not re.fullmatch(r"linux-image-[a-z0-9.+-]+", package) or not release.isalnum():
        raise Unavailable(f"{name} is not linux-image-SOMETHING/RELEASE")
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes() + (GUEST / "first-init").read_bytes())
    return made_once(f"kernel-{package}-{release}-{key.hexdigest()[:8]}",
                     lambda directory: fetch(package, release, directory))
