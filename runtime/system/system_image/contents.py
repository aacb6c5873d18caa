"""Decides what the copy contains: every path, and where its content comes from.

Reads names and attributes only; tree.py reads the contents.
"""

import glob
import hashlib
import importlib.util
import os
import re
import stat
import struct
import subprocess
import sys
from collections import namedtuple

from . import ImageError, packages, rules
from .host import MAX_LINKS, resolve_link

Entry = namedtuple("Entry", "kind mode value")
"""One path of a tree.

kind "file": value is the path of the source; "text": value is the content as bytes; "link": value
is the target; "folder": a directory that may be empty; "bytecode", "frozen": value is the path of
the Python source to compile, with a time stamp to check or to be taken as it is.
"""

Alternative = namedtuple("Alternative", "name link target choices")

FORMAT = 1  # in every digest: raise it when trees made from the same sources would differ


def system_plan(host, wanted):
    """Everything the system copy of `host` holds: a dict of path to Entry, and the package names.

    Raises ImageError when a needed package or program is not there.
    """
    installed = packages.read_installed(host)
    wanted = packages.Wanted(*map(list, wanted))
    while True:
        names = packages.closure(wanted, installed)
        plan = _package_files(host, names, installed)
        strays = _missing_alternatives(host, plan, installed) - set(names)
        if not strays:
            break
        wanted.optional.extend(strays)
    add_etc(host, plan)
    for path, text in rules.GENERATED.items():
        plan[path] = Entry("text", 0o644, text.encode())
    for path, target in rules.LINKS.items():
        if path not in plan:
            plan[path] = Entry("link", 0o777, target)
    _drop_dangling(plan)
    if "usr/bin/node" not in plan:
        add_foreign_node(host, plan)
    add_bytecode(host, plan)
    for program in ("usr/bin/python3", "usr/bin/bash"):
        if program not in plan:
            raise ImageError(f"/{program} is missing")
    return plan, names


def _package_files(host, names, installed):
    plan = {}
    for name in names:
        for listed in packages.files(host, name, installed):
            path = merged(host.canonical(listed))
            if path.startswith("usr/") and not rules.is_dropped(path):
                add(host, plan, path, listed)
    for top in rules.TOP_LINKS:
        if any(path.startswith(f"usr/{top}/") for path in plan):
            plan[top] = Entry("link", 0o777, f"usr/{top}")
    _add_alternatives(host, plan)
    return plan


def merged(path):
    """`path` under usr/ when it is in one of the directories that merged systems moved there."""
    return "usr/" + path if path.partition("/")[0] in rules.TOP_LINKS and "/" in path else path


def add(host, plan, path, source=None):
    """Adds the host's `source` (by default `path`) as `path`, unless not everybody may read it."""
    source = host.canonical(source or path)
    status = host.lstat(source)
    if status is None or not host.is_public(source.rpartition("/")[0]):
        return
    if stat.S_ISLNK(status.st_mode):
        plan[path] = Entry("link", 0o777, host.readlink(source))
    elif stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH:
        # Set-user-id and write permissions end here.
        mode = 0o755 if status.st_mode & 0o111 else 0o644
        plan[path] = Entry("file", mode, host.real(source))


def alternatives(host):
    """The host's alternatives, each with the links it makes and all it could lead to."""
    folder = host.real("var/lib/dpkg/alternatives")
    for group in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, group), encoding="utf-8", errors="replace") as lines:
            head, _, body = lines.read().partition("\n\n")
        # "auto" or "manual", the master's link, then a name and a link for each slave.
        head = head.splitlines()
        choices = [line for line in body.splitlines() if line.startswith("/")]
        for name, link in [(group, head[1])] + list(zip(head[2::2], head[3::2])):
            target = host.readlink(f"etc/alternatives/{name}")
            link = host.canonical(link)
            if target is not None and host.readlink(link) is not None:
                yield Alternative(name, link, target, choices)


def _add_alternatives(host, plan):
    for one in alternatives(host):
        found = host.follow(one.target)
        if found is not None and merged(found) in plan:
            plan[merged(one.link)] = Entry("link", 0o777, host.readlink(one.link))
            plan[f"etc/alternatives/{one.name}"] = Entry("link", 0o777, one.target)


def _missing_alternatives(host, plan, installed):
    """Packages that hold the chosen alternative of a shared library of which the plan has another.

    On a host with OpenBLAS, libblas.so.3 leads there, though numpy's dependencies name libblas3.
    """
    owners = set()
    for one in alternatives(host):
        if ".so" not in one.name or merged(one.link) in plan:
            continue
        choices = map(host.follow, one.choices)
        found = host.follow(one.target)
        if found and any(choice and merged(choice) in plan for choice in choices):
            owners.add(packages.owner(host, found, installed))
    return owners - {None}


def add_etc(host, plan):
    etc = host.real("etc")
    for pattern in rules.ETC:
        for match in glob.glob(pattern, root_dir=etc, recursive=True):
            path = host.canonical("etc/" + match)
            if path.startswith("etc/") and not holds_private_key(host, path):
                add(host, plan, path)


def holds_private_key(host, path):
    status = host.lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return False
    with open(host.real(path), "rb") as content:
        return b"PRIVATE KEY" in content.read()


def add_foreign_node(host, plan):
    """Takes a node that no package brought, with its libraries, as /usr/bin/node."""
    for candidate in ("usr/bin/node", "usr/local/bin/node"):
        path = host.follow(candidate)
        if path is None or not _is_elf(host.real(path)):
            continue
        for library in _libraries(host, path):
            place = merged(host.canonical(library))
            if not place.startswith(("usr/lib", "usr/local/lib/")):
                place = "usr/local/lib/" + os.path.basename(library)
            if place not in plan:
                plan[place] = Entry("file", 0o755, host.real(host.follow(library)))
        plan["usr/bin/node"] = Entry("file", 0o755, host.real(path))
        return


def _is_elf(path):
    with open(path, "rb") as content:
        return content.read(4) == b"\x7fELF"


def _libraries(host, path):
    """The shared libraries, loader included, that the program `path` needs."""
    run = subprocess.run(["chroot", host.root, "/usr/bin/ldd", "/" + path],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    missing = re.findall(r"(\S+) => not found", run.stdout)
    if missing:
        raise ImageError(f"/{path} needs libraries that are not installed: {' '.join(missing)}")
    return re.findall(r"(/\S+) \(0x", run.stdout)


def _drop_dangling(plan):
    """Drops every link that leads to nothing in the copy (its target was left out)."""
    folders = folders_of(plan)
    lost = [path for path, entry in plan.items()
            if entry.kind == "link" and not _leads_somewhere(plan, folders, path)]
    for path in lost:
        del plan[path]


def folders_of(plan):
    """The directories that the paths of `plan` lie in, and those that it names."""
    folders = {path for path, entry in plan.items() if entry.kind == "folder"}
    for path in plan:
        while "/" in path and (path := path.rpartition("/")[0]) not in folders:
            folders.add(path)
    return folders


def _leads_somewhere(plan, folders, path):
    here, rest, links = "", path.split("/"), 0
    while rest:
        here = f"{here}/{rest.pop(0)}".lstrip("/")
        entry = plan.get(here)
        if entry is not None and entry.kind == "link":
            links += 1
            target = resolve_link(here, entry.value)
            if links > MAX_LINKS:
                return False
            if (target + "/").startswith(rules.LEADS_OUT):
                return True
            here, rest = "", [part for part in target.split("/") if part] + rest
        elif here not in folders:
            return entry is not None and not rest
    return True


def add_bytecode(host, plan):
    """Adds the compiled form of every Python module: the host's own where it is valid."""
    modules = [path for path in plan if path.startswith("usr/lib/python3") and path.endswith(".py")]
    for path in modules:
        source = plan[path].value if plan[path].kind == "file" else host.real(path)
        compiled = importlib.util.cache_from_source(source, optimization="")
        place = importlib.util.cache_from_source(path, optimization="")
        if _is_valid_bytecode(compiled, source):
            plan[place] = Entry("file", 0o644, compiled)
        elif host.root == "/":  # another root may have another version of Python
            plan[place] = Entry("bytecode", 0o644, source)


def _is_valid_bytecode(compiled, source):
    """Whether Python would load `compiled` for `source` (PEP 552: magic, flags, mtime, size)."""
    try:
        with open(compiled, "rb") as content:
            head = content.read(16)
        status = os.stat(source)
    except OSError:
        return False
    stamp = struct.pack("<III", 0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return head == importlib.util.MAGIC_NUMBER + stamp


def runtime_plan(directory):
    """The tree of Dunlin's own runtime: every file of `directory`, its Python compiled ahead.

    Left out are this program, which runs on the host only, and what a source tree holds besides.
    """
    plan = {}
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in ("__pycache__", "system")
                      and name[0] != "."]
        for name in names:
            source = os.path.join(folder, name)
            status = os.stat(source)
            if (not stat.S_ISREG(status.st_mode) or name[0] == "."
                    or name.endswith((".pyc", ".c", ".h", ".build"))):
                continue
            path = os.path.relpath(source, directory)
            plan[path] = Entry("file", 0o755 if status.st_mode & 0o111 else 0o644, source)
            if name.endswith(".py"):
                place = importlib.util.cache_from_source(path, optimization="")
                plan[place] = Entry("frozen", 0o644, source)
    if not plan:
        raise ImageError(f"the runtime directory {directory} is empty or missing")
    return plan


def digest(plan):
    """A hexadecimal digest that changes whenever a tree made from `plan` might.

    Sources count by device, inode, size, mtime and ctime: root alone could forge these, and a
    look at every source takes a third of a second where reading them all takes many.
    """
    total = hashlib.sha256(f"{FORMAT} {sys.version}".encode())
    for path in sorted(plan):
        entry = plan[path]
        value = entry.value
        if entry.kind in ("file", "bytecode", "frozen"):
            status = os.stat(value)
            value = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
                     status.st_ctime_ns)
        total.update(repr((path, entry.kind, entry.mode, value)).encode())
    return total.hexdigest()
