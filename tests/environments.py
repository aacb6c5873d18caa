"""Environments for the tests: made by name, deleted at the end."""
import contextlib

import pytest

from client import unique_name

BUILD_SECONDS = 55


@pytest.fixture
def make_environment(client):
    """make_environment(script="true", **fields) creates an environment, waits until its build has
    ended and returns the answer, which must be 200.  All are deleted at the end of the test."""
    names = []

    def make(script="true", path="/environments?wait=true", **fields):
        fields.setdefault("name", unique_name("e"))
        names.append(fields["name"])
        answer = client.post({"setup_script": script, **fields}, path, timeout=BUILD_SECONDS)
        assert answer.status == 200, answer.text[:500]
        return answer

    yield make
    for name in names:
        with contextlib.suppress(AssertionError):
            client.request("DELETE", f"/environments/{name}")


def lines_of(log):
    """The lines of a log, each without the time in front of it."""
    return [line.split(" ", 1)[-1] for line in log.splitlines()]


def slow(seconds):
    """A script that takes so long, and that no other test has run: equal ones are built once."""
    return f"sleep {seconds} # {unique_name()}"
