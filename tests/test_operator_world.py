"""The server does not depend on what the operator's shell happens to hand down."""
import os
import shlex
import subprocess

import pytest

from server import DUNLIN, START_SECONDS, clean_environment
from session_client import session

NICE = min(os.nice(0) + 5, 19)  # what nicer() comes to

def test_a_server_started_under_a_strict_umask_runs_code(make_server):
    before = os.umask(0o077)
    try:
        server = make_server()
    finally:
        os.umask(before)
    client = server.client()
    assert client.run("print(1)")["stdout"] == "1\n"
    shell = client.run("umask; ls /dev/null /usr/bin/env; touch made && echo done",
                       language="shell")
    assert shell["stdout"].endswith("done\n"), shell
    assert shell["stdout"].startswith("0022\n")


def nicer(directory, *before):
    """A program that starts dunlin under `nice -n 5`, and by the words `before`."""
    program = directory / "nicer"
    program.write_text("#!/bin/sh\n" + shlex.join(["exec", "nice", "-n", "5", *before, str(DUNLIN)]) + ' "$@"\n')
    program.chmod(0o755)
    return program


def test_a_run_from_a_nice_shell_is_nice_too(tmp_path, spare_directory):
    """It failed: no run may take the operator's niceness back."""
    code = tmp_path / "main.py"
    code.write_text("import os; print(os.nice(0))")
    done = subprocess.run([nicer(tmp_path), "run", f"--data={spare_directory}", code], text=True,
                          env=clean_environment(), capture_output=True, timeout=START_SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, f"{NICE}\n"), done.stderr


@pytest.mark.parametrize("may_raise, nice", [(True, 0), (False, NICE)])
def test_a_server_from_a_nice_shell_serves(make_server, tmp_path, may_raise, nice):
    """Where it may, it gives itself and its runs what others have; in a container it may not."""
    before = () if may_raise else ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")
    server = make_server(start=False)
    server.program = nicer(tmp_path, *before)
    client = server.start().client()
    for language, code in (("python", "import os; print(os.nice(0))"), ("shell", "nice")):
        assert client.run(code, language=language)["stdout"] == f"{nice}\n"
    with session(client) as one:
        assert one.shell("nice") == f"{nice}\n"
        assert one.write("f", b"kept").status == 201 and one.read("f") == b"kept"
    client.close()
