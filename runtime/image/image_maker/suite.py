"""Makes a Debian of a named suite with mmdebstrap."""

import glob
import hashlib
import os
import re

from . import ImageError, tree
from .program import run, say

PACKAGES = "python3,python3-pip,python3-venv,ca-certificates,apt"
_NAME = re.compile("[a-z][a-z0-9.-]{0,31}")
_UNSAFE = re.compile(r"[^\x21-\x7e]|[][\"\\<>|^`{}@]")

_CAUSES = (
    (r"No space left on device", None),
    (r"does not have a Release file|404 +Not Found", "{mirror} has no suite {suite}"),
    (r"NO_PUBKEY|not signed|couldn't be verified|EXPKEYSIG|no matching signature|sqv",
     "the signature of {suite} on {mirror} cannot be checked with the keys of this host (is its "
     "debian-archive-keyring recent?)"),
    (r"Could not resolve|Could not connect|Connection (failed|refused|timed out)|Unable to connect"
     r"|Temporary failure|Network is unreachable|Cannot initiate the connection",
     "{mirror} cannot be reached"),
    (r"Unable to locate package|has no installation candidate",
     "{suite} on {mirror} lacks packages that are needed"),
)


def install(name):
    """Fills the root with the suite `name`; returns {"digest", "source"}."""
    if not _NAME.fullmatch(name):
        raise ImageError(f"{name!a} is not the name of a Debian suite")
    main, security = _mirrors()
    lines = [f"deb {main} {name} main"]
    if security:
        lines.append(f"deb {security} {name}-security main")
    # Only stable suites have one of security updates; there is no list of which these are.
    for used in (lines, lines[:1])[:len(lines)]:
        status, said = _mmdebstrap(name, used)
        if status == 0:
            break
        if len(used) == 2 and _is_about(said, f"{name}-security"):
            say(f"There are no security updates for {name}: going on without")
            tree.remove_root()
            continue
        _judge(said, main, name)
    _forget_host()
    return {"digest": "sha256:" + _status_digest(), "source": f"{name} from {main}"}


def _mirrors():
    """The URIs of the archive and of its security updates ("": none)."""
    named = os.environ.get("DUNLIN_DEBIAN_MIRROR", "")
    if named:
        if not re.match("https?://", named) or _UNSAFE.search(named):
            raise ImageError(f"the Debian mirror {named!a} is not an http address")
        return named.rstrip("/"), ""
    archives = list(_archives())
    main = next((uri for uri, suite in archives if "security" not in suite + uri), None)
    if main is None:
        raise ImageError("this host's apt has no Debian mirror: name one in the settings")
    security = (uri for uri, suite in archives if suite.endswith("-security"))
    return main.rstrip("/"), next(security, "").rstrip("/")


def _archives():
    """(URI, suite) of each Debian archive in the host's apt sources, which the tools layer has."""
    for path in sorted(glob.glob("/etc/apt/sources.list")
                       + glob.glob("/etc/apt/sources.list.d/*")):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if path.endswith(".sources"):
            stanzas = (dict(re.findall(r"(?m)^(\w[\w-]*):[ \t]*(.*)$", part))
                       for part in re.split(r"\n[ \t]*\n", text))
            found = [(uri, suite) for one in stanzas if "deb" in one.get("Types", "").split()
                     for uri in one.get("URIs", "").split()
                     for suite in one.get("Suites", "").split()]
        else:
            found = re.findall(r"(?m)^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", text)
        # Other vendors' archives have other suites; Debian's end in this on every mirror.
        yield from ((uri, suite) for uri, suite in found
                    if re.match(r"https?://\S+/debian(-security)?/?$", uri))


def _mmdebstrap(name, lines):
    say("Making Debian " + name + " from " + " and ".join(line.split()[1] for line in lines))
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*"
                for part in ("man", "info", "locale", "lintian", "doc")]
    return run(["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
                "--include=" + PACKAGES, "--skip=chroot/mount,check/empty",
                "--dpkgopt=force-unsafe-io", *excluded,
                "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                "--aptopt=APT::Sandbox::User \"root\"", "--aptopt=Acquire::Retries \"2\"",
                name, tree.ROOT, *lines])


def _is_about(said, suite):
    return any(suite in line and re.search(r"Release file|404 ", line) for line in said)


def _judge(said, mirror, suite):
    for pattern, meaning in _CAUSES:
        if any(re.search(pattern, line) for line in said):
            if meaning is None:
                raise OSError(28, meaning)
            raise ImageError(meaning.format(mirror=mirror, suite=suite))
    errors = [line for line in said if line.startswith("E: ")]
    raise ImageError("mmdebstrap failed: " + (errors or said or ["no reason given"])[-1])


def _forget_host():
    """Empties what mmdebstrap took over from where it ran."""
    for name in ("hostname", "resolv.conf"):
        path = f"{tree.ROOT}/etc/{name}"
        if os.path.lexists(path):
            os.unlink(path)


def _status_digest():
    """Of the package database: equal for equal versions of everything."""
    with open(tree.ROOT + "/var/lib/dpkg/status", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
