"""/v1/sessions: making, listing, changing, sleeping, deleting, and whose they are."""
import pytest

from client import unique_name
from server import held
from session_client import Session, eventually, session

BUSY = "import os\nif os.fork() == 0:\n    while True: pass"


@pytest.fixture(name="one")
def a_session(client):
    with session(client, ephemeral=True) as it:
        yield it


def test_a_session_says_all_that_was_asked_for(client):
    wanted = {"id": unique_name("s."), "size": "1M", "env": {"A": "ü\"1"}, "labels": {"k": "v"},
              "idle_timeout": 60, "idle_ttl": 3600, "ttl": -1, "limits": {"processes": 20}}
    with session(client, **wanted) as s:
        assert s.id == wanted["id"]
        facts = client.get(s.path).body
        assert facts == s.facts
        assert facts["size"] == 1 << 20 and facts["state"] == "asleep" and not facts["ephemeral"]
        assert facts["env"] == {"A": "ü\"1"} and facts["labels"] == {"k": "v"}
        assert (facts["idle_timeout"], facts["idle_ttl"], facts["ttl"]) == (60, 3600, None)
        assert facts["limits"]["processes"] == 20 and facts["network"] == "none"
        assert facts["expires_at"] > facts["created_at"] and not facts["expires_soon"]
        assert s.shell("printf %s \"$A\"") == "ü\"1"
        assert client.get(s.path)["state"] == "awake"


def test_a_body_may_be_missing_and_ids_are_not_guessable(client):
    answers = [client.request("POST", "/v1/sessions") for _ in range(2)]
    ids = [answer["id"] for answer in answers]
    assert len(set(ids)) == 2 and all(len(one) >= 20 for one in ids)
    for one in ids:
        assert client.request("DELETE", f"/v1/sessions/{one}").status == 204


@pytest.mark.parametrize("size, expected", [
    ("100M", 100 << 20), ("64k", 64 << 10), ("1g", 1 << 30), (1 << 20, 1 << 20),
    ("1048576", 1 << 20), ("1%", (10 << 30) // 100)])
def test_sizes_are_written_as_in_the_contract(client, size, expected):
    with session(client, size=size) as s:
        assert s.facts["size"] == expected


@pytest.mark.parametrize("wanted, status", [
    ({"size": "1M,exec"}, 422), ({"size": "-1"}, 422), ({"size": "0"}, 422), ({"size": "1T"}, 422),
    ({"size": ""}, 422), ({"size": []}, 422), ({"size": "101%"}, 422), ({"size": "999G"}, 400),
    ({"size": "1k"}, 400), ({"id": ""}, 400), ({"id": "../x"}, 400), ({"id": ".x"}, 400),
    ({"id": "a" * 129}, 400), ({"id": "a/b"}, 400), ({"id": "a\n"}, 400), ({"id": "a\0"}, 422),
    ({"id": 7}, 422), ({"ttl": 0}, 422), ({"ttl": -2}, 422), ({"ttl": 10**18}, 422),
    ({"idle_timeout": "soon"}, 422), ({"env": {"A=": "x"}}, 422), ({"env": {"": "x"}}, 422),
    ({"env": {"A": "x\0"}}, 422), ({"env": []}, 422), ({"labels": {"a": 1}}, 422),
    ({"labels": {"a": "x" * 5000}}, 422), ({"network": "moon"}, 422),
    ({"limits": {"memory_mb": 10**9}}, 422), ({"limits": {"memroy_mb": 64}}, 422),
    ({"environment": "no-such"}, 404), ({"snapshot": "no-such"}, 404), ([], 422)])
def test_what_is_no_session_is_refused(client, wanted, status):
    answer = client.post(wanted, path="/v1/sessions")
    assert answer.status == status, answer.text
    assert answer["detail"]


def test_an_id_is_taken_once(client, one):
    again = client.post({"id": one.id}, path="/v1/sessions")
    assert again.status == 409 and one.id in again["detail"]


@pytest.mark.parametrize("name", ["no-such", "a%20b", "..%2f..", "%0a", "a" * 300, "%C3%BC"])
def test_unknown_sessions_are_404_whatever_their_name(client, name):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/files/x"), ("GET", "/ls"),
                         ("GET", "/processes"), ("GET", "/processes/1"), ("POST", "/sleep")):
        answer = client.request(method, f"/v1/sessions/{name}{path}")
        assert answer.status == 404 and "detail" in answer.body, (method, path)
    answer = client.post({"command": "true"}, path=f"/v1/sessions/{name}/exec")
    assert answer.status == 404


def test_lists_are_filtered_and_paged(client):
    mark = unique_name("m")
    made = [Session(client, ephemeral=True, labels={"mark": mark, "n": str(i)}) for i in range(5)]
    try:
        of_mine = f"/v1/sessions?label=mark%3D{mark}"
        page = client.get(of_mine + "&limit=2").body
        assert [s["id"] for s in page["sessions"]] == [made[0].id, made[1].id]
        assert page["total"] >= 5 and page["next"] == made[1].id
        page = client.get(f"{of_mine}&limit=3&after={page['next']}").body
        assert [s["id"] for s in page["sessions"]] == [s.id for s in made[2:]]
        assert page["next"] is None
        assert len(client.get(of_mine + "&environment=default")["sessions"]) == 5
        assert client.get(of_mine + "&environment=other")["sessions"] == []
        assert client.get(of_mine + "&state=awake")["sessions"] == []
        made[3].shell("true")
        awake = client.get(of_mine + "&state=awake")["sessions"]
        assert [s["id"] for s in awake] == [made[3].id]
        assert client.get("/v1/sessions?label=mark")["sessions"] != []
    finally:
        for s in made:
            s.delete()


@pytest.mark.parametrize("query, status", [
    ("limit=0", 422), ("limit=1001", 422), ("limit=x", 422), ("limit=-1", 422),
    ("state=dead", 422), ("after=no-such", 404)])
def test_a_list_that_is_asked_for_wrongly(client, query, status):
    assert client.get("/v1/sessions?" + query).status == status


def test_a_session_is_changed(client):
    with session(client, size="1M") as s:
        def patch(**change):
            return client.request("PATCH", s.path, json=change)
        answer = patch(size="2M", ttl=100, labels={"a": "b"}, env={"X": "1"})
        assert answer.status == 200 and answer["size"] == 2 << 20 and answer["ttl"] == 100
        assert answer["labels"] == {"a": "b"}
        assert s.shell("echo $X") == "1\n"
        assert patch()["ttl"] == 100
        assert patch(size="1M").status == 400
        assert patch(size="100M").status == 400
        assert patch(id="x").status == patch(network="none").status == 422
        assert client.get(s.path)["size"] == 2 << 20


def test_a_session_grows_while_it_works(client):
    with session(client, size="1M") as s:
        assert s.exec("head -c 1500000 /dev/zero > f")["exit_code"] != 0
        assert client.request("PATCH", s.path, json={"size": "4M"}).status == 200
        assert s.exec("head -c 1500000 /dev/zero > f")["exit_code"] == 0


def test_sleep_keeps_files_and_ends_processes(client):
    with session(client, size="1M") as s:
        s.write("f", b"kept")
        number = s.background("sleep 100")
        assert s.post("/sleep").status == 409
        assert client.request("DELETE", f"{s.path}/processes/{number}").status == 204
        eventually(lambda: s.post("/sleep").status == 200)
        eventually(lambda: s.state() == "asleep")
        assert s.get("/processes?all=true")["tree"] == []
        assert s.state() == "asleep", "a look does not wake it"
        assert s.read("f") == b"kept"


def test_who_has_the_whole_file_may_have_the_session_sleep(client, server):
    """The call inside is over by then, also on a machine that is busy."""
    content = bytes(300_000)
    with session(client, size="2M") as s, held(server, BUSY, count=4, limits={"memory_mb": 64}):
        s.write("f", content)
        for _ in range(40):
            assert s.read("f") == content
            answer = s.post("/sleep")
            assert answer.status == 200, answer.text


def test_delete_ends_what_runs(client):
    s = Session(client, ephemeral=True)
    other = s.client.clone()
    stream = s.stream("sleep 100")
    assert next(stream).name == "start"
    assert other.request("DELETE", s.path).status == 204
    assert [event.name for event in stream] == ["error"]
    assert other.get(s.path).status == 404


@pytest.mark.parametrize("wanted", [{"size": "3M"}, {"size": 100001},
                                    {"size": 3000000, "ephemeral": True}])
def test_an_unused_session_has_all_that_was_asked_for(client, wanted):
    with session(client, **wanted) as s:
        usage = s.get("/usage").body
        assert usage["size"] == s.facts["size"] and usage["used"] == 0, usage
        assert usage["inodes"] >= 1000 and usage["inodes_used"] <= 4


def test_usage_is_told(one):
    one.write("f", b"x" * 300000)
    usage = one.get("/usage").body
    assert usage["size"] >= usage["used"] >= 300000
    assert usage["inodes"] > usage["inodes_used"] > 0 and usage["memory_peak_mb"] > 0


def test_everybody_sees_their_own_only(make_server):
    server = make_server(API_KEYS="first-key-0000000000,other-key-0000000000")
    mine, theirs = server.client("first-key-0000000000"), server.client("other-key-0000000000")
    assert server.client().get("/v1/sessions").status == 401
    with session(mine, size="1M") as s:
        s.write("f", b"secret")
        snapshot = s.post("/snapshots")["id"]
        assert theirs.get("/v1/sessions").body == {"sessions": [], "next": None, "total": 0}
        assert theirs.get("/v1/snapshots")["snapshots"] == []
        for method, path in (("GET", s.path), ("DELETE", s.path), ("GET", s.path + "/files/f"),
                             ("PUT", s.path + "/files/f"), ("GET", s.path + "/tar"),
                             ("GET", s.path + "/snapshots"), ("GET", s.path + "/watch"),
                             ("DELETE", f"/v1/snapshots/{snapshot}")):
            assert theirs.request(method, path).status == 404, path
        assert theirs.post({"command": "cat f"}, path=s.path + "/exec").status == 404
        assert theirs.post({"snapshot": snapshot}, path="/v1/sessions").status == 404
        assert s.read("f") == b"secret"


def test_pages_of_other_origins_may_read_what_they_need(client, one):
    answer = client.request("OPTIONS", one.path + "/files/x", headers={
        "Origin": "http://page.example", "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type"})
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    one.write("x", b"1")
    answer = one.get("/files/x", headers={"Origin": "http://page.example"})
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert "ETag" in exposed and "Content-Range" in exposed
