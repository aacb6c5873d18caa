"""The back end of version 2 by itself: its tests in C, which skip themselves on other hosts."""
import pathlib
import re
import subprocess

PROGRAM = pathlib.Path("/repo/build/src/spawner/spawner_cgroup_v2_test")


def test_every_promise_of_the_back_end_holds_on_this_kernel():
    ended = subprocess.run([PROGRAM], text=True, capture_output=True, timeout=600, check=False)
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0, told
    assert int(re.search(r"PASSED  \] (\d+) test", told)[1]) >= 10 and "SKIPPED" not in told, told
