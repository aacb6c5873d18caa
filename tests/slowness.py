"""How much slower than usual this machine is: the factor by which the tests wait longer.  1, or what
DUNLIN_TEST_SLOWNESS says, as in the emulated machine of tests/vm."""
import os

FACTOR = float(os.environ.get("DUNLIN_TEST_SLOWNESS", "1"))


def stretched(seconds):
    """A time limit of so many seconds, as it is to be here."""
    return seconds * FACTOR
