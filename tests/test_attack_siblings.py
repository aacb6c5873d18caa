"""Attacks of a run on the processes around its sandbox, by way of its own parent."""
import pytest

from inside import attack

CLONE_PARENT = 0x8000
SIGCHLD = 17


@pytest.mark.parametrize("status", [0, 42])
def test_a_run_cannot_give_a_child_to_the_nest(server, status):
    """R43: its parent waits outside the sandbox.  A sibling would be reaped there, and the nest takes
    the exit status 42 for a sandbox whose zygote is stuck."""
    before = {one.key for one in server.zygotes}
    found = server.client().find(attack(f"""
        result = raw(NR["clone"], {CLONE_PARENT | SIGCHLD}, 0, 0, 0, 0)
        if result == 0:
            os._exit({status})
        report(result=result)
        """))
    assert found["result"] < 0
    assert server.client().run("print(1)")["isolation"]["warm"]
    assert {one.key for one in server.zygotes} == before
