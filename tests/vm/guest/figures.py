"""bench/'s figures of a run, beside its controls in the same minutes; the same file on the host:

    tests/vm/run tests/vm/guest/figures.py
    /usr/bin/python3 -m pytest -s tests/vm/guest/figures.py
"""
import json
import os
import pathlib
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "bench"))

import common  # noqa: E402

ROUNDS = int(os.environ.get("FIGURES_ROUNDS", "10"))
RUNS = 10  # of each kind in each round
FORK_MB = 20
RESULTS = pathlib.Path("/results")  # of the machine


@pytest.mark.deadline(600)
def test_hello_over_http_costs_less_than_starting_an_interpreter(server, tmp_path):
    target = common.Target(server.url)
    job = common.Job(tmp_path, "hello", {"code": common.HELLO})
    kinds = {name: common.Samples() for name in ("python", "lean", "fork", "closed", "paced")}
    target.load(job, count=20, connections=2)
    for _ in range(ROUNDS):
        common.run_control("python", kinds["python"], count=RUNS)
        common.run_control("lean", kinds["lean"], count=RUNS)
        common.run_control("fork", kinds["fork"], count=RUNS, memory_mb=FORK_MB)
        target.load(job, kinds["closed"], count=RUNS, connections=1)
        target.load(job, kinds["paced"], count=RUNS, rate=2, connections=1)
    found = {name: {q: round(us / 1000, 2) for q, us in samples.summary().items() if q != "count"}
             for name, samples in kinds.items()}
    text = json.dumps({"machine": common.machine_line(common.machine()), "ms": found})
    if RESULTS.is_dir():
        (RESULTS / "figures.json").write_text(text + "\n")
    print(text)
    assert found["closed"]["p50"] < found["python"]["p50"]
