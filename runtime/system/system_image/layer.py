"""Makes a layer: an ext4 image with a Debian system of packages that are installed on this host.

usage: system-image layer --which base|tools --out FILE [--store DIR] [--size-mb N]
                          [--from DIR]

  --which base|tools  the system that environments are built on, or the programs that fill images
  --out FILE          the image, sparse, readable by root alone; an older one is replaced
  --store DIR         whose file `packages` counts too (default: store beside FILE's directory)
  --size-mb N         size of the file system at least (default: what the content needs)
  --from DIR          the root of the Debian system to copy (default /)

The tree is the directory root/ of the image.  Exit status 0, or 1 with the reason on stderr.
"""

import errno
import hashlib
import os

from . import ImageError, debian_root, image, packages
from .host import Host

ATTEMPTS = 3  # when packages are being installed while they are copied
FORMAT = 1    # in every key: raise it when layers made from the same sources would differ
SLACK = 1.03  # extents, bitmaps and group descriptors
SPARE_BYTES = 8 << 20

HERE = os.path.dirname(os.path.abspath(__file__))
LISTS = os.path.dirname(HERE)


def wanted_of(which, store):
    """The package list of the layer `which`; that of the base has what runs have besides.

    In the base every dependency is followed, as apt wants it in a system that it goes on with.
    """
    wanted = packages.read_list(f"{LISTS}/{which}-packages")
    if which == "base":
        for path in (f"{LISTS}/packages", f"{store}/packages"):
            if os.path.exists(path):
                runs = packages.read_list(path)
                wanted = packages.Wanted(wanted.needed + runs.needed,
                                         wanted.optional + runs.optional, [])
    return wanted


def key(host, which, store):
    """A digest that changes whenever the layer `which` would, with the packages file of `store`.

    Where the layer cannot be made for want of a package, the key says so too: it changes when the
    package is there.
    """
    installed = packages.read_installed(host)
    try:
        names = debian_root.names_of(wanted_of(which, store), installed)
    except ImageError as error:
        return hashlib.sha256(str(error).encode()).hexdigest()
    total = hashlib.sha256(f"{FORMAT} {which}".encode())
    for name in names:
        total.update(f"{name} {installed.versions[name]} {installed.native[name]}\n".encode())
    for path, text in sorted(debian_root.private_texts(host).items()):
        total.update(f"{path} {len(text)}\n".encode() + text)
    for name in sorted(os.listdir(HERE)):
        if name.endswith(".py"):
            with open(os.path.join(HERE, name), "rb") as code:
                total.update(code.read())
    return total.hexdigest()


def main(arguments):
    """The command line; raises SystemExit with the reason when the layer cannot be made."""
    options = parse(arguments)
    try:
        if os.geteuid() != 0:
            raise ImageError("only root can make a layer")
        os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        os.umask(0o022)
        os.setegid(0)
        make(Host(options["--from"]), options)
    except ImageError as error:
        reason = str(error)
    except OSError as error:
        reason = str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"no space left for {options['--out']}"
    else:
        return
    raise SystemExit(f"system-image: {reason}")


def parse(arguments):
    """The options as a dict.  Raises SystemExit with the reason on bad ones."""
    options = {"--from": "/", "--size-mb": "0"}
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            print(__doc__)
            raise SystemExit(0)
        if name not in ("--which", "--out", "--store", "--size-mb", "--from"):
            raise SystemExit(f"system-image layer: unknown option {word} (see --help)")
        options[name] = value if equals else next(rest, "")
    if options.get("--which") not in ("base", "tools"):
        raise SystemExit("system-image layer: --which must be base or tools")
    if not options.get("--out"):
        raise SystemExit("system-image layer: --out is missing (see --help)")
    if not options["--size-mb"].isdecimal() or len(options["--size-mb"]) > 8:
        raise SystemExit("system-image layer: --size-mb must be a number")
    out = options["--out"] = os.path.abspath(options["--out"])
    options.setdefault("--store", os.path.join(os.path.dirname(os.path.dirname(out)), "store"))
    return options


def make(host, options):
    """Makes the layer that `options`, the command line as a dict, describes."""
    which, store, out = options["--which"], options["--store"], options["--out"]
    size = int(options["--size-mb"]) << 20
    for _ in range(ATTEMPTS):
        stamp = key(host, which, store)
        installed = packages.read_installed(host)
        names = debian_root.names_of(wanted_of(which, store), installed)
        plan = debian_root.plan(host, names, installed)
        if which == "base":
            debian_root.add_node(host, plan)
        image.write(plan, out, max(size, size_of(plan)))
        if stamp == key(host, which, store):
            return
        os.unlink(out)
    raise ImageError("the installed packages change while they are copied: try again later")


def size_of(plan):
    """How many bytes a file system needs for `plan`, with room to spare."""
    total = 0
    for entry in plan.values():
        size = image.BLOCK
        if entry.kind == "text":
            size = len(entry.value)
        elif entry.kind != "link" and entry.value is not None:
            size = os.stat(entry.value).st_size
        total += -(-size // image.BLOCK) * image.BLOCK + image.INODE
    return int(total * SLACK) + SPARE_BYTES
