"""Descriptors of a process that a test starts by fork: which of the test's own it keeps, and as which numbers."""
import fcntl
import os

_OUT_OF_THE_WAY = 1000  # above every number that is given, or that a test has open


def become(*fds, first=3):
    """Makes ``fds`` the numbers ``first``, ``first + 1``, ... of this process and closes all above them, whatever
    numbers they had."""
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for fd in fds]
    for number, fd in enumerate(kept, first):
        os.dup2(fd, number)
    os.closerange(first + len(kept), _OUT_OF_THE_WAY + 1000)
