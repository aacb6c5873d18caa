"""What environments and images can do over HTTP beyond the predecessor's contract."""
import json
import time

import pytest

from client import read_events, send_and_hold, unique_name, wait_until
from environments import lines_of, make_environment, slow  # noqa: F401 (a fixture)
from slowness import stretched


def change(client, environment, /, **body):
    """PATCH /environments/{environment}."""
    return client.request("PATCH", f"/environments/{environment}", json=body)


def follow(client, name, query="follow=true", headers=None):
    """The events of GET /environments/{name}/logs."""
    with client.session.get(f"{client.url}/environments/{name}/logs?{query}", stream=True,
                            headers=headers, timeout=60) as response:
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield from read_events(response.iter_content(None), time.monotonic())


# -- routes


def test_a_trailing_slash_and_a_wrong_method_are_as_everywhere(client):
    for path in ("/environments/", "/environments/e-1_x/", "/environments/e/logs/", "/images/"):
        answer = client.get(path)
        assert (answer.status, answer.headers["Location"]) == (307, path.rstrip("/"))
    for method, path, allowed in (("PUT", "/environments", {"GET", "POST"}),
                                  ("POST", "/environments/e", {"GET", "PATCH", "DELETE"}),
                                  ("GET", "/environments/e/rebuild", {"POST"}),
                                  ("DELETE", "/images", {"GET"})):
        answer = client.request(method, path)
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed
    for path in ("/environments/e/nothing", "/environments/a%2Fb", "/environments//logs"):
        assert client.get(path).body == {"detail": "Not Found"}


def test_every_route_needs_the_key(make_server):
    client = make_server(API_KEYS="secret").client()
    for method, path in (("GET", "/environments"), ("POST", "/environments"),
                         ("DELETE", "/environments/x"), ("GET", "/environments/x/logs"),
                         ("GET", "/images"), ("POST", "/images/gc"), ("DELETE", "/images/a/b")):
        assert client.request(method, path).status == 401, path


# -- the built-in one


def test_the_built_in_environment_can_be_seen_and_not_touched(client):
    answer = client.get("/environments/default")
    assert (answer.status, answer["name"], answer["status"]) == (200, "default", "ready")
    assert answer["built_in"] is True
    assert client.get("/environments/default/packages").status == 200
    assert client.get("/environments/default/logs").status == 200
    assert client.request("DELETE", "/environments/default").status == 400
    assert change(client, "default", description="x").status == 400
    assert client.request("POST", "/environments/default/rebuild").status == 400
    for answer in (client.request("DELETE", "/environments/default"),
                   change(client, "default")):
        assert "built in" in answer["detail"]


# -- what is said about an environment


def test_an_environment_says_what_it_is_made_of(make_environment):
    made = make_environment("head -c 3000000 /dev/urandom > /opt/data", warm=["json", "csv"])
    assert made["size_bytes"] > 3000000 > 1000 < made["shared_bytes"]
    assert made["base"] and made["built_at"] >= made["created_at"]
    assert 0 < made["build_seconds"] < 60
    assert (made["warm"], made["built_in"], made["queued"]) == (["json", "csv"], False, False)
    assert (made["phase"], made["queue_place"]) == (None, None)
    assert (made["network"], made["active_runs"], made["total_runs"]) == ("none", 0, 0)


@pytest.mark.parametrize("field, value", [
    ("warm", 5), ("warm", ["a b"]), ("warm", "a;b"), ("warm", ["m"] * 65), ("network", "host"),
    ("build_network", "all"), ("limits", []), ("limits", {"memory_mb": 1 << 40}),
    ("limits", {"memory": 5}), ("timeout", 0), ("timeout", "soon")])
def test_an_extra_that_does_not_fit_is_422(client, field, value):
    body = {"name": unique_name(), "setup_script": "true", field: value}
    answer = client.post(body, "/environments")
    assert answer.status == 422
    assert answer["detail"][0]["loc"][:2] == ["body", field]


def test_a_base_that_cannot_be_had_fails_with_what_was_looked_for(make_environment):
    made = make_environment(base_image="registry.invalid/no/such:1")
    assert made["status"] == "failed"
    assert "registry.invalid/no/such:1" in made["error"] and "dunlin image import" in made["error"]


# -- limits and timeout of its runs


def test_the_limits_of_an_environment_are_those_of_its_runs(client, make_environment):
    name = make_environment(limits={"memory_mb": 64, "processes": 7}, timeout=2)["name"]
    hoard = "x = bytearray(100 << 20); print(len(x))"
    assert "memory" in client.run(hoard, environment=name)["limits_hit"]
    assert client.run(hoard, environment=name, limits={"memory_mb": 256})["success"]
    answer = client.run("import time; time.sleep(20)", environment=name)
    assert answer["timed_out"] and answer.seconds < stretched(8)
    assert client.run("import time; time.sleep(3)", environment=name, timeout=10)["success"]


# -- PATCH


def test_a_change_changes_what_it_names(client, make_environment):
    made = make_environment(description="old", warm=["json"], limits={"memory_mb": 64})
    name = made["name"]
    answer = change(client, name, description="new", timeout=9, limits={"cpu": 0.5})
    assert answer.status == 200
    assert (answer["description"], answer["timeout"], answer["warm"]) == ("new", 9, ["json"])
    assert (answer["limits"]["memory_mb"], answer["limits"]["cpu"]) == (64, 0.5)
    assert change(client, name, warm="csv, json")["warm"] == ["csv", "json"]
    assert change(client, name, warm=[])["warm"] == []
    assert change(client, name, warm=None)["warm"] is None
    assert change(client, name)["description"] == "new"
    assert client.get(f"/environments/{name}")["timeout"] == 9


def test_what_is_built_cannot_be_changed(client, make_environment):
    name = make_environment()["name"]
    for field in ("name", "setup_script", "base_image", "python_version"):
        answer = change(client, name, **{field: "x"})
        assert answer.status == 422
        assert "cannot be changed" in answer["detail"][0]["msg"]
    assert change(client, "no-such", description="x").status == 404
    assert change(client, name, description="x" * 201).status == 422


# -- networks


def test_a_network_beyond_the_ceiling_is_refused(make_server):
    client = make_server(NETWORK_MODE="none", MAX_NETWORK="none").client()
    answer = client.post({"name": unique_name(), "setup_script": "true", "network": "bridge"},
                         "/environments")
    assert answer.status == 422
    answer = client.post({"code": "1", "network": "bridge"})
    assert answer.status == 422
    assert answer["detail"][0]["loc"] == ["body", "network"]
    assert client.run("print(1)", network="none")["isolation"]["network"] == "none"


# -- fresh


def test_a_fresh_run_has_an_interpreter_of_its_own(client, make_environment):
    assert client.run("print(1)", fresh=True)["isolation"]["warm"] is False
    name = make_environment()["name"]
    answer = client.run("print(1)", environment=name, fresh=True)
    assert (answer["stdout"], answer["isolation"]["warm"]) == ("1\n", False)


# -- rebuild


def test_a_rebuild_runs_the_script_again(client, make_environment):
    made = make_environment("date +%N > /opt/when")
    name = made["name"]
    look = "print(open('/opt/when').read())"
    before = client.run(look, environment=name)["stdout"]
    answer = client.request("POST", f"/environments/{name}/rebuild?wait=true")
    assert (answer.status, answer["status"], answer["error"]) == (200, "ready", None)
    assert answer["created_at"] == made["created_at"] and answer["built_at"] > made["built_at"]
    assert client.run(look, environment=name)["stdout"] != before


def test_a_rebuild_waits_as_a_creation_does(client, make_environment):
    name = make_environment(slow(2))["name"]
    answer = client.request("POST", f"/environments/{name}/rebuild?wait=false")
    assert (answer.status, answer.seconds < 1) == (200, True)
    assert client.request("POST", f"/environments/{name}/rebuild").status == 409
    assert client.run("print(1)", environment=name)["stdout"] == "1\n"
    assert client.request("POST", "/environments/no-such/rebuild").status == 404


# -- packages


def test_packages_have_versions(client, make_environment):
    name = make_environment()["name"]
    answer = client.get(f"/environments/{name}/packages")
    assert answer.status == 200 and answer["known"] is True
    assert answer["total"] == len(answer["packages"]) > 0
    assert all(one.keys() == {"name", "version", "manager"} for one in answer["packages"])
    assert client.get("/environments/no-such/packages").status == 404


# -- logs


SCRIPT = "for i in 1 2 3; do echo line-$i; done\nprintf 'h\\303\\244 \\377\\n'\necho end"


def test_the_log_is_text_with_times(client, make_environment):
    name = make_environment(SCRIPT)["name"]
    answer = client.get(f"/environments/{name}/logs")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.text.encode("utf-8", "replace")) \
        or "\ufffd" in answer.text
    lines = lines_of(answer.text)
    assert lines.index("line-1") + 2 == lines.index("line-3") < lines.index("end")
    assert all(line[:2] == "20" for line in answer.text.splitlines())
    assert client.get("/environments/no-such/logs").status == 404


def test_the_log_has_a_tail_and_offsets(client, make_environment):
    name = make_environment(SCRIPT)["name"]
    whole = client.session.get(f"{client.url}/environments/{name}/logs").content
    for n in (0, 1, 2, 1000):
        tail = client.session.get(f"{client.url}/environments/{name}/logs?tail={n}").content
        assert tail == b"".join(whole.splitlines(True)[-n:] if n else [])
    part = client.session.get(f"{client.url}/environments/{name}/logs?offset=30").content
    assert part == whole[30:]
    answer = client.get(f"/environments/{name}/logs?format=json")
    assert (answer["name"], answer["size"]) == (name, len(whole))
    assert answer["log"] == whole.decode("utf-8", "replace")
    assert (answer["offset"], answer["next_offset"]) == (0, len(whole))
    assert client.get(f"/environments/{name}/logs?offset={len(whole) + 5}").text == ""


@pytest.mark.parametrize("query", ["tail=-1", "tail=x", "offset=1.5", "format=xml", "follow=2"])
def test_a_query_of_the_log_that_cannot_be_read_is_422(client, query):
    answer = client.get(f"/environments/default/logs?{query}")
    assert answer.status == 422
    assert answer["detail"][0]["loc"] == ["query", query.split("=")[0]]


def test_a_log_is_followed_to_the_end_of_the_build(client, make_environment):
    script = "for i in 1 2 3; do echo line-$i; sleep 1; done"
    name = make_environment(script, "/environments?wait=false")["name"]
    events = list(follow(client, name))
    text = "".join(one.data["text"] for one in events if one.name == "log")
    assert [line for line in lines_of(text) if line.startswith("line-")] == [
        "line-1", "line-2", "line-3"]
    assert (events[-1].name, events[-1].data) == ("end", {"status": "ready"})
    seen = {part: one.seconds for one in events if one.name == "log"
            for part in ("line-1", "line-3") if part in one.data["text"]}
    assert seen["line-3"] - seen["line-1"] > 1
    assert text == client.get(f"/environments/{name}/logs").text


def test_a_log_is_followed_from_where_one_was(client, make_environment):
    name = make_environment(SCRIPT)["name"]
    whole = client.session.get(f"{client.url}/environments/{name}/logs").content
    for query, headers in (("follow=true&offset=30", None),
                           ("tail=1", {"Accept": "text/event-stream", "Last-Event-ID": "30"})):
        events = list(follow(client, name, query, headers))
        text = "".join(one.data["text"] for one in events if one.name == "log")
        assert text == whole[30:].decode("utf-8", "replace")
        assert events[-2].data["offset"] == len(whole)
        assert (events[-1].name, events[-1].data["status"]) == ("end", "ready")


def test_a_follower_is_told_of_a_failure_and_of_a_deletion(client, make_environment):
    name = make_environment("sleep 1; exit 3", "/environments?wait=false")["name"]
    assert list(follow(client, name))[-1].data == {"status": "failed"}
    name = make_environment("echo begun; sleep 30", "/environments?wait=false")["name"]
    events = follow(client, name)
    next(events)
    assert client.clone().request("DELETE", f"/environments/{name}").status == 200
    assert list(events)[-1].data == {"status": "deleted"}


def test_a_follower_that_goes_away_disturbs_nobody(client, make_environment):
    name = make_environment("for i in $(seq 300); do echo $i; sleep 0.01; done",
                            "/environments?wait=false")["name"]
    for _ in range(5):
        next(follow(client, name))
    wait_until(lambda: client.get(f"/environments/{name}")["status"] == "ready", 30, "it is ready")


# -- clients that go away


def test_a_client_that_goes_away_does_not_end_the_build(client, server):
    name = unique_name("e")
    held = send_and_hold(server.port, {"name": name, "setup_script": slow(2)},
                         path="/environments?wait=true")
    wait_until(lambda: client.get(f"/environments/{name}").status == 200, 5, "it is listed")
    held.close()
    wait_until(lambda: client.get(f"/environments/{name}")["status"] == "ready", 20, "it is ready")
    client.request("DELETE", f"/environments/{name}")


def test_a_run_that_waits_for_a_build_ends_with_its_client(client, server, make_environment):
    name = make_environment(slow(3), "/environments?wait=false")["name"]
    for path in ("/execute", "/execute-with-environment"):
        held = send_and_hold(server.port, {"code": "print(1)", "environment": name}, path=path)
        time.sleep(0.3)
        held.close()
    assert client.run("print(1)", environment=name)["stdout"] == "1\n"
    found = client.get(f"/environments/{name}")
    assert (found["total_runs"], found["active_runs"]) == (1, 0)


def test_runs_in_an_environment_can_be_streamed(client, make_environment):
    name = make_environment(slow(2), "/environments?wait=false")["name"]
    events = list(client.stream("print(1)", environment=name))
    assert (events[0].name, events[-1].name) == ("start", "result")
    assert "".join(one.output for one in events[1:-1]) == "1\n"
    assert events[-1].data["success"] is True


# -- images


def test_images_are_listed_and_collected(client):
    answer = client.get("/images")
    assert answer.status == 200 and answer["total"] == len(answer["images"])
    answer = client.request("POST", "/images/gc")
    assert answer.status == 200 and answer.body.keys() == {"removed", "bytes"}


def test_an_unknown_image_is_404(client):
    for path in ("/images/no/such:1", "/images/no%2Fsuch%3A1", "/images/x"):
        answer = client.request("DELETE", path)
        assert answer.status == 404
        assert "no such image" in answer["detail"]


def test_an_import_names_the_image_and_the_file(client):
    answer = client.post({}, "/images/import")
    assert [one["loc"][1] for one in answer["detail"]] == ["name", "input"]
    for body in ({"name": "-x", "input": 1}, {"name": "a b", "input": 1},
                 {"name": "x", "input": 0}, {"name": "x", "input": "y"},
                 {"name": "x", "input": 1 << 48}, []):
        assert client.post(body, "/images/import").status == 422, body
    answer = client.post({"name": "x", "input": (1 << 48) - 1}, "/images/import")
    assert 400 <= answer.status < 500, json.dumps(answer.body)
    assert answer["detail"]
