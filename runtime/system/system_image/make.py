"""Brings the store up to date and says what is in it: the slow way of the script system-image."""

import datetime
import errno
import json
import os
import sys
import time

from . import ImageError, contents, debian_root, layer, packages, tree
from .host import Host
from .store import Store

ATTEMPTS = 3  # when packages are being installed while they are copied
# Where the copy has each language's interpreter, and the path that a sandbox starts it by.
LANGUAGES = {"python": ("usr/bin/python3", "/usr/bin/python3"),
             "shell": ("usr/bin/bash", "/bin/bash"),
             "javascript": ("usr/bin/node", "/usr/bin/node")}


def answer(options, package_list, fingerprint):
    """The line of JSON for these `options`, after making what is missing.

    options: the command line as a dict; package_list: a path; fingerprint: a function that tells
    the state of the host.  Leaves the process with status 1 and the reason on stderr when it fails.
    """
    try:
        if os.geteuid() != 0:
            raise ImageError("only root can make the private system copy")
        os.umask(0o022)
        os.setegid(0)
        with Store(options["--store"]) as store:
            return Maker(store, options, package_list).run(fingerprint)
    except ImageError as error:
        reason = str(error)
    except OSError as error:
        reason = str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"no space left in {options['--store']} for the private system copy"
    raise SystemExit(f"system-image: {reason}")


class Maker:
    """One run of the script, with the store locked."""

    def __init__(self, store, options, package_list):
        self.store = store
        self.options = options
        self.package_list = package_list
        self.known = store.read_current()
        self.made = False

    def run(self, fingerprint):
        """Makes both trees if need be, deletes older ones, and records the state for next time."""
        for _ in range(ATTEMPTS):
            stamp = fingerprint()
            system = self._system()
            runtime = self._runtime()
            if stamp == fingerprint():
                break
        else:
            raise ImageError("the installed packages change while they are copied: try again later")
        # Before the record: whoever kills this halfway comes here again at the next start.
        if not self.options["--keep"] and self._sweep([system["tree"], runtime["tree"]]):
            stamp = "unfinished"  # so that the next start tries again
        result = self._result(system, runtime)
        self._record(stamp, system, runtime, result)
        return json.dumps(dict(result, made=self.made))

    def _sweep(self, keep):
        """Deletes older trees; whether something had to stay."""
        stayed = self.store.sweep(keep)
        for complaint in filter(None, stayed.values()):
            print(f"system-image: warning: {complaint}", file=sys.stderr)
        return bool(stayed)

    def _system(self):
        wanted = packages.read_list(self.package_list)
        extra = self.store.path("packages")
        if os.path.exists(extra):
            wanted = packages.Wanted(*map(list.__add__, wanted, packages.read_list(extra)))
        plan, names = contents.system_plan(Host(self.options["--from"]), wanted)
        digest = contents.digest(plan)
        if self._is_current("system", digest):
            return self.known["system"]
        size = self._check_space(plan)
        reason = "packages have changed" if self.known.get("system") else "first start"
        self._say(f"Making the private system copy ({reason}): {len(names)} packages, "
                  f"{len(plan)} files, {size / 1e6:.0f} MB")
        start = time.monotonic()
        made = self._publish("system", digest, lambda work: _write_system(plan, work))
        made["languages"] = [name for name, (path, _) in LANGUAGES.items() if path in plan]
        self._say(f"The private system copy is ready: {made['tree'][:19]}, "
                  f"{made['bytes'] / 1e6:.0f} MB, {time.monotonic() - start:.1f} s")
        return made

    def _runtime(self):
        plan = contents.runtime_plan(self.options["--runtime"])
        digest = contents.digest(plan)
        if self._is_current("runtime", digest):
            return self.known["runtime"]
        return self._publish("runtime", digest, lambda work: tree.write(plan, work))

    def _is_current(self, kind, digest):
        """Whether the tree at hand was made from the very same files and is still good."""
        known = self.known.get(kind)
        if known is None or not self.store.holds(known["tree"]):
            return False
        if self.options["--verify"] and not self.store.verify(known["tree"]):
            self._say(f"{known['tree'][:20]} differs from what was made: making it again")
            self.store.forget(known["tree"])
            return False
        return known["digest"] == digest

    def _publish(self, kind, digest, write):
        name, made, size = self.store.publish(kind, write)
        self.made |= made
        self.known[kind] = {"tree": name, "digest": digest, "bytes": size}
        return self.known[kind]

    def _check_space(self, plan):
        size = sum(os.stat(entry.value).st_size for entry in plan.values() if entry.kind == "file")
        free = self.store.free_bytes()
        if free < size:
            raise ImageError(f"no space left in {self.store.directory}: the private system copy "
                             f"needs {size / 1e6:.0f} MB, {free / 1e6:.0f} MB are free")
        return size

    def _result(self, system, runtime):
        languages = {name: program if name in system["languages"] else None
                     for name, (_, program) in LANGUAGES.items()}
        host = Host(self.options["--from"])
        keys = {f"{which}_key": layer.key(host, which, self.store.directory)
                for which in ("base", "tools")}
        return {"system": self.store.path(system["tree"]),
                "runtime": self.store.path(runtime["tree"]), "languages": languages, "made": False,
                "bytes": system["bytes"] + runtime["bytes"],
                "python_version": debian_root.python_version(host), **keys}

    def _record(self, stamp, system, runtime, result):
        """Writes current.json in the lines that the script's quick way reads."""
        details = json.dumps({"system": system, "runtime": runtime})
        lines = (f'{{"fingerprint": "{stamp}",',
                 f'"trees": "{system["tree"]} {runtime["tree"]}",',
                 details[1:-1] + ",",
                 f'"answer": {json.dumps(result)}',
                 "}\n")
        self.store.write_file("current.json", "\n".join(lines).encode())

    def _say(self, text):
        if self.options["--quiet"]:
            return
        if self.options["--log-json"]:
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
            text = json.dumps({"time": now.replace("+00:00", "Z"), "level": "info",
                               "event": "system.copy", "part": "system-image", "text": text})
        print(text, file=sys.stderr, flush=True)


def _write_system(plan, work):
    tree.write(plan, work)
    tree.make_library_cache(work)
