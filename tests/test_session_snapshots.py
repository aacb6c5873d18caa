"""Snapshots of workspaces: made, listed, restored, forked, deleted."""
import pytest

from client import unique_name
from session_client import Session, eventually, session


@pytest.fixture(name="one")
def a_session(client):
    with session(client, size="2M") as it:
        it.write("f", b"first")
        yield it


def snapshot(s, **wanted):
    """Makes one; its facts."""
    answer = s.client.post(wanted, path=s.path + "/snapshots")
    assert answer.status == 201, answer.text
    return answer.body


def test_a_snapshot_is_what_was_there(client, one):
    kept = snapshot(one, name="before ü")
    assert kept["session"] == one.id and kept["name"] == "before ü" and kept["size"] == 2 << 20
    one.write("f", b"second")
    one.write("g", b"new")
    assert one.get("/snapshots")["snapshots"] == [kept]
    assert kept in client.get("/v1/snapshots")["snapshots"]
    answer = one.post("/restore", snapshot=kept["id"])
    assert answer.status == 200 and answer["id"] == one.id
    assert one.read("f") == b"first" and one.get("/files/g").status == 404
    assert client.request("DELETE", f"/v1/snapshots/{kept['id']}").status == 204
    assert client.request("DELETE", f"/v1/snapshots/{kept['id']}").status == 404
    assert one.get("/snapshots")["snapshots"] == []
    assert one.read("f") == b"first"


def test_restore_ends_what_runs(one):
    kept = snapshot(one)
    number = one.background("sleep 100")
    assert one.post("/restore", snapshot=kept["id"]).status == 200
    eventually(lambda: not one.get(f"/processes/{number}").get("running"))
    one.client.request("DELETE", f"/v1/snapshots/{kept['id']}")


def test_a_session_may_begin_as_a_snapshot(client, one):
    kept = snapshot(one)
    one.delete()
    with session(client, snapshot=kept["id"]) as other:
        assert other.read("f") == b"first"
        assert other.facts["size"] == 2 << 20
    client.request("DELETE", f"/v1/snapshots/{kept['id']}")


def test_a_fork_goes_its_own_way(client, one):
    one.background("while true; do date > clock; sleep 0.05; done")
    answer = one.post("/fork", id=unique_name("f."), labels={"a": "b"})
    assert answer.status == 201, answer.text
    assert answer["labels"] == {"a": "b"} and answer["size"] == 2 << 20
    fork = Session.__new__(Session)
    fork.client, fork.id, fork.path = client, answer["id"], f"/v1/sessions/{answer['id']}"
    try:
        assert fork.read("f") == b"first"
        fork.write("f", b"forked")
        assert one.read("f") == b"first"
        assert client.get("/v1/snapshots")["snapshots"] == []
    finally:
        fork.delete()


@pytest.mark.parametrize("path, wanted, status", [
    ("/restore", {}, 422), ("/restore", {"snapshot": "no-such"}, 404),
    ("/restore", {"snapshot": "../x"}, 404), ("/fork", {"id": "../x"}, 400),
    ("/fork", {"snapshot": "x"}, 422), ("/snapshots", {"name": 7}, 422),
    ("/snapshots", {"name": "x" * 300}, 422)])
def test_what_is_asked_for_wrongly(one, path, wanted, status):
    assert one.post(path, **wanted).status == status


def test_a_fork_needs_a_new_id(one):
    assert one.post("/fork", id=one.id).status == 409


def test_sessions_in_memory_have_no_snapshots(client):
    with session(client, ephemeral=True) as s:
        assert s.post("/snapshots").status in (400, 409)
        assert s.post("/fork").status in (400, 409)
