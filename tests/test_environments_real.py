"""What people do with environments, for real: apt, a second Python, images, pip, npm."""
import shutil
import subprocess

import pytest


from environments import create, delete, environment, log

needs_mirror = pytest.mark.deadline(600)


@pytest.fixture(scope="module")
def two_pythons(server):
    """An environment with Debian 13's Python, chosen by python_version alone."""
    client = server.client()
    name = create(client, "true", python_version="3.13")["name"]
    yield name
    delete(client, name)


@needs_mirror
def test_python_version_3_13_comes_from_debian_13(client, two_pythons):
    """The rule finds the Debian suite that has it; the run is warm."""
    info = client.get(f"/environments/{two_pythons}").body
    assert info["actual_python"].startswith("3.13"), info
    answer = client.run("import sys, json, ssl; print(sys.version_info[:2])",
                        environment=two_pythons)
    assert answer["stdout"] == "(3, 13)\n", answer.text
    assert answer["isolation"]["warm"], answer.text
    assert client.run("import sys; print(sys.version_info[:2])")["stdout"] == \
        f"{host_python()}\n"


def host_python():
    """Version of Debian's own Python here."""
    code = "import sys; print(tuple(sys.version_info[:2]))"
    return subprocess.run(["/usr/bin/python3", "-c", code], text=True, capture_output=True,
                          check=True).stdout.strip()


@needs_mirror
def test_an_apt_script_installs_numpy_and_pandas_and_a_run_uses_them(client, two_pythons):
    """On Debian's own base, over the bridge, from the ordinary mirror; the base is shared."""
    script = ("apt-get update -q && apt-get install -yq --no-install-recommends "
              "python3-numpy python3-pandas")
    base = client.get(f"/environments/{two_pythons}").body
    with environment(client, script, base_image="debootstrap:trixie",
                     warm=["numpy", "pandas"]) as name:
        answer = client.run("""
            import sys
            warm = "pandas" in sys.modules
            import numpy, pandas
            print(pandas.DataFrame({"a": numpy.arange(4)}).a.sum(), warm)
            """, environment=name)
        assert answer["stdout"] == "6 True\n", answer.text
        made = client.get(f"/environments/{name}").body
        assert made["shared_bytes"] == base["shared_bytes"]
        packages = {p["name"] for p in client.get(f"/environments/{name}/packages")["packages"]}
        assert {"python3-numpy", "python3-pandas"} <= packages


@needs_mirror
def test_apt_works_on_the_hosts_own_base_too(client):
    """Nothing said: the host's base, with its package database."""
    script = "apt-get update -q && apt-get install -yq --no-install-recommends figlet"
    with environment(client, script) as name:
        answer = client.run("figlet hi", language="shell", environment=name)
        assert answer["success"] and answer["stdout"].strip(), answer.text


@needs_mirror
@pytest.mark.skipif(shutil.which("npm") is None, reason="this machine has no npm for the base")
def test_npm_installs_a_package_and_a_javascript_run_uses_it(client):
    """npm in the build, node in the run."""
    script = "mkdir -p /opt/js && cd /opt/js && npm install --no-audit --no-fund is-number@7.0.0"
    with environment(client, script) as name:
        answer = client.run("console.log(require('/opt/js/node_modules/is-number')(5))",
                            language="javascript", environment=name)
        assert answer["stdout"] == "true\n", answer.text
