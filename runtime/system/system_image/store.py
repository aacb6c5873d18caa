"""The directory that holds the copies: one maker at a time, whole trees or none, no leftovers."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile

from . import ImageError, tree

_TREE = re.compile(r"(system|runtime)-[0-9a-f]{64}")
_OURS = re.compile(_TREE.pattern + r"(\.manifest)?|tmp-.*", re.DOTALL)
_RECORD = {"system": {"tree", "digest", "bytes", "languages"},
           "runtime": {"tree", "digest", "bytes"}}


class Store:
    """The store in `directory`, made when it is not there; locked for as long as it is open."""

    def __init__(self, directory):
        os.makedirs(directory, 0o755, exist_ok=True)
        status = os.lstat(directory)
        if not stat.S_ISDIR(status.st_mode):
            raise ImageError(f"the store {directory} is not a directory")
        if status.st_uid != 0 or status.st_mode & 0o022:
            raise ImageError(f"others than root may write to the store {directory}")
        if os.statvfs(directory).f_flag & os.ST_NOEXEC:
            raise ImageError(f"the file system of {directory} is mounted noexec, so nothing could "
                             "be started from a copy there")
        self.directory = directory
        self._lock = os.open(os.path.join(directory, "lock"),
                             os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._lock)

    def path(self, name):
        """The path of `name` in the store."""
        return os.path.join(self.directory, name)

    def publish(self, kind, write):
        """Makes a tree with `write(directory)` and files it under the address of its content.

        kind: "system" or "runtime".  Returns its name, whether it is new, and its size in bytes.
        Whatever goes wrong, nothing half made stays.
        """
        work = tempfile.mkdtemp(prefix="tmp-", dir=self.directory)
        try:
            os.chown(work, 0, 0)
            os.chmod(work, 0o755)
            write(work)
            manifest, size = tree.describe(work)
            name = f"{kind}-{hashlib.sha256(manifest).hexdigest()}"
            is_new = not self.holds(name)
            if is_new:
                self.forget(name)
                tree.sync(work)
                self.write_file(name + ".manifest", manifest)
                os.rename(work, self.path(name))
                tree.sync(self.directory)
            return name, is_new, size
        finally:
            if os.path.lexists(work):
                tree.remove(work)

    def holds(self, name):
        """Whether the tree `name` is there, as far as one look can tell."""
        try:
            status = os.lstat(self.path(name))
            return (_TREE.fullmatch(name) is not None and stat.S_ISDIR(status.st_mode)
                    and status.st_uid == 0 and not status.st_mode & 0o022
                    and os.path.isfile(self.path(name + ".manifest")))
        except FileNotFoundError:
            return False

    def verify(self, name):
        """Whether the tree `name` still holds exactly what its name says: reads all of it."""
        if not self.holds(name):
            return False
        try:
            manifest, _ = tree.describe(self.path(name))
        except ImageError:
            return False
        return name.partition("-")[2] == hashlib.sha256(manifest).hexdigest()

    def forget(self, name):
        """Removes the tree `name` and its manifest."""
        for part in (name + ".manifest", name):
            if os.path.lexists(self.path(part)):
                self._remove(part)

    def _remove(self, name):
        """Deletes `name`; a crash on the way leaves no half tree under a whole one's name."""
        if not name.startswith("tmp-"):
            tree.refuse_mounts(self.path(name))
            grave = tempfile.mkdtemp(prefix="tmp-", dir=self.directory)
            os.rename(self.path(name), os.path.join(grave, name))
            name = os.path.basename(grave)
        tree.remove(self.path(name))

    def sweep(self, keep):
        """Deletes every tree but those named in `keep`, and what a crash left behind.

        Returns the names of what had to stay, each with the reason: "" when sandboxes still run
        from it.  Names that are not ours are left alone.
        """
        stayed = {}
        for name in sorted(os.listdir(self.directory)):
            tree_name = name.removesuffix(".manifest")
            if tree_name in keep or not _OURS.fullmatch(name):
                continue
            try:
                if _TREE.fullmatch(tree_name) and tree.is_in_use(tree_name):
                    stayed[name] = ""
                else:
                    self._remove(name)
            except (ImageError, OSError) as error:
                stayed[name] = str(error)
        return stayed

    def write_file(self, name, content):
        """Replaces the file `name` by one with `content`, whole or not at all."""
        descriptor, work = tempfile.mkstemp(prefix="tmp-", dir=self.directory)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        os.rename(work, self.path(name))

    def read_current(self):
        """What current.json records of each tree, by kind; a kind it does not tell of is absent."""
        try:
            descriptor = os.open(self.path("current.json"), os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, encoding="utf-8") as file:
                current = json.load(file)
            return {kind: current[kind] for kind, fields in _RECORD.items()
                    if fields <= current[kind].keys() and _TREE.fullmatch(current[kind]["tree"])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def free_bytes(self):
        """How much the store's file system can still take."""
        return shutil.disk_usage(self.directory).free
