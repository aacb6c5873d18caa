"""Names and paths as parts of a URL.

HTTP clients resolve the parts "." and ".." before they send (RFC 3986, 5.2.4), percent-encoded ones
too, so that such a name would lead to another address: of another session, or of a session itself.
"""
from urllib.parse import quote

from .errors import InvalidRequest


def name_part(name):
    """A name as one part.  Raises InvalidRequest where it is none."""
    if name in ("", ".", ".."):
        raise InvalidRequest(400, "%r is not a name" % name)
    return quote(name, safe="")


def path_parts(path):
    """A path as parts, without those that are ".".  Raises InvalidRequest where one is ".."."""
    names = [name for name in path.split("/") if name != "."]
    if ".." in names:
        raise InvalidRequest(400, "path must not contain '..'")
    return "/".join(quote(name, safe="") for name in names)
