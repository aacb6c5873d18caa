"""Archives for `dunlin image import`: good ones, and those that somebody might try."""
import io
import pathlib
import subprocess
import tarfile

import registry

COMPRESSORS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}


def compress(path, kind):
    """Compresses a file beside it: the new path."""
    out = pathlib.Path(f"{path}.{kind}")
    with open(path, "rb") as source, open(out, "wb") as target:
        subprocess.run([COMPRESSORS[kind], "-1", "-c"], stdin=source, stdout=target, check=True)
    return out


def root_tar(root, out):
    """The tree `root` as a plain tar archive."""
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-cf", out, "."], check=True)
    return pathlib.Path(out)


def oci_tar(root, out):
    """The tree as an OCI layout in a tar archive."""
    work = f"{out}.work"
    pathlib.Path(work).mkdir()
    layout = registry.make_layout(work, root)
    subprocess.run(["tar", "-C", layout, "-cf", out, "."], check=True)
    return pathlib.Path(out)


def docker_tar(root, out):
    """The tree as `docker save` writes it."""
    work = f"{out}.work"
    pathlib.Path(work).mkdir()
    layout = registry.make_layout(work, root)
    registry.quietly(["skopeo", "--insecure-policy", "copy", f"oci:{layout}:image",
                      f"docker-archive:{out}:small:1"])
    return pathlib.Path(out)


def tar_of(out, *members):
    """An archive of exactly these members: (name, what), in order.

    what: bytes for a file, ("link", target), ("hard", target), ("device", major, minor), ("fifo",),
    or "dir".
    """
    with tarfile.open(out, "w") as archive:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            content = None
            if isinstance(what, bytes):
                info.size, content = len(what), io.BytesIO(what)
            elif what == "dir":
                info.type = tarfile.DIRTYPE
            elif what[0] in ("link", "hard"):
                info.type = tarfile.SYMTYPE if what[0] == "link" else tarfile.LNKTYPE
                info.linkname = what[1]
            elif what[0] == "device":
                info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, what[1], what[2]
            else:
                info.type = tarfile.FIFOTYPE
            archive.addfile(info, content)
    return pathlib.Path(out)


SHELL = ("bin/sh", b"#!/bin/sh\n")


def hostile(folder):
    """{name: path} of archives that try to get out, with a shell so that they could pass."""
    made = {
        "absolute": (("/escaped", b"x"), SHELL),
        "dots": (("../escaped", b"x"), ("a/../../../escaped", b"x"), SHELL),
        "link to the outside": (("out", ("link", "/sandbox")), ("out/escaped", b"x"), SHELL),
        "relative link": (("out", ("link", "../../sandbox")), ("out/escaped", b"x"), SHELL),
        "link to a link": (("a", ("link", "b")), ("b", ("link", "/sandbox")),
                           ("a/escaped", b"x"), SHELL),
        "hard link": (("etc", "dir"), ("etc/stolen", ("hard", "/sandbox/auth.json")),
                      ("etc/stolen2", ("hard", "../../sandbox/auth.json")), SHELL),
        "device": (("dev", "dir"), ("dev/mem", ("device", 1, 1)), ("fifo", ("fifo",)), SHELL),
        "root is a link": ((".", ("link", "/sandbox")), ("escaped", b"x"), SHELL),
        "links for directories": (("tmp", ("link", "/sandbox")), ("dev", ("link", "/sandbox")),
                                  ("etc", ("link", "/etc")), SHELL),
    }
    return {name: tar_of(pathlib.Path(folder) / f"{number}.tar", *members)
            for number, (name, members) in enumerate(made.items())}


def deep(out, levels):
    """An archive of a directory so deep that no path reaches its end."""
    name = "tmp" + "/a" * levels
    return tar_of(out, *((name[:end], "dir") for end in range(3, len(name) + 1, 2)), SHELL)


def bomb(out, megabytes):
    """A small archive of a file that is large when unpacked."""
    plain = f"{out}.plain"
    tar_of(plain, ("zeros", bytes(megabytes << 20)), SHELL)
    subprocess.run(f"gzip -1 -c {plain} > {out}", shell=True, check=True)
    pathlib.Path(plain).unlink()
    return pathlib.Path(out)
