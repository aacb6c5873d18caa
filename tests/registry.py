"""An image registry of the tests' own: Debian's docker-registry on an address that they choose."""
import ctypes
import json
import pathlib
import socket
import subprocess
import tempfile

import small_roots
from client import wait_until
from server import free_port

CONFIG = """
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "%s"}
"""
AUTH = "auth: {htpasswd: {realm: tests, path: %s}}\n"


class Registry:
    """A running registry without TLS; a context manager.

    host: an address to listen on; account: (user, password) that it wants; prefix: a command that
    runs another, such as ("ip", "netns", "exec", "x").
    """

    def __init__(self, host="127.0.0.1", account=None, prefix=()):
        self._directory = tempfile.TemporaryDirectory(prefix="dunlin-test-registry-")
        self.folder = pathlib.Path(self._directory.name)
        self.address = f"{host}:{free_port()}"
        self.account = account
        config = CONFIG % (self.folder / "data", self.address)
        if account:
            (self.folder / "accounts").write_text(f"{account[0]}:{_bcrypt(account[1])}\n")
            config += AUTH % (self.folder / "accounts")
        (self.folder / "config.yml").write_text(config)
        self._prefix = list(prefix)
        self._log = open(self.folder / "log", "wb")
        self._process = subprocess.Popen(
            [*prefix, "docker-registry", "serve", self.folder / "config.yml"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        if not prefix:
            wait_until(self._answers, 10, "the registry answers")

    def _answers(self):
        name, port = self.address.rsplit(":", 1)
        with socket.socket() as sock:
            return sock.connect_ex((name, int(port))) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._log.close()
        self._directory.cleanup()

    def auth_json(self):
        """The text of an auth.json that opens this registry."""
        import base64
        secret = base64.b64encode(":".join(self.account).encode()).decode()
        return json.dumps({"auths": {self.address: {"auth": secret}}})

    def push(self, name, root, env=(), architecture=None):
        """Pushes the tree `root` as `name` (path:tag); returns the digest of its manifest."""
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            layout = make_layout(work, root, env, architecture)
            command = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false",
                       "--digestfile", f"{work}/digest"]
            if self.account:
                command.append("--dest-creds=" + ":".join(self.account))
            quietly([*self._prefix, *command, f"oci:{layout}:image",
                     f"docker://{self.address}/{name}"])
            return pathlib.Path(work, "digest").read_text().strip()


def make_layout(work, root, env=(), architecture=None):
    """An OCI layout below the directory `work` with the one image "image": its path."""
    layout = f"{work}/layout"
    quietly(["umoci", "init", "--layout", layout])
    quietly(["umoci", "new", "--image", layout + ":image"])
    quietly(["umoci", "insert", "--image", layout + ":image", str(root), "/"])
    options = [f"--config.env={text}" for text in env]
    if architecture:
        options.append(f"--architecture={architecture}")
    if options:
        quietly(["umoci", "config", "--image", layout + ":image", *options])
    return layout


def quietly(command):
    """Runs a command that must succeed; what it says is shown only when it does not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


def small_image(registry, name="library/small:1", **options):
    """Pushes a root of a few programs; returns the digest.  options: those of small_roots.make."""
    with tempfile.TemporaryDirectory(prefix="dunlin-test-root-") as work:
        return registry.push(name, small_roots.make(work + "/root", **options))


def _bcrypt(password):
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), b"$2b$05$abcdefghijklmnopqrstuu").decode()
