"""The Debian tree that is copied: paths as its programs see them, resolved inside its root."""

import os
import stat

MAX_LINKS = 40  # as the kernel's limit: a longer chain is a loop


class Host:
    """A root directory ("/" in production) and canonical names inside it.

    Paths given and returned are relative to that root and start with no slash: "usr/bin/env".
    """

    def __init__(self, root="/"):
        self.root = os.path.join(root, "")
        self._directories = {"": ""}
        self._open_directories = {"": True}

    def real(self, path):
        """The path that this process opens for `path`."""
        return self.root + path

    def lstat(self, path):
        """os.lstat of `path`, or None when it is not there."""
        try:
            return os.lstat(self.root + path)
        except OSError:
            return None

    def readlink(self, path):
        """The target of the symbolic link `path`, or None when it is none."""
        try:
            return os.readlink(self.root + path)
        except OSError:
            return None

    def canonical(self, path):
        """`path` with every directory on the way resolved; its last component is not followed.

        Raises RecursionError when the links of a directory go in circles.
        """
        head, _, tail = path.strip("/").rpartition("/")
        return _join(self._directory(head), tail)

    def follow(self, path):
        """The canonical path at the end of all links of `path`, or None when nothing is there."""
        path = self.canonical(path)
        for _ in range(MAX_LINKS):
            target = self.readlink(path)
            if target is None:
                return path if self.lstat(path) is not None else None
            path = self.canonical(resolve_link(path, target))
        return None

    def is_public(self, path):
        """Whether every user of the host may reach the canonical directory `path`."""
        known = self._open_directories.get(path)
        if known is None:
            status = self.lstat(path)
            known = (status is not None and stat.S_IMODE(status.st_mode) & 0o005 == 0o005
                     and self.is_public(path.rpartition("/")[0]))
            self._open_directories[path] = known
        return known

    def _directory(self, path, depth=0):
        if path in self._directories:
            return self._directories[path]
        if depth > MAX_LINKS:
            raise RecursionError(f"too many links on the way to {path}")
        head, _, tail = path.rpartition("/")
        here = _join(self._directory(head, depth), tail)
        target = self.readlink(here)
        if target is not None:
            here = self._directory(resolve_link(here, target), depth + 1)
        self._directories[path] = here
        return here


def resolve_link(path, target):
    """Where the link `path` -> `target` leads, as text: relative to the root, without ".."."""
    base = "/" if target.startswith("/") else "/" + path.rpartition("/")[0]
    return os.path.normpath(os.path.join(base, target)).strip("/")


def _join(head, tail):
    return f"{head}/{tail}" if head and tail else head or tail
