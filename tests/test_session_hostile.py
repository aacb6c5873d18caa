"""Sessions under clients that do what no client should: late, wrong, contradictory, all at once."""
import pytest

from client import together, unique_name, wait_until
from session_client import session


@pytest.fixture(scope="module")
def one(server):
    """A session in memory that the tests share."""
    with session(server.client(), ephemeral=True) as made:
        yield made


# -- input

def test_what_is_typed_for_a_terminal_arrives(one):
    answer = one.exec("cat; echo over", terminal=True, stdin="typed\n\x04", timeout=10)
    assert answer["stdout"] == "typed\r\ntyped\r\nover\r\n"


def test_a_program_that_closes_its_terminal_before_it_ends_is_not_killed(one):
    """As cat(1) does."""
    answer = one.exec(["cat"], terminal=True, stdin="\x04", timeout=10)
    assert (answer["exit_code"], answer["signal"]) == (0, None)


def test_input_is_taken_whole_or_refused(one):
    """Never dropped without a word."""
    def feed(process, data, query=""):
        return one.client.request("POST", f"{one.path}/processes/{process}/stdin{query}", data=data)
    closed = one.background("sleep 60")
    answer = feed(closed, b"lost?")
    assert answer.status == 409 and "stdin_open" in answer["detail"]
    counts = one.background("sleep 0.2; wc -c", stdin_open=True)
    assert feed(counts, b"x" * 3_000_000).status == 204
    assert feed(counts, b"x" * (17 << 20)).status == 413
    assert feed(counts, b"x" * (15 << 20), "?close=true").status == 204
    assert feed(counts, b"late").status == 409
    total = 3_000_000 + (15 << 20)
    wait_until(lambda: str(total) in one.get(f"/processes/{counts}/output")["stdout"], 10, "all came")
    for process in closed, counts:
        one.client.request("DELETE", f"{one.path}/processes/{process}")


@pytest.mark.parametrize("name", ["d/", ".", "d/.", "d"])
def test_code_does_not_replace_a_directory(one, name):
    one.post("/mkdir", path="d")
    answer = one.post("/run", code="print(1)", filename=name)
    if name == "d":
        assert answer["exit_code"] == 127 and answer["stderr"] == "write /workspace/d: Is a directory\n"
    else:
        assert answer.status == 422 and "file within the workspace" in answer.text


# -- words

@pytest.mark.parametrize("value", [-2, 1.5, "x", 1e30])
def test_a_wrong_time_is_told_once(server, value):
    answer = server.client().post({"ttl": value}, path="/v1/sessions")
    assert answer.status == 422 and len(answer["detail"]) == 1, answer.text


# -- the end of a session in the middle of things

def test_a_process_whose_sandbox_ended_is_not_told_as_a_success(server):
    """R48"""
    with session(server.client(), size="8M") as one:
        snapshot = one.post("/snapshots")["id"]
        process = one.background("sleep 100")
        assert one.post("/restore", snapshot=snapshot).status == 200
        told = one.get(f"/processes/{process}").body
        assert not told["running"] and told["signal"] == "SIGKILL" and told["exit_code"] == -9
        one.client.request("DELETE", f"/v1/snapshots/{snapshot}")


def test_many_changes_of_one_workspace_at_once_all_come_to_something(server):
    """Snapshots, forks and growth wait for each other; none is refused for want of patience."""
    client = server.client()
    with session(client, size="8M") as one:
        one.write("f", b"x" * 100_000)
        jobs = [lambda: server.client().post({}, path=one.path + "/snapshots"),
                lambda: server.client().post({}, path=one.path + "/fork"),
                lambda: server.client().request("PATCH", one.path, json={"size": "16M"})] * 3
        answers = together(jobs)
        assert {a.status for a in answers} <= {200, 201}, [a.text for a in answers]
        forks = [a["id"] for a in answers if a.status == 201 and "environment" in a.body]
        for fork in forks:
            path = f"/v1/sessions/{fork}"
            assert client.get(path + "/stat", params={"path": "f"})["size"] == 100_000
            assert client.request("DELETE", path).status == 204
        for snapshot in one.get("/snapshots")["snapshots"]:
            assert client.request("DELETE", f"/v1/snapshots/{snapshot['id']}").status == 204


def test_two_who_create_one_id_at_once_get_one_session(server):
    name = unique_name("s")
    answers = together([lambda: server.client().post({"id": name}, path="/v1/sessions")] * 8)
    assert sorted(a.status for a in answers) == [201] + [409] * 7
    assert server.client().request("DELETE", f"/v1/sessions/{name}").status == 204
