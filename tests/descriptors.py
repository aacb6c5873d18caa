"""Descriptors of a process that a test starts by fork: which of the test's own it keeps, and as which numbers."""
import fcntl
import os

_OUT_OF_THE_WAY = 1000  # above every number that is given, or that a test has open
_PAGE = 200  # INSTRUMENT_FD of tests/instrument


def keep_page():
    """Opens the page of an instrumented build, if there is one, where a program without an environment finds
    it; become() leaves it open."""
    if "DUNLIN_INSTRUMENT" in os.environ:
        fd = os.open(os.environ["DUNLIN_INSTRUMENT"], os.O_RDWR)
        os.dup2(fd, _PAGE)
        os.close(fd)


def become(*fds, first=3):
    """Makes ``fds`` the numbers ``first``, ``first + 1``, ... of this process and closes all above them, whatever
    numbers they had; what keep_page() opened stays."""
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for fd in fds]
    for number, fd in enumerate(kept, first):
        os.dup2(fd, number)
    end = first + len(kept)
    if "DUNLIN_INSTRUMENT" in os.environ:
        os.closerange(end, _PAGE)
        end = _PAGE + 1
    os.closerange(end, _OUT_OF_THE_WAY + 1000)
