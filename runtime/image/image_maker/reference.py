"""OCI references, by the grammar of the distribution specification (and the Go package reference).

    [registry[:port]/]path[:tag][@digest]
"""

import re
from collections import namedtuple

from . import ImageError

Reference = namedtuple("Reference", "registry path tag digest")
"""registry: "" when none is named; tag, digest: "" when not given."""

MAX_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_WHOLE = re.compile(rf"(?:(?P<registry>{_REGISTRY})/)?(?P<path>{_PATH})"
                    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
                    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_MIRROR = re.compile(rf"(?P<registry>{_REGISTRY})(?:/(?P<path>{_PATH}))?")


def parse(text):
    """`text` as a Reference.  Raises ImageError when it is none."""
    registry, slash, rest = text.partition("/")
    named = slash and (re.search("[.:]", registry) or registry == "localhost")
    match = _WHOLE.fullmatch(text if named else "x.x/" + text)
    if match is None or len(text) > MAX_NAME + 200:
        raise ImageError(f"{text!a} is not an image reference ([registry/]name[:tag][@digest])")
    if len(match["path"]) > MAX_NAME:
        raise ImageError(f"the name in the image reference is longer than {MAX_NAME} characters")
    return Reference(match["registry"] if named else "", match["path"], match["tag"] or "",
                     match["digest"] or "")


def mirrored(reference, mirror):
    """`reference`, which names no registry, as `mirror`, host[:port][/path], has it."""
    match = _MIRROR.fullmatch(mirror)
    if match is None:
        raise ImageError(f"the registry mirror {mirror!a} is not host[:port][/path]")
    path = reference.path if "/" in reference.path else "library/" + reference.path
    path = f"{match['path']}/{path}" if match["path"] else path
    return reference._replace(registry=match["registry"], path=path)


def text_of(reference):
    """The reference as a string; one with a digest goes without its tag, as skopeo wants it."""
    name = f"{reference.registry}/{reference.path}" if reference.registry else reference.path
    if reference.digest:
        return f"{name}@{reference.digest}"
    return f"{name}:{reference.tag or 'latest'}"
