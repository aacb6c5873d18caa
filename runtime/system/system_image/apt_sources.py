"""The host's apt sources, as far as a sandbox may know them: archives that need no password."""

import glob
import re

_PASSWORD = re.compile(r"://[^/\s]*@")
_PLACES = ("sources.list", "sources.list.d/*.list", "sources.list.d/*.sources")


def read(host):
    """The files below etc/apt as a dict of path to text; archives with a password are left out.

    Comments go: what an administrator noted there is nobody's business.
    """
    found = {}
    for place in _PLACES:
        for name in sorted(glob.glob(place, root_dir=host.real("etc/apt"))):
            with open(host.real("etc/apt/" + name), encoding="utf-8", errors="replace") as lines:
                text = lines.read()
            text = _stanzas(text) if name.endswith(".sources") else _lines(text)
            if text:
                found["etc/apt/" + name] = text
    return found


def _lines(text):
    kept = (line.partition("#")[0].strip() for line in text.splitlines())
    return "".join(line + "\n" for line in kept if line and not _PASSWORD.search(line))


def _stanzas(text):
    text = "".join(line + "\n" for line in text.splitlines() if not line.startswith("#"))
    parts = (part.strip("\n") for part in re.split(r"\n[ \t]*\n", text))
    kept = [part + "\n" for part in parts if part.strip() and not _PASSWORD.search(part)
            and not re.search(r"(?im)^enabled:\s*(no|false|0)\s*$", part)]
    return "\n".join(kept)
