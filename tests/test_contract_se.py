"""The session routes of sandbox_runtime: sessions themselves (contract B1, B6, rulings 17 to 24)."""
import time

import pytest

from se import PREFIX, Workspace, refusal, se_client, shared, value, workspace  # noqa: F401 (fixtures)


def test_healthy_answers_both_generations(server):
    answer = server.client().get(f"{PREFIX}/healthy")
    assert answer.status == 200
    assert answer.body == {"status": "success", "result": "ok",
                           "full_result": {"status": "success"}}


def test_the_description_is_at_api_json_too(server):
    assert server.client().get("/api.json").body == server.client().get("/openapi.json").body


def test_a_session_is_made_once(workspace):
    assert workspace.make().body == {"session_id": workspace.id, "result": workspace.id,
                                     "full_result": {"session_id": workspace.id}}
    refusal(workspace.make(size="10M"), 400, "Failed to create session", "Session already exists")


@pytest.mark.parametrize("size", ["1M", "2048k", "1048576", "1%", "64K", None, ""])
def test_sizes_are_those_of_tmpfs(workspace, size):
    assert value(workspace.make(size=size), workspace.id) == {"session_id": workspace.id}


@pytest.mark.parametrize("size", ["1M,mode=777", "-1", "1.5G", "x", "0", " 1M", "1MB", "200%"])
def test_a_size_that_is_none_is_refused_and_injects_nothing(workspace, size):
    refusal(workspace.make(size=size), 400, "Failed to create session", "")
    assert not value(workspace.get("status"))["exists"]


def test_the_size_is_enforced(workspace):
    workspace.make(size="1M")
    answer = workspace.execute("head -c 5000000 /dev/zero > big; echo $?; stat -c %s big")
    code, size = answer["stdout"].split()
    assert code != "0"
    assert int(size) <= 1 << 20


def test_a_body_is_needed_and_checked(se_client, workspace):
    url = f"{PREFIX}/session/{workspace.id}"
    for answer in (se_client.request("POST", url), se_client.post(b"", path=url),
                   se_client.post({"size": 5}, path=url), se_client.post([], path=url),
                   se_client.post(b"{", path=url)):
        assert answer.status == 422
        assert "url" not in answer["detail"][0]


@pytest.mark.parametrize("name", ["-x", ".x", "a b", "a:b", "x" * 129, "名"])
def test_an_id_that_is_none_is_refused_where_a_session_would_be_made(se_client, name):
    one = Workspace(se_client, name)
    answer = one.make()
    assert answer.status == 400
    assert answer["message"] == "Failed to create session"
    assert one.post("execute", {"command": "true"}).status == 400
    assert not value(one.get("status"))["exists"]
    assert value(one.delete()) == {"status": "success"}


def test_a_session_is_deleted_with_all_that_is_in_it(workspace):
    workspace.write("a.txt", "x")
    assert value(workspace.delete()) == {"status": "success"}
    assert not value(workspace.get("status"))["exists"]
    assert workspace.names() == []


def test_deleting_what_never_was_succeeds(workspace):
    assert value(workspace.delete()) == {"status": "success"}


def test_status_tells_of_a_session_and_its_files(workspace):
    before = time.time()
    workspace.make(size="2M")
    workspace.write("b.tar.gz", "12345")
    workspace.write("d/inner", "x")
    workspace.write("stdout.log", "x")
    found = value(workspace.get("status"))
    assert found["id"] == workspace.id
    assert found["exists"] is True
    assert found["is_mounted"] is True
    assert found["mount_point"] == f"/tmp/sandbox_{workspace.id}"
    assert before - 1 < found["created_at"] < time.time() + 1
    files = {entry["filename"]: entry for entry in found["files"]}
    assert set(files) == {"b.tar.gz", "stdout.log"}
    entry = files["b.tar.gz"]
    assert (entry["name"], entry["size"], entry["type"]) == ("b.tar.gz", 5, "gz")
    assert before - 5 < entry["modified_at"] < time.time() + 5
    assert found["size"] == 2 << 20
    assert found["expires_soon"] is False
    assert found["expires_at"] > time.time() + 80000


def test_status_of_a_session_that_is_not_there(workspace):
    assert value(workspace.get("status")) == {
        "id": workspace.id, "exists": False, "created_at": None, "mount_point": None,
        "is_mounted": False, "files": []}


def test_workspaces_lists_the_sessions(se_client, workspace):
    before = time.time()
    workspace.make()
    found = value(se_client.get(f"{PREFIX}/workspaces"))["workspaces"][workspace.id]
    assert found["mount_point"] == f"/tmp/sandbox_{workspace.id}"
    assert before - 1 < found["created_at"] < time.time() + 1


MAKERS = {
    "upload": lambda w: w.upload("a", b"x"),
    "download": lambda w: w.get("download", "a"),
    "create": lambda w: w.post("create", {"content": "x", "filename": "a"}),
    "execute": lambda w: w.post("execute", {"command": "true"}),
    "execute_code": lambda w: w.post("execute_code", {"code": "1"}),
    "files": lambda w: w.client.get(f"{PREFIX}/files/{w.id}/"),
    "preview": lambda w: w.client.get(f"{PREFIX}/files/preview/{w.id}/a.txt?sid=1"),
    "readfile": lambda w: w.get("readfile", "a"),
}
LOOKERS = {
    "status": lambda w: w.get("status"),
    "delete": lambda w: w.delete(),
    "workspaces": lambda w: w.client.get(f"{PREFIX}/workspaces"),
    "redirect": lambda w: w.client.get(f"{PREFIX}/files/{w.id}"),
}


@pytest.mark.parametrize("route", MAKERS)
def test_these_routes_make_the_session(workspace, route):
    MAKERS[route](workspace)
    assert value(workspace.get("status"))["exists"], route
    assert value(workspace.get("status"))["size"] == 100 << 20


@pytest.mark.parametrize("route", LOOKERS)
def test_these_routes_make_none(workspace, route):
    LOOKERS[route](workspace)
    assert not value(workspace.get("status"))["exists"], route


def test_two_first_requests_at_once_share_the_session(server, workspace):
    import client as clients
    jobs = [lambda i=i: Workspace(server.client(), workspace.id).write(f"f{i}", "x")
            for i in range(6)]
    clients.together(jobs)
    assert workspace.names() == [f"f{i}" for i in range(6)]


def test_sessions_of_another_key_are_neither_seen_nor_touched_nor_cleaned(make_server):
    server = make_server(API_KEYS="alpha-key-1,beta-key-2")
    mine, other = server.client("alpha-key-1"), server.client("beta-key-2")
    one, same = Workspace(mine, "same"), Workspace(other, "same")
    one.write("a", "x")
    assert not value(same.get("status"))["exists"]
    assert value(other.get(f"{PREFIX}/workspaces")) == {"workspaces": {}}
    assert value(same.delete()) == {"status": "success"}
    assert value(other.post({"force": True}, path=f"{PREFIX}/cleanup-all"))["total"] == 0
    assert same.get("download", "a").status >= 400
    assert one.names() == ["a"]
    assert server.client().get(f"{PREFIX}/workspaces").status == 401
    assert server.client().get(f"{PREFIX}/healthy").status == 200

    # cleanup-all: what runs is left alone, unless forced
    Workspace(mine, "quiet").write("b", "x")
    held = server.client("alpha-key-1")
    import threading
    thread = threading.Thread(
        target=lambda: Workspace(held, "same").execute("touch started; sleep 30"), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while "started" not in one.names():
        assert time.monotonic() < deadline
    found = value(mine.post({}, path=f"{PREFIX}/cleanup-all"))
    assert found == {"total": 2, "success": 1, "failed": [], "skipped": ["same: 会话正在运行"]}
    found = value(mine.post({"force": True}, path=f"{PREFIX}/cleanup-all"))
    assert found == {"total": 1, "success": 1, "failed": [], "skipped": []}
    thread.join(10)
    assert not thread.is_alive()
    assert value(mine.get(f"{PREFIX}/workspaces")) == {"workspaces": {}}
