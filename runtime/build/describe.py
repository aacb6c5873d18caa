"""Tells what an environment holds, as packages.json and facts.json in the work directory.

usage: describe.py WORK_DIRECTORY STARTED

Runs in the sandbox of the build, with the environment's own Python (3.8 or later), after the setup
script.  STARTED is when the script started, in seconds since 1970.  runtime/image uses its
functions for images, whose own Python it does not start.  It reads the records of the package
managers itself: starting them would take longer than the rest of a small build.
"""

import itertools
import json
import os
import sys
import time
from importlib.util import cache_from_source

COMPILE_SECONDS = 120
UNUSED = ("test", "idlelib", "lib2to3", "ensurepip", "turtledemo", "site-packages", "dist-packages")
MOST = 20000  # packages: more are no environment


def dpkg():
    """What Debian's package database says is installed."""
    found = {}
    for line in lines_of("/var/lib/dpkg/status"):
        key, _, value = line.rstrip("\n").partition(": ")
        if key in ("Package", "Status", "Version"):
            found[key] = value
        if key == "Version" and found.get("Status", "").endswith(" installed"):
            yield found.get("Package", ""), value


def lines_of(path):
    """The lines of a text file; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield line
    except OSError:
        return


def apk():
    """Alpine's packages: P: and V: lines in one record each."""
    name = None
    for line in lines_of("/lib/apk/db/installed"):
        if line.startswith("P:"):
            name = line[2:].strip()
        elif line.startswith("V:") and name:
            yield name, line[2:].strip()


def pip(folders):
    """The distributions in these directories (PEP 376, PEP 566)."""
    seen = set()
    for folder in folders:
        for record in below(folder):
            if not record.endswith((".dist-info", ".egg-info")):
                continue
            for path in (record + "/METADATA", record + "/PKG-INFO", record):
                name, version = metadata(path)
                if name and name.lower() not in seen:
                    seen.add(name.lower())
                    yield name, version


def below(folder):
    """The paths of what is in a directory, in order; none where it cannot be read."""
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


def metadata(path):
    """Name and version at the head of a distribution's record; None where there are none."""
    found = {}
    for line in lines_of(path):
        key, colon, value = line.partition(":")
        if not colon or len(found) == 2:
            break
        if key in ("Name", "Version"):
            found[key] = value.strip()
    return found.get("Name"), found.get("Version", "")


def npm():
    """The packages that are installed for every program (npm's global ones)."""
    found = []
    for root in ("/usr/lib", "/usr/local/lib", "/opt/conda/lib"):
        for path in below(root + "/node_modules"):
            found += below(path) if os.path.basename(path).startswith("@") else [path]
    for path in found:
        try:
            with open(path + "/package.json", encoding="utf-8") as file:
                record = json.load(file)
            yield str(record["name"]), str(record.get("version", ""))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def conda():
    """The packages of the root environment; their records are <name>-<version>-<build>.json."""
    for path in below("/opt/conda/conda-meta"):
        parts = os.path.basename(path)[:-len(".json")].rsplit("-", 2)
        if path.endswith(".json") and len(parts) == 3:
            yield parts[0], parts[1]


def compile_modules(started):
    """Compiles the modules that nobody has compiled, since nothing can be written at run time.

    Packagers compile what they install; this is for what the script copied or unpacked, and for the
    standard library of images that come without.  Looks at the top of each place for modules, where
    everything that is new shows.
    """
    deadline = time.monotonic() + COMPILE_SECONDS
    library = os.path.dirname(os.path.dirname(json.__file__))
    is_bare = not os.path.exists(cache_from_source(json.__file__))
    for folder in sys.path:
        is_library = is_bare and folder == library
        if not os.path.isdir(folder) or not (is_library or os.stat(folder).st_mtime >= started):
            continue
        for item in sorted(os.scandir(folder), key=lambda item: item.name):
            if time.monotonic() > deadline:
                return
            is_new = item.stat(follow_symlinks=False).st_ctime >= started
            if (is_new or is_library) and item.name not in UNUSED:
                compile_item(item)


def compile_item(item):
    """Compiles what a directory's entry holds; what cannot be compiled stays as it is."""
    import compileall  # takes longer than all the rest when there is nothing to compile
    if item.is_dir(follow_symlinks=False):
        compileall.compile_dir(item.path, quiet=2, maxlevels=20)
    elif item.name.endswith(".py"):
        compileall.compile_file(item.path, quiet=2)


def clean(text):
    """`text` without the halves of characters that names of files may have; no JSON has them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def packages(folders):
    """All packages, those of pip in these directories: [{"name", "version", "manager"}]."""
    records = (("dpkg", dpkg()), ("apk", apk()), ("pip", pip(folders)), ("npm", npm()),
               ("conda", conda()))
    found = ({"name": clean(name), "version": clean(version), "manager": manager}
             for manager, record in records for name, version in record)
    return list(itertools.islice(found, MOST))


def main(work, started):
    write(os.path.join(work, "packages.json"), packages(sys.path))
    write(os.path.join(work, "facts.json"), {"python": sys.version.split()[0]})
    compile_modules(started)


def write(path, value):
    """Writes `value` as JSON in ASCII, one item a line."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(value, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
