"""An OCI layout on the scratch disk, as skopeo writes it: unpacks its one image."""

import json
import os
import re

from . import ImageError, tree
from .program import run, say

FOLDER = tree.SCRATCH + "/oci"
# No policy of signatures: who may name an image is decided elsewhere.
SKOPEO = ("skopeo", "--insecure-policy", "--tmpdir", tree.SCRATCH)
TARGET = f"oci:{FOLDER}:image"
_MAX_CONFIG = 8 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def unpack():
    """Unpacks the image into the root; umoci applies whiteouts and leaves out devices."""
    _check_config()
    status, complaints = run(["umoci", "raw", "unpack", "--image", FOLDER + ":image", tree.ROOT])
    if status == 0:
        return
    said = complaints[-1] if complaints else ""
    if "no space left on device" in said:
        raise OSError(28, said)
    raise ImageError("its layers cannot be unpacked: " + (said or "umoci failed"))


def digest():
    """The digest of the image's manifest."""
    return _read("index.json")["manifests"][0]["digest"]


def _check_config():
    """Refuses an image for another kind of machine; a registry that has just one gives that."""
    try:
        config = _read(_blob(_read(_blob(digest()))["config"]["digest"]))
        made_for = (str(config.get("os", "linux")), str(config["architecture"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ImageError("its manifest or its configuration is damaged") from None
    here = _ARCHITECTURES.get(os.uname().machine, os.uname().machine)
    if made_for != ("linux", here):
        raise ImageError(f"it is made for {'/'.join(made_for)!a}, and this machine is linux/{here}")
    _note_path(config)


def _note_path(config):
    """Tells in the log what of the image's PATH is not searched in environments."""
    try:
        variables = config["config"].get("Env") or []
        found = [text[len("PATH="):] for text in variables if text.startswith("PATH=")]
        strange = [part for part in ":".join(found).split(":")
                   if part and part.strip("/") not in tree.PATH]
    except (KeyError, TypeError, AttributeError):
        return
    if strange:
        say("Note: this image has programs that environments do not look for, in "
            + ", ".join(strange)[:500].encode("ascii", "backslashreplace").decode())


def _blob(name):
    if not re.fullmatch("sha256:[0-9a-f]{64}", name):
        raise ValueError(name)
    return "blobs/" + name.replace(":", "/")


def _read(name):
    with open(f"{FOLDER}/{name}", "rb") as file:
        return json.loads(file.read(_MAX_CONFIG))
