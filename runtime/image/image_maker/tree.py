"""The new layer: where the image goes, and what every image must have.

What was unpacked is hostile: no link in it is ever followed from outside of it.
"""

import os
import stat
import subprocess

from . import ImageError

TOP = "/image"
ROOT = TOP + "/root"
SCRATCH = TOP + "/tmp"  # on the layer's own disk, for what does not fit into memory
FULL = "the image does not fit: its disk limit is reached"
MAX_LINKS = 40

# Programs are looked for in these, in this order, wherever an environment's code runs.
PATH = ("opt/venv/bin", "opt/conda/bin", "usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin",
        "sbin", "bin")
_FOLDERS = {"dev": 0o755, "etc": 0o755, "opt": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755,
            "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/local": 0o755, "usr/local/bin": 0o755,
            "var": 0o755, "var/tmp": 0o1777}
# What the sandbox provides, and what would tell of where the image was made.
_EMPTIED = ("dev", "proc", "sys", "tmp", "run", "var/tmp")


def start():
    """Makes the scratch directory, and leaves no ROOT: some programs insist on making it."""
    os.makedirs(SCRATCH, 0o700, exist_ok=True)
    if os.path.lexists(ROOT):
        os.rmdir(ROOT)


def make_root():
    """Makes ROOT, empty."""
    os.mkdir(ROOT, 0o755)


def remove_root():
    """Removes a ROOT that did not become an image."""
    _remove(ROOT)


def complete():
    """Checks that ROOT is a root file system, and gives it the directories that it lacks."""
    _remove(SCRATCH)
    if not os.path.isdir(ROOT) or os.path.islink(ROOT):
        raise ImageError("there is nothing in it")
    if find("bin/sh") is None and find("usr/bin/sh") is None:
        raise ImageError("it has neither bin/sh nor usr/bin/sh: not a root file system")
    os.chmod(ROOT, 0o755)
    os.chown(ROOT, 0, 0)
    for path in _EMPTIED:
        _empty(path)
    for path, mode in _FOLDERS.items():
        place = resolve(path.rpartition("/")[0])
        if place is None or not os.path.isdir(f"{ROOT}/{place}"):
            continue
        place = f"{ROOT}/{place}/{path.rpartition('/')[2]}"
        is_new = not os.path.lexists(place)
        if is_new:
            os.mkdir(place)
        if is_new or mode & stat.S_ISVTX and stat.S_ISDIR(os.lstat(place).st_mode):
            os.chmod(place, mode)


def _empty(path):
    """Removes what is in the directory `path`, unless a link is on the way to it."""
    place = ROOT
    for part in path.split("/"):
        place = f"{place}/{part}"
        if not os.path.lexists(place) or not stat.S_ISDIR(os.lstat(place).st_mode):
            return
    _remove(*(item.path for item in os.scandir(place)))


def _remove(*paths):
    """Deletes files, links and trees, however deep: rm needs no stack for that."""
    for path in paths:
        if subprocess.run(["rm", "-rf", "--one-file-system", "--", path], check=False).returncode:
            raise ImageError("what is in it cannot be cleaned up")


def resolve(path):
    """Where `path` leads for a program whose root is ROOT, relative to it; None when nowhere."""
    here, rest, links = [], path.split("/"), 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            here = here[:-1]
            continue
        place = "/".join([ROOT, *here, part])
        try:
            status = os.lstat(place)
        except OSError:
            return None
        if stat.S_ISLNK(status.st_mode):
            links += 1
            target = os.readlink(place)
            if links > MAX_LINKS:
                return None
            here = [] if target.startswith("/") else here
            rest = target.split("/") + rest
        else:
            here = here + [part]
    return "/".join(here)


def find(path):
    """As resolve(), for a regular file that may be executed."""
    found = resolve(path)
    if found is None:
        return None
    status = os.lstat(f"{ROOT}/{found}")
    return found if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111 else None
