"""The short form of the soak: every kind of work, every answer right, nothing left, all gauges back."""
import json
import pathlib
import subprocess

import pytest

SOAK = pathlib.Path(__file__).resolve().parent / "soak"
MINUTES = 0.2


@pytest.mark.deadline(180)
def test_mixed_work_at_full_load_is_answered_rightly_and_leaves_nothing(spare_directory, tmp_path):
    out = tmp_path / "soak"
    done = subprocess.run([SOAK / "run", "--minutes", str(MINUTES), "--every", "2", "--clients", "4",
                           "--data", spare_directory, "--out", out],
                          text=True, capture_output=True, timeout=170, check=False)
    assert (out / "report.json").exists(), done.stdout[-2000:] + done.stderr[-4000:]
    report = json.loads((out / "report.json").read_text())
    failures = out / "failures.jsonl"
    assert not failures.exists(), failures.read_text()[:4000]
    never = [name for name, (right, _) in report["counts"].items() if right == 0]
    assert not never, f"kinds that were never asked: {never}"
    assert report["left"] is None
    higher = [line for line in report["rest"] if line["verdict"] != "back"]
    assert not higher, f"higher at rest after the load: {higher}"
