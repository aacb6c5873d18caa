"""The server does not depend on what the operator's shell happens to hand down."""
import os


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
