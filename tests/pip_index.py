"""A package index for pip (PEP 503) with wheels that the tests make."""
import base64
import hashlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import zipfile

from client import wait_until

SERVE = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[3])
handler.func.log_message = lambda *_: None
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), handler).serve_forever()
"""


def write_wheel(folder, name, version="1.0", files=None):
    """Writes a wheel that has `files` ({path: text}, default a module of that name): its path."""
    files = dict(files or {f"{name}/__init__.py": f"__version__ = {version!r}\nANSWER = 42\n"})
    record = f"{name}-{version}.dist-info"
    files[record + "/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[record + "/WHEEL"] = ("Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
                                "Tag: py3-none-any\n")
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text.encode())}\n")
    files[record + "/RECORD"] = "".join(lines) + f"{record}/RECORD,,\n"
    wheel = pathlib.Path(folder) / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


class PipIndex:
    """An index that is served on host:port; a context manager.

    prefix: a command that runs another, such as ("ip", "netns", "exec", "x").  `url` is for
    `pip install --index-url`; over plain HTTP, pip wants --trusted-host too.
    """

    def __init__(self, host, port, prefix=()):
        self._directory = tempfile.TemporaryDirectory(prefix="dunlin-test-index-")
        self.folder = pathlib.Path(self._directory.name)
        self.host = host
        self.url = f"http://{host}:{port}/simple/"
        (self.folder / "simple").mkdir()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-I", "-c", SERVE, host, str(port), self.folder],
            stdin=subprocess.DEVNULL)

    def add(self, name, version="1.0", files=None):
        """Makes the distribution `name` available."""
        place = self.folder / "simple" / name.lower().replace("_", "-").replace(".", "-")
        place.mkdir(exist_ok=True)
        write_wheel(place, name, version, files)
        links = "".join(f'<a href="{wheel.name}">{wheel.name}</a>\n'
                        for wheel in sorted(place.glob("*.whl")))
        (place / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")

    def wait(self):
        """Returns when the index answers; for one that this process can reach."""
        host, _, port = self.url.removeprefix("http://").partition("/")[0].partition(":")

        def answers():
            with socket.socket() as sock:
                return sock.connect_ex((host, int(port))) == 0

        wait_until(answers, 10, "the package index answers")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()
