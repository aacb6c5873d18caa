"""Brings the store up to date and says what is in it: the slow way of the script system-image."""

import errno
import json
import os
import sys
import time

from . import ImageError, contents, packages, tree
from .host import Host
from .store import Store

ATTEMPTS = 3  # when packages are being installed while they are copied
LANGUAGES = {"python": "usr/bin/python3", "shell": "usr/bin/bash", "javascript": "usr/bin/node"}
PROGRAMS = {"python": "/usr/bin/python3", "shell": "/bin/bash", "javascript": "/usr/bin/node"}


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
        self.current = store.read_current()
        self.made = False

    def run(self, fingerprint):
        """Makes both trees if need be, records them in current.json and deletes older ones."""
        for _ in range(ATTEMPTS):
            stamp = fingerprint()
            system = self._system()
            if stamp == fingerprint():
                break
        else:
            raise ImageError("the installed packages change while they are copied: try again later")
        runtime = self._runtime()
        result = self._result(system, runtime)
        self._record(stamp, system, runtime, result)
        keep = [system["tree"], runtime["tree"]]
        for complaint in self.store.sweep(keep) if not self.options["--keep"] else ():
            print(f"system-image: warning: {complaint}", file=sys.stderr)
        return json.dumps(dict(result, made=self.made))

    def _system(self):
        """Makes the system tree unless the one at hand was made from the very same files."""
        wanted = packages.read_list(self.package_list)
        extra = self.store.path("packages")
        if os.path.exists(extra):
            wanted = packages.Wanted(*map(list.__add__, wanted, packages.read_list(extra)))
        plan, names = contents.system_plan(Host(self.options["--from"]), wanted)
        digest = contents.digest(plan)
        known = self.current.get("system")
        if isinstance(known, dict) and known.get("digest") == digest and self._is_good(known):
            return known
        size = self._check_space(plan)
        self._say(f"Making the private system copy ({self._reason()}): {len(names)} packages, "
                  f"{len(plan)} files, {size / 1e6:.0f} MB")
        start = time.monotonic()
        name, made, size = self.store.publish("system", lambda work: _write_system(plan, work))
        self._say(f"The private system copy is ready: {name[:19]}, {size / 1e6:.0f} MB, "
                  f"{time.monotonic() - start:.1f} s")
        self.made |= made
        languages = [language for language, path in LANGUAGES.items() if path in plan]
        self.current["system"] = {"tree": name, "digest": digest, "bytes": size,
                                  "languages": languages}
        return self.current["system"]

    def _runtime(self):
        plan = contents.runtime_plan(self.options["--runtime"])
        known = self.current.get("runtime")
        if isinstance(known, dict) and self.store.holds(str(known.get("tree"))):
            self._is_good(known)  # a spoiled tree makes way for a new one of the same name
        name, made, size = self.store.publish("runtime", lambda work: tree.write(plan, work))
        self.made |= made
        return {"tree": name, "bytes": size}

    def _is_good(self, known):
        name = str(known.get("tree"))
        if not self.options["--verify"]:
            return self.store.holds(name)
        if self.store.verify(name):
            return True
        self._say(f"{name[:20]} differs from what was made: making it again")
        self.store.forget(name)
        return False

    def _reason(self):
        return "packages have changed" if self.current.get("system") else "first start"

    def _check_space(self, plan):
        size = sum(os.stat(entry.value).st_size for entry in plan.values() if entry.kind == "file")
        free = self.store.free_bytes()
        if free < size:
            raise ImageError(f"no space left in {self.store.directory}: the private system copy "
                             f"needs {size / 1e6:.0f} MB, {free / 1e6:.0f} MB are free")
        return size

    def _result(self, system, runtime):
        languages = {name: program if name in system["languages"] else None
                     for name, program in PROGRAMS.items()}
        return {"system": self.store.path(system["tree"]),
                "runtime": self.store.path(runtime["tree"]), "languages": languages, "made": False,
                "bytes": system["bytes"] + runtime["bytes"]}

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
        if not self.options["--quiet"]:
            print(text, file=sys.stderr, flush=True)


def _write_system(plan, work):
    tree.write(plan, work)
    tree.make_library_cache(work)
