"""The short set of tests/vm: the most telling limits on a host with control groups of version 2."""
import pathlib
import subprocess

import pytest

RUN = pathlib.Path(__file__).parent / "vm/run"
MACHINE_SECONDS = 900
MAKING_SECONDS = 1500  # a kernel and a root file system, where tools/deps has left none


@pytest.mark.deadline(MACHINE_SECONDS + MAKING_SECONDS)
def test_limits_hold_on_a_host_with_version_2(tmp_path):
    if pathlib.Path("/vm/suite").exists():
        pytest.skip("this is the machine of tests/vm")
    ended = subprocess.run([RUN, "--seconds", str(MACHINE_SECONDS), "--out", tmp_path, "short"],
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = ended.stdout.splitlines()
    if ended.returncode == 77:
        pytest.skip(next(line for line in lines if line.startswith("skipped: ")))
    assert ended.returncode == 0, "\n".join(lines[-80:])
    assert lines[-1].endswith(" 0 failed, 0 skipped")
