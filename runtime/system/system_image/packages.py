"""Which installed packages belong to the copy, and which files they brought."""

import os
import re
import subprocess
from collections import namedtuple

from . import ImageError

Wanted = namedtuple("Wanted", "needed optional never")
"""The package list: three lists of names (see the head of runtime/system/packages)."""

Installed = namedtuple("Installed", "depends native provides versions essential")
"""The package database.

depends: name -> list of groups of alternatives; native: name -> architecture; provides: virtual
name -> names; versions: name -> version; essential: names that a working Debian always has.
"""

FIELDS = ("${Package}\t${Architecture}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}"
          "\t${Provides}\t${Version}\t${Essential}\t${Priority}\n")
DPKG = "var/lib/dpkg"


def read_list(path):
    """Reads the package list `path` into a Wanted.  Raises ImageError on a line it cannot read."""
    wanted = Wanted([], [], [])
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            name = line.partition("#")[0].strip()
            if not name:
                continue
            if not re.fullmatch(r"[?-]?[a-z0-9][a-z0-9.+-]*", name):
                raise ImageError(f"{path}, line {number}: not a package name: {name}")
            which = {"?": wanted.optional, "-": wanted.never}.get(name[0], wanted.needed)
            which.append(name.lstrip("?-"))
    return wanted


def read_installed(host):
    """Reads the package database of `host`.  Raises ImageError where there is none."""
    admin = host.real(DPKG)
    if not os.path.exists(os.path.join(admin, "status")):
        raise ImageError("there is no dpkg database here: Dunlin takes the files of its sandboxes "
                         "from the installed packages and needs Debian or a relative of it")
    try:
        run = subprocess.run(["dpkg-query", "--admindir=" + admin, "-W", "-f", FIELDS],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             errors="surrogateescape", check=False)
    except FileNotFoundError:
        raise ImageError("dpkg-query is missing: Dunlin needs Debian or a relative of it") from None
    if run.returncode != 0:
        raise ImageError("dpkg-query failed: " + run.stderr.strip())
    return _parse(run.stdout)


def _parse(text):
    rows = [row.split("\t") for row in text.splitlines()]
    rows = [row for row in rows if len(row) == 8 and row[2] == "installed"]
    # A foreign architecture's packages share the names of the native ones: the native one is
    # that of dpkg itself.
    native = next((row[1] for row in rows if row[0] == "dpkg"), None)
    installed = Installed({}, {}, {}, {}, [])
    for name, arch, _, depends, provides, version, essential, priority in rows:
        if native is not None and arch not in (native, "all"):
            continue
        installed.depends[name] = [_names(group, "|") for group in depends.split(",")]
        installed.native[name] = arch
        installed.versions[name] = version
        if essential == "yes" or priority == "required":
            installed.essential.append(name)
        for virtual in _names(provides, ","):
            installed.provides.setdefault(virtual, []).append(name)
    return installed


def _names(text, separator):
    """The bare package names in "a:any (>= 1) | b"."""
    names = (re.sub(r"\(.*?\)|\[.*?\]|:\w+", "", part).strip() for part in text.split(separator))
    return [name for name in names if name]


def closure(wanted, installed, choose=None):
    """The sorted names of all packages to copy.  Raises ImageError when a needed one is absent.

    choose(group, installed) names the packages that are taken for a group of alternatives; by
    default those that satisfy it.
    """
    missing = [name for name in wanted.needed if name not in installed.depends]
    if missing:
        names = " ".join(missing)
        raise ImageError(f"these packages are needed and not installed: {names} (apt-get install "
                         f"{names})")
    choose = choose or _choose
    queue = wanted.needed + [name for name in wanted.optional if name in installed.depends]
    found = set()
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        for group in installed.depends[name]:
            queue += [pick for pick in choose(group, installed) if pick not in wanted.never]
    return sorted(found)


def _choose(group, installed):
    """The installed packages that satisfy one group of alternatives: the first that does."""
    for name in group:
        if name in installed.depends:
            return [name]
        if name in installed.provides:
            return installed.provides[name]
    return []


def every_choice(group, installed):
    """All installed packages that may satisfy a group of alternatives.

    Which of them does depends on versions; with all of them dpkg finds nothing broken.
    """
    return [pick for name in group
            for pick in [name] * (name in installed.depends) + installed.provides.get(name, [])]


def files(host, name, installed):
    """The paths, without the leading slash, that the package `name` put on `host`."""
    for stem in (name, f"{name}:{installed.native[name]}"):
        try:
            with open(host.real(f"{DPKG}/info/{stem}.list"), encoding="utf-8",
                      errors="surrogateescape") as lines:
                return [line.rstrip("\n").lstrip("/") for line in lines]
        except FileNotFoundError:
            continue
    raise ImageError(f"the package database has no file list of {name}: try dpkg --audit")


def owner(host, path, installed):
    """The installed package that owns the canonical `path`, or None."""
    for name in sorted(installed.depends):
        for listed in files(host, name, installed):
            # Comparing the last component first spares resolving every path of the host.
            if listed.endswith(path.rpartition("/")[2]) and host.canonical(listed) == path:
                return name
    return None
