"""Programs in C that tests drive, built beside what is installed."""
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIST = pathlib.Path(os.environ.get("DUNLIN_DIST", ROOT / "build/dist"))


def built(path):
    """Where it is: path is that in a build directory.  That is the one of DUNLIN_DRIVERS, or the one that
    DUNLIN_DIST is in, or build/."""
    for build in (pathlib.Path(os.environ.get("DUNLIN_DRIVERS", DIST.parent)), ROOT / "build"):
        if (build / path).exists():
            return build / path
    return pytest.skip(f"{path} has not been built")
