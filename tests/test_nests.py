"""Nests with the real spawner, without a server: build/src/engine/engine_driver makes layers of the
host, opens nests over them, and runs code there."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import host
from drivers import DIST, built
from server import clean_environment

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(180)]
BASE = 1


class Driver:
    """One engine_driver; each op is a method call with the fields of its line."""

    def __init__(self, data, *flags):
        self.layers = pathlib.Path(data) / "layers"
        self.popen = subprocess.Popen(
            [built("src/engine/engine_driver"), DIST, f"--data={data}", "--pool-min=0", *flags], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment())

    def __call__(self, op, **fields):
        print(json.dumps({"op": op, **fields}), file=self.popen.stdin, flush=True)
        return json.loads(self.popen.stdout.readline())

    def open(self, *layers, kind="run", **fields):
        """The handle of a new nest."""
        answer = self("open", kind=kind, layers=layers, **fields)
        assert "error" not in answer, answer
        return answer["nest"]

    def close(self, nest, **fields):
        """Bytes of the target."""
        answer = self("close", nest=nest, **fields)
        assert "error" not in answer, answer
        return answer["value"]

    def build(self, script, target, *layers, **fields):
        """Runs a shell script as root in a new layer over the others; what came of it."""
        nest = self.open(*layers, kind="build", target=target)
        answer = self("run", nest=nest, program=["sh", "-c", script], **fields)
        self.close(nest)
        return answer

    def stop(self):
        """Ends it; everything it said on stderr."""
        self.popen.stdin.close()
        text = self.popen.stderr.read()
        assert self.popen.wait(20) == 0, text
        return text


@pytest.fixture(scope="module")
def driver():
    data = tempfile.mkdtemp(prefix=host.OWN_PREFIX + "nests-")
    one = Driver(data)
    made = one("host", which="base", layer=BASE)
    assert "error" not in made and made["value"] > 1 << 20, made
    yield one
    one.stop()
    left = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
            if data in line]
    shutil.rmtree(data)
    assert not left


@pytest.fixture
def layer(driver):
    """The number of a layer that the test may make."""
    yield 7
    driver("remove", layer=7)


def test_a_nest_over_the_hosts_base_runs_code_warm_and_cold(driver):
    nest = driver.open(BASE, warm=True, modules="decimal\nno_such_module\n")
    warm = driver("run", nest=nest, code="import sys; print('decimal' in sys.modules)")
    assert (warm["stdout"], warm["warm"]) == ("True\n", True), warm
    cold = driver("run", nest=nest, fresh=True, code="import sys; print('decimal' in sys.modules)")
    assert (cold["stdout"], cold["warm"]) == ("False\n", False), cold
    shell = driver("run", nest=nest, language="shell", code="echo $PATH; touch /x")
    assert shell["stdout"].startswith("/opt/venv/bin:/opt/conda/bin:"), shell
    assert "Read-only file system" in shell["stderr"]
    assert driver("run", code="print(1)")["stdout"] == "1\n", "nest 0 is still there"
    driver.close(nest)


def test_what_a_build_leaves_is_seen_by_runs_and_nobody_else(driver, layer):
    built = driver.build("id -u; echo made > /opt/mark; cp setup.sh facts.json", layer, BASE,
                         files={"setup.sh": "some text"})
    assert (built["stdout"], built["exit_code"], built["seccomp"]) == ("0\n", 0, "build"), built
    assert built["files"]["facts.json"] == "some text"
    over, plain = driver.open(layer, BASE), driver.open(BASE)
    code = "import os; print(os.path.exists('/opt/mark'), os.path.exists('/sandbox/facts.json'))"
    assert driver("run", nest=over, code=code)["stdout"] == "True False\n"
    assert driver("run", nest=plain, code=code)["stdout"] == "False False\n"
    assert driver("remove", layer=layer)["error"] == "the layer is in use"
    driver.close(over)
    driver.close(plain)


def test_a_build_reports_its_exit_status_and_may_be_abandoned(driver, layer):
    assert driver.build("echo no >&2; exit 7", layer, BASE)["exit_code"] == 7
    assert driver("remove", layer=layer) == {"value": 0}
    nest = driver.open(BASE, kind="build", target=layer)
    driver.close(nest, now=True)
    assert driver("remove", layer=layer) == {"value": 0}


def test_a_nest_that_cannot_be_made_says_why(driver):
    answer = driver("open", kind="run", layers=[99])
    assert "layer 99" in answer["error"], answer
    failed = driver("run", nest=answer["nest"], code="print(1)")
    assert failed["outcome"] == "failed" and "layer 99" in failed["message"]
    assert "layer 99" in driver("close", nest=answer["nest"])["error"]


def test_without_an_interpreter_runs_say_so_and_other_programs_work(driver, layer):
    built = driver.build("rm -f /usr/bin/python3*", layer, BASE)
    assert built["exit_code"] == 0, built
    nest = driver.open(layer, BASE, warm=True)
    answer = driver("run", nest=nest, code="print(1)")
    assert not answer["warm"] and answer["stdout"] == "" and answer["outcome"] != "timeout", answer
    assert "python3" in (answer["message"] or "") + answer["stderr"], answer
    assert driver("run", nest=nest, language="shell", code="echo still here")["stdout"] == "still here\n"
    driver.close(nest)


def test_many_nests_at_once_come_and_go(driver):
    nests = [driver.open(BASE, warm=i % 2 == 0) for i in range(6)]
    for nest in nests:
        assert driver("run", nest=nest, code="print(2)")["stdout"] == "2\n"
    for nest in nests:
        driver.close(nest)


def test_layers_are_listed_in_order(driver, layer):
    driver.build("true", layer, BASE)
    assert [driver("next", layer=n)["value"] for n in (0, BASE, layer)] == [BASE, layer, 0]
