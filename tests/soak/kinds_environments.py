"""Kinds of the soak: environments, built, used, built again and deleted."""
import contextlib
import time

from caller import require, require_fields
from mix import loop, paced

CACHED_SCRIPT = "echo soak > /opt/cached"  # of every environment that is not to be built again
READ = "print(open('/opt/{0}').read().strip())"


def create(caller, script, status="ready", **fields):
    """A new environment whose build ends with this status; its name."""
    name = "soak-" + caller.nonce()
    answer = caller.call("POST", "/environments?wait=true",
                         {"name": name, "setup_script": script, "warm": [], **fields})
    require_fields(answer, name=name, status=status)
    return name


def delete(caller, name):
    """Deletes it."""
    caller.call("DELETE", f"/environments/{name}")


@contextlib.contextmanager
def environment(caller, script, **fields):
    """A new environment for the block; yields its name."""
    name = create(caller, script, **fields)
    try:
        yield name
    except BaseException:
        with caller.tidying():
            delete(caller, name)
        raise
    delete(caller, name)


def says(caller, name, file, text, **fields):
    """A run in the environment finds this text in its file."""
    answer = caller.execute(READ.format(file), environment=name, timeout=60, **fields)
    require_fields(answer, success=True, stdout=text + "\n", stderr="", exit_code=0)


@loop(30)
def environment_run(caller):
    """A run in an environment that is in use all the time."""
    says(caller, caller.world.busy_environment, "cached", "soak")


@paced(60)
def environment_woken(caller):
    """A run in one that has given up its processes since the last run."""
    says(caller, caller.rng.choice(caller.world.idle_environments), "cached", "soak")


@paced(60)
def build(caller):
    """A build of a script that was never built before, a run, and the end."""
    nonce = caller.nonce()
    with environment(caller, f"echo {nonce} > /opt/{nonce}") as name:
        says(caller, name, nonce, nonce)
        log = caller.call("GET", f"/environments/{name}/logs").data.decode()
        require("dunlin: " in log, "the log is empty")
    caller.call("GET", f"/environments/{name}", status=404)


@paced(120)
def build_cached(caller):
    """An equal script is not built again; not every such environment is ever used."""
    with environment(caller, CACHED_SCRIPT) as name:
        if caller.rng.random() < 0.3:
            says(caller, name, "cached", "soak")


@paced(40)
def build_failed(caller):
    """A script that fails."""
    nonce = caller.nonce()
    name = create(caller, f"echo {nonce}; exit 3", status="failed")
    answer = caller.call("GET", f"/environments/{name}")
    require("3" in answer["error"], "the error does not tell the status")
    require(nonce in caller.call("GET", f"/environments/{name}/logs").data.decode(), "no log")
    delete(caller, name)


@paced(20)
def rebuild(caller):
    """A build anew, of a script with another outcome each time."""
    with environment(caller, f"date +%s%N > /opt/stamp # {caller.nonce()}") as name:
        stamps = []
        for _ in range(2):
            answer = caller.execute(READ.format("stamp"), environment=name, timeout=60)
            require_fields(answer, success=True, stderr="")
            stamps.append(answer["stdout"])
            if len(stamps) == 1:
                caller.call("POST", f"/environments/{name}/rebuild?wait=true", {})
        require(stamps[0] != stamps[1], "the rebuilt environment is the old one")


@paced(20)
def gone_during_build(caller):
    """Whoever waits for a build goes away, the build goes on; its deletion ends it."""
    name = "soak-" + caller.nonce()
    sock = caller.open("POST", "/environments?wait=true",
                       {"name": name, "setup_script": f"sleep 60 # {name}", "warm": []})
    time.sleep(caller.rng.uniform(0.5, 2))
    sock.close()
    require_fields(caller.call("GET", f"/environments/{name}"), status="building")
    delete(caller, name)
    caller.call("GET", f"/environments/{name}", status=404)


@paced(40)
def session_in_environment(caller):
    """A session in an environment of its own."""
    with environment(caller, CACHED_SCRIPT) as name:
        id_ = caller.call("POST", "/v1/sessions", {"environment": name, "size": "1M"}, 201)["id"]
        answer = caller.call("POST", f"/v1/sessions/{id_}/exec", {"command": "cat /opt/cached"})
        require_fields(answer, stdout="soak\n", exit_code=0)
        caller.call("DELETE", f"/v1/sessions/{id_}", status=204)
