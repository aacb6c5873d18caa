"""Packages of any Debian release, from the mirrors that this machine's apt uses; never installed
on it.  Signatures are checked with the distribution's keyring."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("DUNLIN_DEPS_CACHE", "/var/cache/dunlin-deps")) / "vm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_SECONDS = 600
UNUSED_SECONDS = 14 * 86400  # after which what is kept goes


class Unavailable(Exception):
    """Something that the machine is made of cannot be had here; the text says what and why."""


def run(command, seconds=APT_SECONDS, **options):
    """Runs a command and returns what it prints; Unavailable with its last lines if it fails."""
    try:
        ended = subprocess.run([str(word) for word in command], text=True, timeout=seconds,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                               stdin=subprocess.DEVNULL, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if ended.returncode != 0:
        raise Unavailable(f"{command[0]} failed: {' '.join(ended.stdout.split()[-60:])}")
    return ended.stdout


def codename():
    """This machine's release, like "bookworm"."""
    text = pathlib.Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)", text, re.M)
    if not found:
        raise Unavailable("this machine is not a release of Debian")
    return found[1]


def sources(release):
    """Lines of a sources.list: this machine's archives of Debian, those of `release` in them."""
    own = codename()
    lines = [line.split() for line in run([REPOSITORY / "tools/apt-archives", own]).splitlines()]
    if not lines:
        raise Unavailable("apt is set up with no mirror of Debian here")
    return [f"deb [signed-by={KEYRING}] {uri} {release}{suite.removeprefix(own)} main"
            for uri, suite in lines]


def made_once(name, make):
    """The directory kept under that name; if there is none, what make(directory) fills, and nothing
    if it fails.  One process at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / name
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            work = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))
            try:
                make(work)
                work.chmod(0o755)
                work.rename(kept)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        os.utime(kept)
        forget_unused()
    return kept


def forget_unused():
    """Images of hundreds of megabytes whose tree has changed since are not wanted any more."""
    for place in CACHE.iterdir():
        if place.is_dir() and time.time() - place.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


class Release:
    """apt for a release, with package lists of its own below `directory`."""

    def __init__(self, release, directory):
        self.directory = pathlib.Path(directory)
        for name in ("lists/partial", "archives/partial", "parts"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "sources.list").write_text("\n".join(sources(release)) + "\n")
        (self.directory / "apt.conf").write_text(
            f'Dir::Etc::SourceList "{self.directory}/sources.list";\n'
            f'Dir::Etc::SourceParts "{self.directory}/parts";\n'
            f'Dir::State::Lists "{self.directory}/lists";\nDir::Cache "{self.directory}";\n'
            'APT::Sandbox::User "root";\n')
        self.environment = {**os.environ, "APT_CONFIG": f"{self.directory}/apt.conf",
                            "LC_ALL": "C"}
        run(["apt-get", "-q", "update"], env=self.environment)

    def depends(self, package):
        """What a package depends on, by name."""
        text = run(["apt-cache", "depends", package], env=self.environment)
        return re.findall(r"^ *Depends: (\S+)", text, re.M)

    def unpack(self, package, target):
        """Downloads a package and unpacks it below `target`; returns its version."""
        run(["apt-get", "-q", "download", package], env=self.environment, cwd=self.directory)
        files = list(self.directory.glob(f"{package}_*.deb"))
        run(["dpkg", "-x", files[0], target])
        return run(["dpkg-deb", "-f", files[0], "Version"]).strip()
