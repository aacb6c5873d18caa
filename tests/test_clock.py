"""The time of day is set while the server runs, by NTP or by hand: nothing ends before its time, and
nothing lives on after it.  Clocks are moved for Dunlin's processes alone (tests/instrument)."""
import contextlib
import datetime
import os
import threading
import time

import pytest

from instrument.page import Page, build
from server import Server
from session_client import session

DAY = 86400
STEPS = (5, -5, DAY, -DAY, 20 * 365 * DAY, -20 * 365 * DAY)
TTL = 3600
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(300)]


@pytest.fixture(name="moved", scope="module")
def a_server_whose_clock_moves(spare_directory, tmp_path_factory):
    """(its page, a client)."""
    page = Page(tmp_path_factory.mktemp("clock") / "page")
    server = Server(spare_directory, {"DUNLIN_INSTRUMENT": page.path, "POOL_MIN": "2"},
                    dist=build())
    try:
        server.start()
        yield page, server.client()
        server.stop()
        server.assert_nothing_left()
    finally:
        server.abandon()
        page.close()


def seconds_of(date):
    """Seconds since 1970 of an ISO date of the API."""
    return datetime.datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("step", STEPS)
def test_a_session_lives_as_long_as_it_should(moved, step):
    page, client = moved
    with session(client, size="1M", idle_ttl=TTL) as one:
        one.write("kept", b"kept")
        page.move_clock(step)
        try:
            time.sleep(2.5)  # the server looks for what has expired
            view = client.get(one.path)
            assert view.status == 200, view.text
            left = seconds_of(view["expires_at"]) - (time.time() + step)
            assert TTL - 60 < left <= TTL + 1
            assert not view["expires_soon"]
        finally:
            page.move_clock(0)
        time.sleep(1.2)
        assert one.read("kept") == b"kept"


@pytest.mark.parametrize("step", STEPS)
def test_runs_take_and_report_the_time_they_take(moved, step):
    page, client = moved
    answers = []
    bodies = ({"code": "import time; time.sleep(2); print('done')", "timeout": 10},
              {"code": "while True: pass", "timeout": 2})

    def ask(body):
        with contextlib.closing(client.clone()) as one:
            answers.append((body, one.post(body)))

    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    page.move_clock(step)
    try:
        for thread in threads:
            thread.join()
        assert client.post({"code": "print(1)"})["stdout"] == "1\n"
        assert client.get("/health").status == 200
    finally:
        page.move_clock(0)
    assert len(answers) == len(bodies)
    for body, answer in answers:
        ends = "sleep" not in body["code"]
        assert answer["timed_out"] is ends and answer["stdout"] == ("" if ends else "done\n")
        assert 1.9 < answer["execution_time"] < 6
