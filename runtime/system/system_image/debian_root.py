"""Decides what a layer contains: a complete Debian system of some of the host's packages.

What a package owns comes along whole but for manuals and translations, with the package database,
so that apt and dpkg go on from there.  Configuration that the administrator has changed does not:
it might hold what is private to the host.
"""

import glob
import hashlib
import os
import re
import stat

from . import ImageError, apt_sources, layer_rules, packages, rules
from .contents import (Entry, add, add_bytecode, add_etc, add_foreign_node, holds_private_key,
                       merged)
from .dpkg_state import State


def names_of(wanted, installed):
    """The packages of a layer: those wanted, what every Debian has, and their dependencies."""
    wanted = wanted._replace(optional=wanted.optional + installed.essential)
    return packages.closure(wanted, installed, packages.every_choice)


def plan(host, names, installed):
    """Everything a layer of the packages `names` holds: a dict of path to Entry."""
    found = {path: Entry("folder", mode, None) for path, mode in layer_rules.FOLDERS.items()}
    state = State(host, names, installed)
    _add_packages(host, found, names, state)
    for top in rules.TOP_LINKS:
        if any(path.startswith(f"usr/{top}/") for path in found):
            found[top] = Entry("link", 0o777, f"usr/{top}")
    add_etc(host, found)
    _add_generated(host, found)
    _add_accounts(host, found)
    for path, text in private_texts(host).items():
        found[path] = Entry("text", 0o644, text)
    state.add_to(found)
    add_bytecode(host, found)
    return found


def python_version(host):
    """The version of the host's own python3, like "3.11"; "" where there is none."""
    match = re.fullmatch(r"usr/bin/python(3\.\d+)", host.follow("usr/bin/python3") or "")
    return match.group(1) if match else ""


def _add_packages(host, found, names, state):
    conffiles, diversions = state.conffiles(), state.diversions()
    for name in names:
        for listed in packages.files(host, name, state.installed):
            if listed.strip("/.") == "":
                continue
            source, place = listed, listed
            new, diverter = diversions.get(listed, (None, name))
            if diverter != name:
                source = new
                place = new if diverter in state.names else listed
            _add_owned(host, found, merged(host.canonical(place)), (source, conffiles.get(listed)))


def _add_owned(host, found, path, origin):
    """Adds what a package owns; origin: the host's path, and the digest of a configuration file."""
    source, digest = origin
    top = path.partition("/")[0]
    status = host.lstat(host.canonical(source))
    if status is None or top not in layer_rules.TOPS or layer_rules.is_pruned(path):
        return
    if stat.S_ISDIR(status.st_mode):
        found.setdefault(path, Entry("folder", 0o755, None))
    elif stat.S_ISLNK(status.st_mode):
        add(host, found, path, source)
    elif top == "usr" or (top == "etc" and digest is not None):
        if digest is None or digest == _md5(host, source):
            add(host, found, path, source)


def _md5(host, path):
    try:
        with open(host.real(host.canonical(path)), "rb") as content:
            return hashlib.md5(content.read(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def add_node(host, found):
    """Adds to a plan the node that no package brought, and the npm that came with node.

    npm is taken as it is, since people have it replace itself.  Its directory holds published code
    only; a configuration file in it stays behind.
    """
    if "usr/bin/node" not in found:
        add_foreign_node(host, found)
    for folder in ("usr/bin", "usr/local/bin"):
        home, inner, _ = (host.follow(folder + "/npm") or "").rpartition("/lib/node_modules/npm/")
        if not inner:
            continue
        home += inner.rstrip("/")
        for path in [path for path in found if path.startswith(home + "/")]:
            del found[path]
        for place, _, names in os.walk(host.real(home)):
            place = place[len(host.root):]
            for name in names:
                if "npmrc" not in name:
                    add(host, found, f"{place}/{name}")
        for program in ("npm", "npx"):
            add(host, found, f"{folder}/{program}")
        return


def _add_generated(host, found):
    for path, text in layer_rules.GENERATED.items():
        found[path] = Entry("text", 0o644, text.encode())
    for path, source in layer_rules.COPIES.items():
        add(host, found, path, source)
    for path, target in rules.LINKS.items():
        found.setdefault(path, Entry("link", 0o777, target))
    release = python_version(host)
    if release:
        found[f"usr/local/lib/python{release}/dist-packages"] = Entry("folder", 0o755, None)


def _add_accounts(host, found):
    """Debian's own system users and groups, all of them locked; nobody of the host's."""
    users = _master(host, "passwd", layer_rules.APT_USER, layer_rules.SANDBOX_USER)
    groups = _master(host, "group", layer_rules.SANDBOX_GROUP)
    texts = {
        "passwd": "".join(":".join([one[0], "x"] + one[2:]) + "\n" for one in users),
        "group": "".join(":".join([one[0], "x"] + one[2:]) + "\n" for one in groups),
        "shadow": "".join(f"{one[0]}:*:19000:0:99999:7:::\n" for one in users),
        "gshadow": "".join(f"{one[0]}:*::\n" for one in groups),
    }
    for name, text in texts.items():
        mode = 0o640 if "shadow" in name else 0o644
        found["etc/" + name] = Entry("text", mode, text.encode())


def _master(host, name, *more):
    try:
        with open(host.real(f"usr/share/base-passwd/{name}.master"), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        raise ImageError(f"/usr/share/base-passwd/{name}.master is missing: try apt-get install "
                         "--reinstall base-passwd") from None
    known = {line.partition(":")[0] for line in lines}
    lines += [line for line in more if line.partition(":")[0] not in known]
    return [line.split(":") for line in lines]


def private_texts(host):
    """What the administrator added and a sandbox may know, as {path: content}.

    The archives of apt, the keys they are signed with, and the authorities that are trusted: all of
    it public by its nature, and without it nothing could be fetched from a private mirror.
    """
    found = {path: text.encode() for path, text in apt_sources.read(host).items()}
    for pattern in (*layer_rules.KEYRINGS, layer_rules.CERTIFICATES + "/**/*.crt"):
        for path in glob.glob(pattern, root_dir=host.root, recursive=True):
            status = host.lstat(path)
            if (status is not None and stat.S_ISREG(status.st_mode)
                    and status.st_mode & stat.S_IROTH and not holds_private_key(host, path)):
                with open(host.real(path), "rb") as content:
                    found[path] = content.read()
    certificates = "etc/ca-certificates.conf"
    if os.path.isfile(host.real(certificates)):
        with open(host.real(certificates), "rb") as content:
            found[certificates] = content.read()
    return found
