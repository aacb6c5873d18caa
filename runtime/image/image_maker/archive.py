"""Unpacks an archive that somebody has uploaded: as hostile as anything."""

import hashlib
import json
import os
import re
import subprocess

from . import ImageError, layout, tree
from .program import run, say

INPUT = "/input"
MAX_ENTRIES = 2_000_000
SAID_LINES = 20
_CHUNK = 1 << 20
_HEADER = 512  # of each entry of a tar archive
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"),
               (b"\x28\xb5\x2f\xfd", "zstd"))

_DAMAGED = "the archive is damaged"
_NO_ARCHIVE = "it is neither a tar archive nor a compressed one"
_COMPLAINTS = (
    (r"No space left on device|Disk quota exceeded", None),
    (r"Unrecognized archive format", _NO_ARCHIVE),
    (r"[Tt]runcated|decompress|[Ll]zma|[Dd]amaged|checksum|[Zz]std|invalid|bzip", _DAMAGED),
)


def unpack():
    """Fills the root from INPUT; returns {"digest", "source"}."""
    decompressor = _check_format()
    names = _top_names()
    if {"oci-layout", "index.json"} <= names:
        return _unpack_layout(names, decompressor)
    if "manifest.json" in names:
        return _unpack_saved(decompressor)
    tree.make_root()
    # --chroot: whatever links the archive has, they lead nowhere else.
    _bsdtar(["-x", "-p", "--numeric-owner", "--chroot", "-C", tree.ROOT, "-f", INPUT])
    return {"digest": "sha256:" + _sha256(INPUT), "source": "a root file system"}


def _check_format():
    """Lets tar pass, plain or compressed, and nothing else of what libarchive could read.

    Returns the program that decompresses it, or None.
    """
    used = None
    with open(INPUT, "rb") as file:
        head = file.read(_HEADER)
    if not head:
        raise ImageError("the archive is empty")
    for magic, program in _COMPRESSED:
        if head.startswith(magic):
            used, head = program, _first_bytes([program, "-dc", INPUT])
            if len(head) < _HEADER:
                raise ImageError(_DAMAGED)
            break
    if len(head) < _HEADER:
        raise ImageError(_NO_ARCHIVE)
    if not any(head):
        raise ImageError("the archive is empty")
    # The checksum of a header counts its own field as blanks (ustar, POSIX.1-1988).
    total = sum(head) - sum(head[148:156]) + 8 * 32
    if not re.match(rb"\s*0*%o[\0 ]" % total, head[148:156] + b" "):
        raise ImageError(_NO_ARCHIVE)
    return used


def _first_bytes(command):
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        head = process.stdout.read(_HEADER)
        process.kill()
    return head


def _top_names():
    """The names at the top of the archive: enough to know what it is."""
    names, count = set(), 0
    with subprocess.Popen(["bsdtar", "-t", "-f", INPUT], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in iter(lambda: process.stdout.readline(1 << 16), b""):
            name = re.sub(rb"^(\./|/)+", b"", line.rstrip(b"\n"))
            count += 1
            if count > MAX_ENTRIES:
                process.kill()
                raise ImageError(f"the archive has more than {MAX_ENTRIES} entries")
            if b"/" not in name:
                names.add(name.decode("utf-8", "replace"))
        said = process.stderr.read(1 << 16).decode("utf-8", "replace").splitlines()
    if process.returncode != 0:
        _judge(said)
    if count == 0:
        raise ImageError("the archive is empty")
    return names


def _unpack_layout(names, decompressor):
    folder = tree.SCRATCH + "/in"
    os.mkdir(folder)
    _bsdtar(["-x", "--no-same-owner", "--no-same-permissions", "--chroot", "-C", folder, "-f",
             INPUT])
    try:
        _skopeo(f"oci:{folder}{_first_name(folder)}", "an OCI layout")
    except ImageError:
        if "manifest.json" not in names:
            raise
        return _unpack_saved(decompressor)
    layout.unpack()
    return {"digest": layout.digest(), "source": "an OCI layout"}


def _first_name(folder):
    """":name" of the first image in the layout; a layout of one need not name it."""
    try:
        with open(folder + "/index.json", "rb") as file:
            manifests = json.loads(file.read(1 << 22))["manifests"]
        names = [one.get("annotations", {}).get("org.opencontainers.image.ref.name")
                 for one in manifests]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ImageError("its index.json is none of an OCI layout") from None
    if len(names) < 2:
        return ""
    say(f"The archive holds {len(names)} images; this is the first")
    if not isinstance(names[0], str) or not re.fullmatch(r"[\w./:@+-]{1,255}", names[0]):
        raise ImageError("the archive holds more than one image, and the first has no name")
    return ":" + names[0]


def _unpack_saved(decompressor):
    path = INPUT
    if decompressor is not None:  # not every skopeo reads them all
        path = tree.SCRATCH + "/saved.tar"
        with open(path, "wb") as out:
            done = subprocess.run([decompressor, "-dc", INPUT], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            _judge(done.stderr.decode("utf-8", "replace").splitlines())
            raise ImageError(_DAMAGED)
    _skopeo(f"docker-archive:{path}:@0", "an archive as docker save writes it")
    layout.unpack()
    return {"digest": layout.digest(), "source": "a docker archive"}


def _skopeo(source, what):
    status, said = run([*layout.SKOPEO, "copy", source, layout.TARGET])
    if status == 0:
        return
    said = said[-1] if said else "skopeo failed"
    if "no space left on device" in said:
        raise OSError(28, said)
    if re.search("no image (found|satisfies)", said):
        raise ImageError("it has no image for this machine")
    message = re.search(r'msg="(.*)"$', said)
    raise ImageError(f"it looks like {what}, but is damaged: {message[1] if message else said}")


def _bsdtar(arguments):
    """Unpacks; entries that cannot be made here, such as devices, are named in the log."""
    with subprocess.Popen(["bsdtar", *arguments], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        skipped, said = 0, []
        for line in iter(lambda: process.stderr.readline(4096), b""):
            text = line.decode("utf-8", "backslashreplace").rstrip()
            said = (said + [text])[-SAID_LINES:]
            if any(re.search(pattern, text) for pattern, _ in _COMPLAINTS):
                process.kill()
                break
            skipped += 1
            if skipped <= SAID_LINES:
                say("Skipped: " + text.removeprefix("bsdtar: "))
    if skipped > SAID_LINES:
        say(f"Skipped: {skipped - SAID_LINES} more entries")
    _judge(said[-1:])


def _judge(said):
    """Raises what the complaints of bsdtar mean; those of single entries mean nothing."""
    for text in said:
        for pattern, meaning in _COMPLAINTS:
            if re.search(pattern, text):
                if meaning is None:
                    raise OSError(28, text)
                raise ImageError(meaning)


def _sha256(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            total.update(chunk)
    return total.hexdigest()
