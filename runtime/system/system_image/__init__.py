"""Makes the private copy of the host's system files that sandboxes execute from.

Runs as root, on trusted input only: the host's package database and files, and Dunlin's own
runtime directory.  It never sees a byte that came from a client or from inside a sandbox.
"""


class ImageError(Exception):
    """A reason, in words for the operator, why the copy cannot be made."""
