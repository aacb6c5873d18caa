"""Tells what an environment holds, as packages.json and facts.json in the work directory.

usage: describe.py WORK_DIRECTORY STARTED

Runs in the sandbox of the build, with the environment's own Python (3.8 or later), after the setup
script.  STARTED is when the script started, in seconds since 1970.  It reads the records of the
package managers itself where starting them would take longer than the rest of a small build.
"""

import compileall
import glob
import json
import os
import platform
import subprocess
import sys
import time

COMPILE_SECONDS = 120
MOST = 20000  # packages: more are no environment


def dpkg():
    """What Debian's package database says is installed."""
    fields = "${db:Status-Status}\t${Package}\t${Version}\n"
    try:
        run = subprocess.run(["dpkg-query", "-W", "-f", fields], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return
    for line in run.stdout.decode("utf-8", "replace").splitlines():
        status, _, rest = line.partition("\t")
        name, _, version = rest.partition("\t")
        if status == "installed":
            yield name, version


def apk():
    """Alpine's packages: P: and V: lines in one record each."""
    name = None
    try:
        with open("/lib/apk/db/installed", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("P:"):
                    name = line[2:].strip()
                elif line.startswith("V:") and name:
                    yield name, line[2:].strip()
    except OSError:
        return


def pip():
    """The distributions on this interpreter's path (PEP 376, PEP 566)."""
    seen = set()
    for folder in sys.path:
        for path in sorted(glob.glob(glob.escape(folder) + "/*.dist-info/METADATA")
                           + glob.glob(glob.escape(folder) + "/*.egg-info/PKG-INFO")
                           + glob.glob(glob.escape(folder) + "/*.egg-info")):
            name, version = metadata(path)
            if name and name.lower() not in seen:
                seen.add(name.lower())
                yield name, version


def metadata(path):
    """Name and version at the head of a distribution's record; None where there are none."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, colon, value = line.partition(":")
                if not colon or len(found) == 2:
                    break
                if key in ("Name", "Version"):
                    found[key] = value.strip()
    except OSError:
        pass  # the record may be a directory, which has a file of its own
    return found.get("Name"), found.get("Version", "")


def npm():
    """The packages that are installed for every program (npm's global ones)."""
    roots = {"/usr/lib/node_modules", "/usr/local/lib/node_modules", "/opt/conda/lib/node_modules"}
    for path in sorted(path for root in roots for pattern in ("*", "@*/*")
                       for path in glob.glob(root + "/" + pattern + "/package.json")):
        try:
            with open(path, encoding="utf-8") as file:
                record = json.load(file)
            yield str(record["name"]), str(record.get("version", ""))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def conda():
    """The packages of the root environment; their records are <name>-<version>-<build>.json."""
    for path in sorted(glob.glob("/opt/conda/conda-meta/*.json")):
        parts = os.path.basename(path)[:-len(".json")].rsplit("-", 2)
        if len(parts) == 3:
            yield parts[0], parts[1]


def compile_new(started):
    """Compiles the modules that the script brought, since nothing can be written at run time.

    Packagers do so themselves; this is for what was copied or unpacked.  Looks at the top of each
    place for modules, where everything that is new shows.
    """
    deadline = time.monotonic() + COMPILE_SECONDS
    for folder in sys.path:
        if not os.path.isdir(folder) or os.stat(folder).st_mtime < started:
            continue
        for item in sorted(os.scandir(folder), key=lambda item: item.name):
            if time.monotonic() > deadline:
                return
            if item.stat(follow_symlinks=False).st_ctime < started:
                continue
            if item.is_dir(follow_symlinks=False):
                compileall.compile_dir(item.path, quiet=2, maxlevels=20)
            elif item.name.endswith(".py"):
                compileall.compile_file(item.path, quiet=2)


def main(work, started):
    packages = [{"name": name, "version": version, "manager": manager.__name__}
                for manager in (dpkg, apk, pip, npm, conda) for name, version in manager()]
    write(os.path.join(work, "packages.json"), packages[:MOST])
    write(os.path.join(work, "facts.json"), {"python": platform.python_version()})
    compile_new(started)


def write(path, value):
    """Writes `value` as JSON in ASCII, one item a line."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(value, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
