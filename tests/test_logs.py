"""What the server logs: one JSON line per event, never the code or its output."""
import json

import host
from client import wait_until
from server import held

SECRET = "secret-word-91d2"
# Processes of ours that are in no nest.
OUTSIDE = ("dunlin", "dunlin-spawner", "dunlin-network")


def lines_of(text):
    """The log, decoded; every line must be an object with time, level and event."""
    found = [json.loads(line) for line in text.splitlines() if line.strip()]
    for line in found:
        assert line.keys() >= {"time", "level", "event"}, line
    return found


def about(server, run_id):
    """All lines that carry this run's id."""
    return [line for line in lines_of(server.log_text()) if run_id in map(str, line.values())]


def test_a_run_is_one_line_with_its_outcome_limits_and_usage_and_no_content(server, client):
    answer = client.run(f"print('{SECRET}'); open('{SECRET}', 'w'); 1/0", stdin=SECRET,
                        args=[SECRET], env={"S": SECRET}, files={f"{SECRET}.txt": "eA=="})
    lines = wait_until(lambda: about(server, answer["id"]), 2, "the run is logged")
    assert len(lines) == 1
    line = lines[0]
    assert "python" in line.values()
    told = json.dumps(line)
    assert "wall_ms" in told and "cpu_ms" in told and "memory" in told
    assert SECRET not in server.log_text()


def test_hostile_text_cannot_forge_a_line(server, client):
    forged = '\n{"time": "x", "level": "info", "event": "forged"}\n'
    client.post({"code": f"raise ValueError({forged!r})", "language": forged})
    client.run(f"import sys; sys.stderr.write({forged!r}); raise ValueError({forged!r})")
    client.get("/x", headers={"User-Agent": "a\tb", "X-Request-Id": "{}"})
    assert not [line for line in lines_of(server.log_text()) if line["event"] == "forged"]


def test_the_start_says_which_locks_are_in_force(server):
    text = server.log_text()
    for word in ("seccomp", "landlock", "cgroup"):
        assert word in text.lower(), word


def test_a_quieter_level_logs_less(make_server):
    one = make_server(LOG_LEVEL="warning")
    before = len(one.log_text())
    one.client().run("print(1)")
    assert len(one.log_text()) == before


def test_the_text_format_is_key_value(make_server):
    one = make_server(LOG_FORMAT="text")
    answer = one.client().run("print(1)")
    line = wait_until(lambda: [row for row in one.log_text().splitlines() if answer["id"] in row],
                      2, "the run is logged")[0]
    assert f"id={answer['id']}" in line and "language=python" in line


def test_no_process_of_a_nest_has_the_log_open(server):
    logs = {str(server.log), str(server.directory / "stdout")}
    with held(server):
        inside = [one for one in server.tree() if one.comm not in OUTSIDE]
        assert len(inside) >= 4, inside  # builder, zygote, init, run
        has_it = [(one.comm, fd) for one in inside for fd in host.descriptors(one.pid) if fd in logs]
    assert not has_it
