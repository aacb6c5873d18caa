"""The package database of a layer: the host's, cut down to the packages that are in the layer."""

import glob
import os
import re

from . import packages
from .contents import Entry, merged

DPKG = packages.DPKG


class State:
    """What the host's package database says about the packages `names`."""

    def __init__(self, host, names, installed):
        self.host = host
        self.names = frozenset(names)
        self.installed = installed
        self.paragraphs = list(self._read_paragraphs())

    def _read_paragraphs(self):
        with open(self.host.real(DPKG + "/status"), encoding="utf-8",
                  errors="surrogateescape") as file:
            for paragraph in file.read().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in paragraph.splitlines()
                              if ": " in line and line[0] not in " \t")
                name = fields.get("Package")
                if (name in self.names and fields.get("Status", "").endswith(" installed")
                        and fields.get("Architecture") == self.installed.native[name]):
                    yield paragraph.strip("\n")

    def conffiles(self):
        """The digest (MD5, dpkg's own) of each configuration file as its package brought it."""
        found = {}
        for paragraph in self.paragraphs:
            lines = iter(paragraph.splitlines())
            for line in lines:
                if line.startswith("Conffiles:"):
                    break
            for line in lines:
                if not line.startswith(" "):
                    break
                path, digest = line.split()[:2]
                found[path.lstrip("/")] = digest
        return found

    def diversions(self):
        """Where the file of another package went, as {path: (path, diverting package)}."""
        lines = self._lines("diversions")
        return {old.lstrip("/"): (new.lstrip("/"), package)
                for old, new, package in zip(lines[::3], lines[1::3], lines[2::3])}

    def _lines(self, name):
        try:
            with open(self.host.real(f"{DPKG}/{name}"), encoding="utf-8",
                      errors="surrogateescape") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def add_to(self, plan):
        """Adds the database to `plan`, which has the files of the packages already."""
        kept = [f"/{old}\n/{new}\n{package}\n"
                for old, (new, package) in self.diversions().items() if package in self.names]
        texts = {"status": "\n\n".join(self.paragraphs) + "\n\n", "diversions": "".join(kept),
                 "available": "", "statoverride": "", "info/format": "1\n"}
        texts.update(self._triggers())
        for name, text in texts.items():
            plan[f"{DPKG}/{name}"] = Entry("text", 0o644, text.encode("utf-8", "surrogateescape"))
        for name in self.names:
            for stem in (name, f"{name}:{self.installed.native[name]}"):
                self._add_info(plan, stem)
        _add_alternatives(self.host, plan)

    def _triggers(self):
        """Who waits for which trigger, as {name: text}; in File the path comes before the name."""
        found = {"triggers/Unincorp": ""}
        folder = self.host.real(DPKG + "/triggers")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for name in set(names) - {"Lock", "Unincorp"}:
            lines = [line for line in self._lines("triggers/" + name)
                     if re.split("[/:]", line.split(" ")[-1])[0] in self.names]
            if lines:
                found["triggers/" + name] = "".join(line + "\n" for line in lines)
        return found

    def _add_info(self, plan, stem):
        info = self.host.real(DPKG + "/info")
        for source in glob.glob(f"{info}/{glob.escape(stem)}.*"):
            name = os.path.basename(source)
            if name.removeprefix(stem + ".").isalnum():
                mode = 0o755 if os.access(source, os.X_OK) else 0o644
                plan[f"{DPKG}/info/{name}"] = Entry("file", mode, source)


def _add_alternatives(host, plan):
    """Takes each group of alternatives with those of its choices that are in `plan`."""
    folder = host.real(DPKG + "/alternatives")
    for group in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, group), encoding="utf-8", errors="replace") as file:
            head, _, body = file.read().partition("\n\n")
        # "auto" or "manual", the master's link, then a name and a link for each slave.
        head = head.splitlines()
        names = [(group, head[1])] + list(zip(head[2::2], head[3::2]))
        choices = [choice for choice in _choices(body, len(names))
                   if _is_in(host, plan, choice[0])]
        if not choices:
            continue
        best = max(choices, key=lambda choice: int(choice[1]))
        target = host.readlink(f"etc/alternatives/{group}")
        chosen = next((choice for choice in choices if choice[0] == target), best)
        head[0] = "auto" if chosen is best else "manual"
        lines = head + [""] + sum(choices, []) + ["", ""]
        plan[f"{DPKG}/alternatives/{group}"] = Entry("text", 0o644, "\n".join(lines).encode())
        for (name, link), target in zip(names, [chosen[0]] + chosen[2:]):
            if _is_in(host, plan, target):
                link = merged(host.canonical(link))
                plan[f"etc/alternatives/{name}"] = Entry("link", 0o777, target)
                plan[link] = Entry("link", 0o777, f"/etc/alternatives/{name}")


def _choices(body, width):
    """The choices of a group: path, priority, then a path for each slave, "" for none."""
    lines = body.split("\n")
    while len(lines) > width and lines[0]:
        yield lines[:width + 1]
        lines = lines[width + 1:]


def _is_in(host, plan, path):
    found = host.follow(path) if path else None
    return found is not None and merged(found) in plan
