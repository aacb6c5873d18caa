"""Pulls an image from a registry: skopeo fetches it, umoci unpacks it."""

import hashlib
import os
import re

from . import ImageError, layout, reference
from .program import run, say

AUTH = "auth.json"

# What skopeo says, and what it means; the first that fits.
_CAUSES = (
    (r"no space left on device|disk quota exceeded", None),
    (r"toomanyrequests|429", "{} wants us to come again later (too many requests)"),
    (r"x509:|certificate|tls:|TLS handshake|HTTP response to HTTPS",
     "{} offers no TLS connection that can be trusted (one without TLS must be in the list of "
     "insecure registries)"),
    (r"unauthorized|authentication required|denied|forbidden|invalid username|status: 40[13]",
     "{} does not have it, or not without (other) credentials"),
    (r"manifest unknown|name unknown|not found|not known to registry|status: 404",
     "{} does not have it"),
    (r"no image found in (manifest list|image index)|no image satisfies",
     "{} has no version of it for this machine"),
    (r"no such host|dial tcp|connection refused|timeout|unreachable|no route|EOF|connection reset"
     r"|deadline exceeded|server misbehaving|status: 5\d\d", "{} cannot be reached"),
)


def pull(text):
    """Fills the root from the image `text`; returns {"digest", "source"}."""
    wanted = reference.parse(text)
    tried = []
    for place in _places(wanted):
        try:
            return _pull_from(place)
        except _Unavailable as error:
            tried.append(str(error))
    raise ImageError(f"{text}: " + "; ".join(tried))


class _Unavailable(Exception):
    """Why one place did not give the image."""


def _places(wanted):
    mirror = os.environ.get("DUNLIN_MIRROR", "")
    if mirror and not wanted.registry:
        yield reference.mirrored(wanted, mirror)
    yield wanted


def _pull_from(place):
    """Pins the digest first, so that what is unpacked is what the record names."""
    options = _options(place)
    raw = []
    source = "docker://" + reference.text_of(place)
    say(f"Pulling {reference.text_of(place)}")
    _skopeo(["inspect", "--raw", *(option.replace("--src-", "--") for option in options), source],
            place, raw)
    digest = "sha256:" + hashlib.sha256(raw[0]).hexdigest()
    if place.digest not in ("", digest):
        raise _Unavailable(f"{_name(place)} answers with another digest than {place.digest}")
    pinned = place._replace(digest=digest)
    _skopeo(["copy", *options, "docker://" + reference.text_of(pinned), layout.TARGET], place)
    layout.unpack()
    return {"digest": digest, "source": reference.text_of(place)}


def _options(place):
    options = ["--retry-times=2"]
    if place.registry and place.registry in os.environ.get("DUNLIN_INSECURE", "").split(","):
        options.append("--src-tls-verify=false")
    if os.path.exists(AUTH):
        options.append("--src-authfile=" + os.path.abspath(AUTH))
    return options


def _skopeo(arguments, place, kept=None):
    status, complaints = run([*layout.SKOPEO, *arguments], kept)
    if status == 0:
        return
    # Retried attempts warn before the last one fails.
    said = " ".join(complaints[-1:])
    for pattern, meaning in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            if meaning is None:
                raise OSError(28, said)
            raise _Unavailable(meaning.format(_name(place)))
    raise _Unavailable(f"{_name(place)}: {said or 'skopeo failed'}")


def _name(place):
    if not place.registry:
        return "the default registry"
    return f"the registry {place.registry}"
