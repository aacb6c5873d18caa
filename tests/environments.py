"""Environments for the tests: made by name, deleted at the end."""
import contextlib
import pathlib
import time

import pytest

from client import unique_name
from slowness import stretched

BUILD_SECONDS = 55
CREATE_SECONDS = 300


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


def create(client, script="true", name=None, status="ready", **fields):
    """Creates an environment and waits until its build has ended with `status`; returns the answer."""
    name = name or unique_name("e")
    answer = client.post({"name": name, "setup_script": script, **fields},
                         path="/environments?wait=true", timeout=CREATE_SECONDS)
    assert answer.status == 200, answer.text[:2000]
    assert answer["status"] == status, f"{answer['status']}: {answer['error']}\n{log(client, name)}"
    return answer


@contextlib.contextmanager
def environment(client, script="true", **fields):
    """An environment for the block; yields its name."""
    name = create(client, script, **fields)["name"]
    try:
        yield name
    finally:
        delete(client, name)


def delete(client, name):
    """Deletes it; absent is fine."""
    answer = client.request("DELETE", f"/environments/{name}")
    assert answer.status in (200, 404), answer.text


def log(client, name, **query):
    """The build log as text."""
    return client.get(f"/environments/{name}/logs", params=query).text


def wait_for(client, name, condition, seconds=60):
    """Polls the environment until condition(object) holds; returns the object."""
    end = time.monotonic() + stretched(seconds)
    while True:
        answer = client.get(f"/environments/{name}")
        if condition(answer.body):
            return answer.body
        assert time.monotonic() < end, answer.text[:2000]
        time.sleep(0.05)


def layers(data):
    """Names of the files in the layers directory of a state directory."""
    place = pathlib.Path(data) / "layers"
    return {one.name for one in place.iterdir()} if place.is_dir() else set()
