"""Curious and hostile users of environments: each gets a clear answer, and nobody else notices."""
import concurrent.futures
import random
import subprocess

import pytest

from client import unique_name, wait_until
from environments import create, delete, environment, layers, log, wait_for
from server import Server, state_directory

WITHOUT_PYTHON = ("find / -xdev -name 'python*' -path '*bin*' -delete; rm -f /bin/bash /usr/bin/bash; "
                  "hash -r; ! command -v python3")


@pytest.fixture
def full_disk():
    """A server whose data directory is a small file system of its own: (server, fill, empty)."""
    place = state_directory("full")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200m,mode=755", "tmpfs", place], check=True)
    server = Server(place, {"DISK_RESERVE": "0"})
    filler = place / "filler"

    def fill():
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False,
                       capture_output=True)

    try:
        server.start()
        yield server, fill, filler.unlink
        server.stop()
    finally:
        server.abandon()
        subprocess.run(["umount", place], check=True)
        place.rmdir()


@pytest.mark.deadline(120)
def test_code_in_an_environment_without_its_interpreter_is_answered_as_a_shell_would(client):
    """It is the environment that lacks it: no 503, which would mean that the server is ill."""
    with environment(client, WITHOUT_PYTHON) as name:
        for _ in range(8):  # who has not read his job is heard all the same
            answer = client.run("print(1)", environment=name)
            assert (answer["success"], answer["exit_code"]) == (False, 127), answer.text
            assert answer["stderr"] == ("dunlin: python3 cannot be started in this environment: "
                                        "No such file or directory\n")
        answer = client.run("x=1; echo hi $((x + 1))", environment=name, language="shell")
        assert (answer["success"], answer["stdout"]) == (True, "hi 2\n"), answer.text


def test_what_a_terminal_obeys_is_not_in_a_log(client):
    script = r"printf '\033[31mred\033[0m \302\2332J\302\205 \342\202\254\n'; exit 3"
    name = create(client, script, status="failed")["name"]
    text = client.get(f"/environments/{name}")["error"] + log(client, name)
    assert text.count("red   2J   €") == 2, text
    assert not any(c < " " and c != "\n" or "\x7f" <= c <= "\x9f" for c in text)
    delete(client, name)


@pytest.mark.deadline(120)
def test_a_full_disk_stops_no_run_and_no_deletion(full_disk):
    """Builds are refused in words; deleting, which makes room, needs none."""
    server, fill, empty = full_disk
    client = server.client()
    made = create(client, "echo kept > /x", name="kept")
    create(client, "echo other > /x", name="other")
    fill()
    answer = client.post({"name": "new", "setup_script": "true"}, path="/environments?wait=true")
    assert answer.status == 503 and "disk" in answer.text or "disk" in (answer["error"] or "")
    look = {"code": "print(open('/x').read())", "environment": "kept"}
    assert client.post(look)["stdout"] == "kept\n\n"
    answer = client.request("DELETE", "/environments/other")
    assert (answer.status, client.get("/environments/other").status) == (200, 404), answer.text
    empty()
    assert client.get("/environments/kept")["created_at"] == made["created_at"]
    create(client, "echo later > /x", name="new2")
    assert client.get("/health").status == 200


@pytest.mark.deadline(180)
def test_anything_at_once_on_one_name_ends_in_answers_and_leaves_nothing(make_server):
    """No request hangs or fails for a reason of ours, no record is stuck, no layer is left."""
    server = make_server(BUILD_CONCURRENCY=2)
    client = server.client()
    create(client, f"true # {unique_name()}", name="warm-up")
    with_one = layers(server.data)
    delete(client, "warm-up")
    wait_until(lambda: layers(server.data) < with_one, 20, "its layer is gone")
    seen = []
    before = layers(server.data)  # the base, and what other tests keep in this directory

    def work(seed):
        chance, own = random.Random(seed), client.clone()
        for _ in range(25):
            name = f"n{chance.randrange(2)}"
            method, path, body = chance.choice([
                ("POST", "/environments?wait=true", {"name": name, "setup_script": f"sleep .1 # {seed}"}),
                ("POST", "/environments?wait=false", {"name": name, "setup_script": "exit 1"}),
                ("DELETE", f"/environments/{name}", None),
                ("POST", f"/environments/{name}/rebuild?wait=true", {}),
                ("PATCH", f"/environments/{name}", {"warm": ["json"]}),
                ("GET", f"/environments/{name}/logs?follow=true", None),
                ("POST", "/images/gc", {}),
                ("POST", "/execute", {"code": "print(1)", "environment": name, "timeout": 5})])
            seen.append((method, path, own.request(method, path, json=body).status))

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(work, range(10)))
    assert {status for *_, status in seen} <= {200, 400, 404, 409}, seen
    for one in client.get("/environments")["environments"]:
        done = wait_for(client, one["name"], lambda o: o["status"] != "building", 20)
        assert done["active_runs"] == 0
        delete(client, one["name"])
    wait_until(lambda: layers(server.data) <= before, 20, "no layer of ours is left")
    assert client.run("print(1)")["stdout"] == "1\n"
