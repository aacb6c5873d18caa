"""Admission: how many runs at once, who waits, who is sent away, and whose place is freed."""
import asyncio
import json
import threading
import time

import pytest

import host
from client import send_and_hold, together, unique_name, wait_until
from slowness import stretched

# Prints when it began and ended on the machine's monotonic clock.
TIMED = """
import time
begin = time.monotonic()
time.sleep({seconds})
print(begin, time.monotonic())
"""
GONE_SECONDS = 4  # R45


def most_at_once(answers):
    """The largest number of runs of TIMED that overlapped."""
    points = []
    for answer in answers:
        begin, end = map(float, answer["stdout"].split())
        points += [(begin, 1), (end, -1)]
    running = most = 0
    for _, step in sorted(points):
        running += step
        most = max(most, running)
    return most


def in_background(*jobs):
    """Starts together(jobs) in a thread; returns a function that waits for the results."""
    results = []
    thread = threading.Thread(target=lambda: results.extend(together(list(jobs))), daemon=True)
    thread.start()

    def finish():
        thread.join(60)
        return results
    return finish


def sleeper(server, seconds, key=None):
    """A job that runs TIMED on a connection of its own."""
    return lambda: server.client(key).post({"code": TIMED.format(seconds=seconds)})


def wait_for_load(server, running, waiting=0):
    """Until so many run and at least so many wait."""
    def is_so():
        health = server.client().get("/health")
        return health["running"] == running and health["waiting"] >= waiting
    wait_until(is_so, 5, f"{running} run and {waiting} wait")


def test_the_limit_is_exact_the_queue_bounded_and_the_rest_sent_away(make_server):
    server = make_server(CONCURRENT_LIMIT=2, QUEUE_LIMIT=3)
    finish = in_background(*[sleeper(server, 2.0)] * 2)
    wait_for_load(server, 2)
    queued = in_background(*[sleeper(server, 0.3)] * 3)
    wait_for_load(server, 2, 3)
    refused = server.client().post({"code": "print(1)"})
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert isinstance(refused["detail"], str) and refused["detail"]
    assert refused.seconds < stretched(0.3)
    health = server.client().get("/health")
    assert (health.status, health.seconds < stretched(0.3)) == (200, True)
    answers = finish() + queued()
    assert [answer.status for answer in answers] == [200] * 5
    assert most_at_once(answers) == 2
    assert server.client().run("print(1)")["success"]


def test_a_key_with_many_requests_does_not_starve_another(make_server):
    server = make_server(CONCURRENT_LIMIT=1, API_KEYS="busy-key,quiet-key")
    busy = in_background(*[sleeper(server, 0.15, "busy-key")] * 10)
    wait_for_load(server, 1, 6)
    quiet = in_background(*[sleeper(server, 0.05, "quiet-key")] * 2)
    quiet_end = max(float(answer["stdout"].split()[1]) for answer in quiet())
    busy_begins = [float(answer["stdout"].split()[0]) for answer in busy()]
    after = [begin for begin in busy_begins if begin > quiet_end]
    assert len(after) >= 3, "the quiet key had to wait for the busy one's whole queue"


def test_a_client_that_goes_away_has_its_run_killed_and_its_place_freed(make_server):
    server = make_server(CONCURRENT_LIMIT=1)
    name = unique_name()
    code = (f"import ctypes, os, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n"
            "os.fork()\ntime.sleep(60)")
    sock = send_and_hold(server.port, {"code": code, "timeout": 60})
    wait_until(lambda: len(host.named(name)) == 2, 5, "the run sleeps")
    start = time.monotonic()
    sock.close()
    answer = server.client().run("print('next')")
    assert answer["stdout"] == "next\n"
    assert time.monotonic() - start < GONE_SECONDS
    assert host.named(name) == []


def test_a_client_that_goes_away_from_a_stream_has_its_run_killed(make_server):
    server = make_server(CONCURRENT_LIMIT=1)
    one = server.client()
    events = one.stream("import time\nwhile True:\n    print('x'); time.sleep(0.05)", timeout=60)
    while next(events).name != "stdout":
        pass
    start = time.monotonic()
    events.close()
    one.close()
    assert server.client().run("print('next')")["stdout"] == "next\n"
    assert time.monotonic() - start < GONE_SECONDS


def test_a_client_that_goes_away_frees_its_place_in_the_queue(make_server):
    server = make_server(CONCURRENT_LIMIT=1, QUEUE_LIMIT=1)
    name = unique_name()
    finish = in_background(sleeper(server, 1.5))
    wait_for_load(server, 1)
    waiting = send_and_hold(server.port, {
        "code": f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n"
                "time.sleep(30)"})
    full = server.client()
    wait_until(lambda: full.post({"code": "print(1)"}).status == 503, 2, "the queue is full")
    start = time.monotonic()
    waiting.close()
    wait_until(lambda: full.post({"code": "print(1)"}).status == 200, GONE_SECONDS,
               "the place is free")
    assert time.monotonic() - start < GONE_SECONDS
    assert host.named(name) == []
    assert finish()[0].status == 200


def test_memory_is_admitted_so_that_the_machine_is_never_promised_more_than_it_has(make_server):
    server = make_server(MEMORY_BUDGET="600m", MEMORY_LIMIT="256m", CONCURRENT_LIMIT=10)
    answers = together([sleeper(server, 0.3)] * 6)
    assert [answer.status for answer in answers] == [200] * 6
    assert most_at_once(answers) <= 2
    too_much = server.client().post({"code": "print(1)", "limits": {"memory_mb": 1024}})
    assert too_much.status in (422, 503)
    assert too_much.seconds < stretched(2)


def test_a_server_that_keeps_no_sandboxes_is_healthy_before_its_first_run(make_server):
    """/health was 503 until somebody had run something."""
    one = make_server(POOL_MIN=0)
    assert one.health() == 200
    assert one.client().run("print(1)")["stdout"] == "1\n"


@pytest.mark.deadline(90)
def test_a_thousand_requests_at_once_are_all_answered(server):
    async def one(i):
        body = json.dumps({"code": f"print({i})"}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /execute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     b"Content-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b" 200 " in head.split(b"\r\n")[0], head
        assert json.loads(answer)["stdout"] == f"{i}\n"

    async def all_of_them():
        await asyncio.gather(*(one(i) for i in range(1000)))

    asyncio.run(all_of_them())


def test_a_slow_reader_of_a_large_answer_does_not_stop_others(server):
    sock = send_and_hold(server.port, {"code": "print('x' * 4_000_000)"})
    time.sleep(0.3)
    answer = server.client().run("print(1)")
    sock.close()
    assert answer["success"] and answer.seconds < stretched(1)
