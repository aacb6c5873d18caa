"""The last line and the exit status of test.sh, made by tools/count-tests: they say the same."""
import json
import pathlib
import subprocess

import pytest

TOOL = pathlib.Path(__file__).parents[1] / "tools" / "count-tests"


def cmocka(passed, failed):
    """A line of Meson's log: a program of cmocka that reported these numbers."""
    failures = f"[  FAILED  ] tests: {failed} test(s)\n" if failed else ""
    return {"result": "FAIL" if failed else "OK",
            "stdout": f"[  PASSED  ] {passed} test(s).\n{failures}"}


def junit(tests=0, failures=0, errors=0, skipped=0):
    """The head of pytest's report."""
    return (f'<testsuites><testsuite tests="{tests}" failures="{failures}" errors="{errors}" '
            f'skipped="{skipped}"/></testsuites>')


GOOD = {"unit": (0, [cmocka(3, 0), {"result": "OK"}]), "layers": (0, None),
        "end-to-end": (0, junit(tests=7, skipped=2))}


@pytest.mark.parametrize("changed, lines, status", [
    ({}, ["10 passed, 0 failed, 2 skipped"], 0),
    ({"layers": (1, None)},
     ["layers ended with status 1, and no test of it failed", "9 passed, 1 failed, 2 skipped"], 1),
    ({"unit": (1, [cmocka(3, 2)])}, ["9 passed, 2 failed, 2 skipped"], 1),
    ({"unit": (1, [{"result": "TIMEOUT"}])}, ["6 passed, 1 failed, 2 skipped"], 1),
    ({"unit": (1, None)},
     ["unit ended with status 1, and no test of it failed", "6 passed, 1 failed, 2 skipped"], 1),
    ({"end-to-end": (1, junit(tests=7, failures=1, errors=1))}, ["10 passed, 2 failed"], 1),
    # pytest found no test, was stopped before its report, or was killed
    ({"end-to-end": (5, junit())},
     ["end-to-end ended with status 5, and no test of it failed", "5 passed, 1 failed"], 1),
    ({"end-to-end": (137, None)},
     ["end-to-end ended with status 137, and no test of it failed", "5 passed, 1 failed"], 1),
])
def test_sum_and_status(tmp_path, changed, lines, status):
    """What the steps left is added up; a step that failed without a failed test is not lost."""
    testlog = tmp_path / "testlog.json"
    for name, (code, report) in (GOOD | changed).items():
        (tmp_path / f"{name}.status").write_text(f"{code}\n")
        if name == "unit" and report:
            testlog.write_text("".join(json.dumps(run) + "\n" for run in report))
        elif report:
            (tmp_path / f"{name}.xml").write_text(report)
    run = subprocess.run([TOOL, testlog, tmp_path], capture_output=True, text=True, check=False)
    assert (run.stdout.splitlines(), run.returncode) == (lines, status), run.stderr
