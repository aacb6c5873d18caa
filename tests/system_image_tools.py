"""What the tests of the private system copy share: runs of the script, and made-up systems."""
import json
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).parents[1] / "runtime/system/system-image"
NEEDED = ["python3", "bash", "coreutils", "findutils", "grep", "sed", "tar", "gzip", "diffutils",
          "libc-bin"]


class Image:
    """A store and a runtime directory of the tests' own, and runs of the script on them."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.store = self.directory / "store"
        self.runtime = self.directory / "runtime"
        (self.runtime / "node").mkdir(parents=True)
        (self.runtime / "zygote.py").write_text("ANSWER = 42\n")
        (self.runtime / "node/run.js").write_text("1;\n")

    def command(self, *more):
        return [SCRIPT, "--store", self.store, "--runtime", self.runtime, *more]

    def run(self, *more):
        """Runs the script to its end: (answer or None, what it said on stderr)."""
        done = subprocess.run(self.command(*more), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            assert (done.returncode, done.stdout) == (1, "")
            return None, done.stderr
        lines = done.stdout.split("\n")
        assert len(lines) == 2 and lines[1] == ""
        return json.loads(lines[0]), done.stderr

    def make(self, *more):
        """As run(), for a run that must succeed: the answer."""
        answer, said = self.run(*more)
        assert answer is not None, said
        return answer

    def names(self):
        return sorted(path.name for path in self.store.iterdir())

    def expected_names(self, answer):
        """What the store holds when nothing is left over."""
        trees = [pathlib.Path(answer[kind]).name for kind in ("runtime", "system")]
        return sorted(["current.json", "lock"] + trees + [name + ".manifest" for name in trees])


class Debian:
    """A made-up root with the packages that are always needed, each one file big."""
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.packages = {}
        for name in ("var/lib/dpkg/info", "var/lib/dpkg/alternatives", "etc/alternatives",
                     "usr/bin", "usr/lib"):
            (self.root / name).mkdir(parents=True)
        (self.root / "bin").symlink_to("usr/bin")
        (self.root / "lib").symlink_to("usr/lib")
        for name in NEEDED:
            self.install(name, {f"/usr/bin/{name}": f"{name}\n"})

    def install(self, name, files, **fields):
        """Installs a package: files as {path: text, or a link's target in a tuple}."""
        self.packages[name] = fields
        for path, content in files.items():
            place = self.root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                place.symlink_to(content[0])
            else:
                place.write_text(content)
                place.chmod(0o755)
        listing = "".join(f"{path}\n" for path in ["/.", *files])
        (self.root / f"var/lib/dpkg/info/{name}.list").write_text(listing)
        blocks = []
        for package, more in self.packages.items():
            blocks.append(f"Package: {package}\nStatus: install ok installed\nArchitecture: all\n"
                          "Version: 1\nMaintainer: x\nDescription: x\n"
                          + "".join(f"{key.replace('_', '-')}: {value}\n"
                                    for key, value in more.items()))
        (self.root / "var/lib/dpkg/status").write_text("\n".join(blocks))

    def alternative(self, name, link, choices, chosen):
        body = "".join(f"{choice}\n50\n" for choice in choices)
        (self.root / f"var/lib/dpkg/alternatives/{name}").write_text(f"auto\n{link}\n\n{body}\n")
        (self.root / f"etc/alternatives/{name}").symlink_to(chosen)
        (self.root / link.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (self.root / link.lstrip("/")).symlink_to(f"/etc/alternatives/{name}")
