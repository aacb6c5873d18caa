"""Sequences of requests, made and judged by fuzz/live, on an ordinary build for a few seconds.

Always the same sequences, so that a failure is the change's.  New ones, against a server with
AddressSanitizer: tools/dev fuzz live SECONDS."""
import functools
import json
import pathlib
import sys
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "fuzz" / "live"))

from judge import Judge, Wrong, read_answers  # noqa: E402
from sequences import generate, pack  # noqa: E402

SECONDS = 8
SEED = 1601348762
KEPT = sorted((ROOT / "fuzz" / "regressions" / "live").glob("*.json"))


@functools.cache
def document():
    """The description of the interface."""
    return yaml.safe_load((ROOT / "api" / "openapi.yaml").read_text(encoding="utf-8"))


@pytest.mark.deadline(120)
def test_sequences_of_hostile_and_valid_requests_break_no_rule(make_server):
    judge = Judge(make_server(), document())
    for path in KEPT:  # that once failed
        judge.play(json.loads(path.read_text())["steps"])
    until = time.monotonic() + SECONDS
    number = 0
    while time.monotonic() < until:
        try:
            judge.play(generate(judge.document, SEED, number))
        except Wrong as wrong:
            pytest.fail(f"sequence {number} of seed {SEED}: {wrong} "
                        f"(fuzz/live/run --seed {SEED} keeps and shortens it)")
        number += 1


def test_the_judge_notices_what_is_wrong(server):
    judge = Judge(server, document())
    file = {"kind": "model", "session": "m1", "name": "a", "data": pack(b"right")}
    judge.model({"kind": "model", "what": "create", "session": "m1"})
    judge.model({**file, "what": "write"})
    judge.model({**file, "what": "read"})
    judge.sessions["m1"]["a"] = b"wrong"
    with pytest.raises(Wrong, match="a has changed"):
        judge.model({**file, "what": "read"})
    judge.sessions["m1"]["b"] = b"never written"
    with pytest.raises(Wrong, match="is lost"):
        judge.model({**file, "what": "read", "name": "b"})
    judge.model({"kind": "model", "what": "delete", "session": "m1"})
    for answer in (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b"HTTP/1.1 200 OK\r\n"
                   b"Content-Length: 2\r\n\r\nokand more"):
        with pytest.raises(Wrong):
            read_answers(answer, "raw")


def test_a_sequence_follows_from_its_seed():
    one, same, other = (generate(document(), 7, number) for number in (3, 3, 4))
    assert one == same != other
