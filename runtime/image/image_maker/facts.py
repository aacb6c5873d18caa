"""Tells what the new image holds, without executing anything of it."""

import glob
import importlib.util
import json
import os
import re

from . import tree

DESCRIBE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build/describe.py")
_MODULES = ("/usr/local/lib/python3*/site-packages", "/usr/local/lib/python3*/dist-packages",
            "/usr/lib/python3*/site-packages", "/usr/lib/python3/dist-packages",
            "/opt/venv/lib/python3*/site-packages", "/opt/conda/lib/python3*/site-packages")


def write(path, found):
    """Writes `found`, with the version of Python and the packages, as JSON to `path`."""
    held = packages()
    found = dict(found, python=python_version(held), packages=held)
    with open(path, "w", encoding="ascii") as file:
        json.dump(found, file, indent=0)
        file.write("\n")


def python_version(held):
    """The version of the Python that runs would start, as files and packages tell; else None."""
    for folder in tree.PATH:
        for name in ("python3", "python"):
            found = tree.find(f"{folder}/{name}")
            match = re.fullmatch(r"python(3\.\d+)", os.path.basename(found or ""))
            if match:
                return _release(match[1]) or _packaged(match[1], held) or match[1]
    return None


def _release(version):
    """The full version, which the header of C has when it is installed."""
    for folder in ("usr/local", "usr", "opt/conda", "opt/venv"):
        path = tree.resolve(f"{folder}/include/python{version}/patchlevel.h")
        if path is not None and os.path.isfile(f"{tree.ROOT}/{path}"):
            with open(f"{tree.ROOT}/{path}", encoding="utf-8", errors="replace") as file:
                match = re.search(r'PY_VERSION\s+"(\d+\.\d+\.\d+\w*)', file.read(1 << 16))
            return match[1] if match else None
    return None


def _packaged(version, held):
    """The full version, from the package that brought it."""
    names = (f"python{version}", f"python{version}-minimal", "python3")
    for one in held:
        match = re.match(re.escape(version) + r"\.\d+", one["version"])
        if one["manager"] in ("dpkg", "apk") and one["name"] in names and match:
            return match[0]
    return None


def packages():
    """What the package managers' records in the image say, read by a process that sees nothing
    but the image."""
    spec = importlib.util.spec_from_file_location("describe", DESCRIBE)
    describe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(describe)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w", encoding="ascii") as out:  # there is no codec inside
                os.chroot(tree.ROOT)
                os.chdir("/")
                folders = [path for pattern in _MODULES for path in glob.glob(pattern)]
                json.dump(describe.packages(folders), out)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 else []
