"""Writes a tree of files, describes what a tree holds, and removes one.

Never follows a symbolic link below the directory it works on.
"""

import ctypes
import fcntl
import hashlib
import os
import py_compile
import shutil
import stat
import subprocess
import warnings

from . import ImageError
from .contents import folders_of

FICLONE = 0x40049409  # ioctl_ficlone(2): shares blocks, never the inode or its page cache
CHUNK_BYTES = 1 << 20
_FROZEN = py_compile.PycInvalidationMode.UNCHECKED_HASH
_STAMPED = py_compile.PycInvalidationMode.TIMESTAMP


def write(plan, directory):
    """Writes every entry of `plan` below the new, empty `directory`, owned by the caller."""
    for folder in sorted(folders_of(plan)):
        os.mkdir(os.path.join(directory, folder), 0o755)
    for path, entry in plan.items():
        _write_entry(path, entry, os.path.join(directory, path))
    for path, entry in plan.items():
        if entry.kind == "folder" and entry.mode != 0o755:
            os.chmod(os.path.join(directory, path), entry.mode)


def _write_entry(path, entry, place):
    if entry.kind == "folder":
        return
    if entry.kind == "link":
        os.symlink(entry.value, place)
    elif entry.kind == "text":
        with open(place, "xb") as content:
            content.write(entry.value)
        os.chmod(place, entry.mode)
        os.utime(place, (0, 0))
    elif entry.kind == "file":
        copy_file(entry.value, place, entry.mode)
    else:
        _compile(path, entry, place)


def copy_file(source, place, mode):
    """Copies content and times of `source` to `place`, which becomes an inode of its own."""
    with open(source, "rb") as old, open(place, "xb") as new:
        try:
            fcntl.ioctl(new, FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, CHUNK_BYTES)
        status = os.fstat(old.fileno())
        os.fchmod(new.fileno(), mode)
    # Python checks the compiled form against the time of its source.
    os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _compile(path, entry, place):
    mode = _FROZEN if entry.kind == "frozen" else _STAMPED
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they concern the packages' authors
            py_compile.compile(entry.value, place, dfile="/" + path, doraise=True, optimize=0,
                               invalidation_mode=mode)
    except py_compile.PyCompileError as error:
        if entry.kind == "frozen":
            raise ImageError(str(error)) from None
        return  # some packages carry files for other versions of Python
    os.chmod(place, entry.mode)


def make_library_cache(directory):
    """Writes etc/ld.so.cache for the libraries in `directory`."""
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if ldconfig is None:
        raise ImageError("ldconfig is missing")
    # -X: the links of the libraries are the packages' own; -i: no cache of inodes beside it.
    run = subprocess.run([ldconfig, "-X", "-i", "-r", directory], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False)
    cache = os.path.join(directory, "etc/ld.so.cache")
    if run.returncode != 0 or not os.path.isfile(cache):
        raise ImageError("ldconfig failed: " + run.stderr.strip())
    os.chmod(cache, 0o644)


def describe(directory):
    """The manifest of the tree `directory` as bytes, and the sum of its file sizes.

    One line for each path, sorted: type, mode, size, SHA-256 of the content or target, path.
    Raises ImageError on anything that a sandbox must not see: another owner, a set-user-id bit,
    a file that others may write, a device, a socket, a pipe.
    """
    lines, total = [], 0
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(directory, folder)) as items:
            for item in items:
                path = f"{folder}/{item.name}".lstrip("/")
                status = item.stat(follow_symlinks=False)
                _check(path, status)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                    size, value = 0, "-"
                elif stat.S_ISLNK(status.st_mode):
                    size, value = 0, _text(os.readlink(item.path))
                else:
                    size, value = status.st_size, _sha256(item.path)
                total += size
                kind = stat.filemode(status.st_mode)[0]
                mode = stat.S_IMODE(status.st_mode)
                lines.append((path, f"{kind} {mode:04o} {size} {value} {_text(path)}\n"))
    return "".join(line for _, line in sorted(lines)).encode(), total


def _check(path, status):
    kind = stat.S_IFMT(status.st_mode)
    wrong = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH
    if kind not in (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG):
        raise ImageError(f"{path} is neither a file, a directory nor a link")
    if (status.st_uid, status.st_gid) != (0, 0):
        raise ImageError(f"{path} does not belong to root")
    if kind != stat.S_IFLNK and status.st_mode & wrong:
        raise ImageError(f"{path} has the mode {stat.S_IMODE(status.st_mode):04o}")


def _text(name):
    """`name` as one word of ASCII, so that a line of the manifest can be read in one way only."""
    plain = name.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\")
    plain = plain.decode("ascii", "backslashreplace")
    return plain.replace(" ", "\\x20").replace("\n", "\\n") or "-"


def _sha256(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sync(directory):
    """Returns when everything written below `directory` has reached the disk (syncfs(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", directory)
    finally:
        os.close(descriptor)


def remove(path):
    """Deletes the file, link or tree `path`; links in it are deleted, never followed.

    Raises ImageError when something is mounted in it.
    """
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    refuse_mounts(path)
    shutil.rmtree(path)  # works on descriptors, so that no link can be slipped in


def is_in_use(name):
    """Whether a process on this machine has something mounted out of the tree called `name`.

    Another `dunlin` on the same store may still run sandboxes from it.
    """
    seen = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            namespace = os.readlink(f"/proc/{process}/ns/mnt")
            if namespace in seen:
                continue
            with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="replace") as mounts:
                roots = [line.split(" ")[3] for line in mounts]
        except OSError:
            continue  # it has ended meanwhile
        seen.add(namespace)
        if any(name in root.split("/") for root in roots):
            return True
    return False


def refuse_mounts(path):
    """Raises ImageError when something is mounted in `path`: what is deleted there is not ours."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        points = [line.split(" ")[4].replace("\\040", " ") for line in mounts]
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if any((point + "/").startswith(real + "/") for point in points):
        raise ImageError(f"something is mounted in {path}: not deleting it")
