"""Writes a tree into a file that is a file system."""

import ctypes
import os
import shutil
import subprocess

from . import ImageError, tree

BLOCK = 4096
INODE = 256
_POINT = "/mnt"  # Debian has it everywhere; in a namespace of our own nobody else finds us there
_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 1 << 18


def write(plan, out, size):
    """Makes the file `out`, sparse and of `size` bytes: ext4 with the tree `plan` as root/.

    The file is safe on the disk afterwards, or not there.  The caller loses sight of the host's
    mounts for good: the file system is mounted where only this process sees it, so that whatever
    ends this process leaves nothing mounted.
    """
    if os.path.lexists(out):
        os.unlink(out)
    descriptor = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size)
        # No journal: a layer is complete or thrown away.  No reserve: nobody writes to it later.
        _run("mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-I", str(INODE), "-m", "0",
             "-N", str(len(plan) * 11 // 10 + 1024), "-O", "^has_journal,^resize_inode",
             "-E", "root_owner=0:0,lazy_itable_init=1,nodiscard", out)
        _leave_mounts()
        # noinit_itable: the kernel would fill the sparse tables with zeros.
        _run("mount", "-n", "-o", "loop,nosuid,nodev,noexec,noatime,noinit_itable", out, _POINT)
        try:
            root = _POINT + "/root"
            os.mkdir(root, 0o755)
            tree.write(plan, root)
            tree.make_library_cache(root)
        finally:
            _run("umount", "-n", _POINT)
        os.fsync(descriptor)
    except BaseException:
        os.unlink(out)
        raise
    finally:
        os.close(descriptor)


def _leave_mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(_CLONE_NEWNS) != 0
            or libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None) != 0):
        error = ctypes.get_errno()
        raise OSError(error, "no mount namespace: " + os.strerror(error))


def _run(name, *arguments):
    program = shutil.which(name)
    if program is None:
        raise ImageError(f"{name} is missing (apt-get install e2fsprogs mount)")
    run = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False)
    if run.returncode != 0:
        raise ImageError(f"{name} failed: {run.stderr.strip() or run.returncode}")
