"""How much slower than usual this machine is: the factor by which the tests wait longer.  What
DUNLIN_TEST_SLOWNESS says, as in the emulated machine of tests/vm; else 2 for tests beside which others
run (./test.sh, two files at a time), and 1 for those that run by themselves."""
import os

FACTOR = float(os.environ.get("DUNLIN_TEST_SLOWNESS") or
               ("2" if "PYTEST_XDIST_WORKER" in os.environ else "1"))


def stretched(seconds):
    """A time limit of so many seconds, as it is to be here."""
    return seconds * FACTOR
