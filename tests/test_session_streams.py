"""Output of sessions' processes as events: live, replayed, slow readers, watches."""
import time

import pytest
import requests

from client import read_events
from session_client import eventually, session


@pytest.fixture(scope="module", name="one")
def a_session(server):
    with session(server.client(), ephemeral=True) as it:
        yield it


def follow(s, number, query=""):
    """The events of a process, from a connection of their own."""
    response = requests.get(f"{s.client.url}{s.path}/processes/{number}/output{query}",
                            headers={"Accept": "text/event-stream"}, stream=True, timeout=60)
    assert response.status_code == 200, response.text
    return response, read_events(response.iter_content(None), time.monotonic())


def test_output_comes_as_it_is_written(one):
    events = list(one.stream("echo 1; sleep 0.3; echo 2 >&2; exit 4"))
    assert [e.name for e in events] == ["start", "stdout", "stderr", "result"]
    assert events[0].data["process"] > 0 and events[0].data["pid"] > 1
    assert events[2].seconds - events[1].seconds > 0.2
    assert events[3].data["exit_code"] == 4 and "stdout" not in events[3].data


def test_characters_stay_whole(one):
    events = list(one.stream(r"printf '\360\237'; sleep 0.1; printf '\220\246|\377'; sleep 0.1"))
    assert "".join(e.data["text"] for e in events if e.name == "stdout") == "🐦|�"


def test_what_cannot_be_started_tells_why(one):
    events = list(one.stream("true", cwd="no/such"))
    assert [e.name for e in events][-2:] == ["stderr", "result"]
    assert events[-1].data["exit_code"] == 127


def test_code_streams_too(one):
    response = requests.post(f"{one.client.url}{one.path}/run", json={"code": "print('hi')"},
                             headers={"Accept": "text/event-stream"}, stream=True, timeout=60)
    events = list(read_events(response.iter_content(None), 0))
    assert (events[0].name, events[-1].name) == ("start", "result")
    assert "".join(e.data["text"] for e in events[1:-1]) == "hi\n"


def test_a_client_that_stops_reading_events_ends_its_command(one):
    stream = one.stream("while true; do echo tick; sleep 0.05; done; : unique-4711")
    assert next(stream).name == "start"
    stream.close()
    eventually(lambda: "unique-4711" not in str(one.get("/processes?all=true")["tree"]))


def test_a_slow_reader_of_a_foreground_call_makes_it_wait_and_misses_nothing(one):
    stream = one.stream("seq 1 1000000; echo end")
    assert next(stream).name == "start"
    time.sleep(0.5)
    text = "".join(e.data["text"] for e in stream if e.name in ("stdout", "gap"))
    assert text == "".join(f"{i}\n" for i in range(1, 1000001)) + "end\n"


def test_output_is_replayed_and_goes_on(one):
    number = one.background("echo old; read x; echo new $x", stdin_open=True)
    eventually(lambda: one.get(f"/processes/{number}/output")["stdout"] == "old\n")
    (response, events), (_, others) = follow(one, number), follow(one, number, "?stdout=4")
    assert [next(events).name, next(events).data] == ["start", {"text": "old\n"}]
    assert next(others).name == "start"
    one.client.request("POST", f"{one.path}/processes/{number}/stdin", data=b"z\n")
    assert next(events).data == next(others).data == {"text": "new z\n"}
    assert next(events).name == next(others).name == "result"
    response.close()


def test_without_follow_a_replay_ends(one):
    number = one.background("echo old; sleep 100")
    eventually(lambda: one.get(f"/processes/{number}/output")["stdout"] == "old\n")
    _, events = follow(one, number, "?follow=false")
    assert [e.name for e in events] == ["start", "stdout"]
    one.client.request("DELETE", f"{one.path}/processes/{number}")


def test_old_output_is_forgotten_and_the_gap_is_told(one):
    number = one.background("head -c 3000000 /dev/zero | tr '\\0' a; echo; echo end")
    eventually(lambda: not one.get(f"/processes/{number}")["running"])
    facts = one.get(f"/processes/{number}").body
    assert facts["stdout_bytes"] == 3000005 and facts["stdout_kept_from"] > 1900000
    _, events = follow(one, number)
    events = list(events)
    kept = "".join(e.data["text"] for e in events if e.name == "stdout")
    assert kept.endswith("a\nend\n")
    assert len(kept) + facts["stdout_kept_from"] == 3000005


def test_who_attaches_and_does_not_read_makes_nobody_wait(one):
    number = one.background("read x; head -c 60000000 /dev/zero | tr '\\0' a; echo end",
                            stdin_open=True)
    response, events = follow(one, number)
    assert next(events).name == "start"
    one.client.request("POST", f"{one.path}/processes/{number}/stdin", data=b"\n")
    eventually(lambda: not one.get(f"/processes/{number}")["running"], 30)
    rest = list(events)
    gaps = sum(e.data["bytes"] for e in rest if e.name == "gap")
    assert gaps > 0
    assert gaps + sum(len(e.data["text"]) for e in rest if e.name == "stdout") == 60000004
    assert rest[-1].name == "result"
    response.close()


def test_changes_of_files_are_told(one):
    response = requests.get(f"{one.client.url}{one.path}/watch", stream=True, timeout=60)
    events = read_events(response.iter_content(None), time.monotonic())
    assert next(events).name == "ready"
    one.write("watched.txt", b"1")
    seen = [next(events)]
    while seen[-1].data["path"] != "watched.txt":
        seen.append(next(events))
    one.shell("mv watched.txt moved.txt; mkdir wd; rm moved.txt")
    wanted = {("moved", "watched.txt"), ("created", "wd"), ("removed", "moved.txt")}
    while not wanted <= {(e.name, e.data["path"]) for e in seen}:
        seen.append(next(events))
    moved = next(e for e in seen if e.name == "moved" and e.data["path"] == "watched.txt")
    assert moved.data["to"] == "moved.txt"
    response.close()


def test_a_watch_of_nothing_is_404(one):
    assert one.get("/watch?path=no/such").status == 404
    assert one.get("/watch?path=../x").status == 400


def test_events_of_hostile_output_are_one_line_each(one):
    response = requests.post(f"{one.client.url}{one.path}/exec", timeout=60,
                             json={"command": r"printf 'a\n\nevent: result\ndata: {}\n\n'"},
                             headers={"Accept": "text/event-stream"})
    events = list(read_events([response.content], 0))
    first, *pieces, last = events  # the shell writes line by line
    assert (first.name, {e.name for e in pieces}, last.name) == ("start", {"stdout"}, "result")
    assert "".join(e.data["text"] for e in pieces) == "a\n\nevent: result\ndata: {}\n\n"
