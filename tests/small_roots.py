"""Root file systems for images that the tests make: a few of this machine's programs."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

PROGRAMS = ("dash", "bash", "cat", "chmod", "cp", "date", "env", "id", "ln", "ls", "mkdir", "mv",
            "rm", "sleep", "touch", "true", "tail", "head", "grep")


def make(directory, programs=PROGRAMS, python=False, files=None):
    """A root with these programs of /usr/bin and their libraries; files: {path: text}.

    python: with this machine's Python and its standard library too (some 30 MB).
    """
    root = pathlib.Path(directory)
    for name in ("usr/bin", "usr/lib", "etc", "root", "tmp"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to("usr/bin" if name == "bin" else "usr/lib")
    for name in programs:
        _copy_program(root, f"/usr/bin/{name}")
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    if python:
        _copy_python(root)
    for path, text in (files or {}).items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o755)
    return root


def _copy_program(root, path):
    shutil.copy(path, root / path.lstrip("/"))
    _copy_libraries(root, path)


def _copy_libraries(root, path):
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        place = root / "usr/lib" / os.path.relpath(library.removeprefix("/usr"), "/lib")
        if library.startswith(("/lib64", "/usr/lib64")):
            place = root / "usr/lib" / os.path.basename(library)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)


def _copy_python(root):
    version = "python%d.%d" % sys.version_info[:2]
    _copy_program(root, f"/usr/bin/{version}")
    (root / "usr/bin/python3").symlink_to(version)
    shutil.copytree(f"/usr/lib/{version}", root / f"usr/lib/{version}", symlinks=True,
                    ignore=shutil.ignore_patterns("test", "tests", "idlelib", "config-*", "*.pyc"))
    for extension in (root / f"usr/lib/{version}/lib-dynload").glob("*.so"):
        _copy_libraries(root, str(extension))
