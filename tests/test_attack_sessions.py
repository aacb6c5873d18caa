"""Sessions against each other, against runs and against the host: each reads, signals, connects to,
fills and starves at others, and fails."""
import json
import textwrap
import time

import pytest

import host
from client import together, unique_name, wait_until
from inside import attack
from session_client import Session, session
from slowness import stretched

SECRET = "secret-of-the-other-session"


@pytest.fixture(scope="module")
def pair(server):
    """Two sessions that are awake: the victim, durable, and the attacker, in memory."""
    client = server.client()
    victim, attacker = Session(client, size="32M"), Session(client, ephemeral=True, size="32M")
    victim.write("private", SECRET)
    yield victim, attacker
    victim.delete()
    attacker.delete()


def find(one, code, **more):
    """What Python code reports, as JSON in its last line."""
    answer = one.run(attack(textwrap.dedent(code)), **more)
    assert answer["exit_code"] == 0, answer.text[:2000]
    return json.loads(answer["stdout"].strip().splitlines()[-1])


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("how", ["exec", "run", "terminal"])
def test_every_lock_is_on_in_a_session(server, pair, durable, how):
    """R10 to R25, for each way to start something."""
    one = pair[0] if durable else pair[1]
    look = "cat /proc/self/status; ls -l /proc/self/fd; id; pwd; cat /proc/self/oom_score_adj"
    if how == "exec":
        text = one.shell(look)
    elif how == "run":
        text = one.run("import subprocess; print(subprocess.run(['sh', '-c', " + repr(look) +
                       "], capture_output=True, text=True).stdout)")["stdout"]
    else:
        text = one.exec(look, terminal=True)["stdout"]
    fields = dict(line.strip().split(":", 1) for line in text.splitlines() if line.count(":\t"))
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"].strip() == "1" and fields["Seccomp"].strip() == "2"
    assert "uid=1000" in text and "/workspace" in text
    descriptors = [line.split(" -> ")[0].split()[-1] for line in text.splitlines() if " -> " in line]
    assert set(descriptors) <= {"0", "1", "2", "3"}, text  # 3: ls reads the directory


def test_a_session_sees_nothing_of_another(server, pair):
    """Files, mounts, processes, names."""
    victim, attacker = pair
    mark = unique_name()
    process = victim.background(f"exec -a {mark} sleep 60")
    seen = attacker.shell("cat /proc/[0-9]*/cmdline /proc/self/mountinfo /proc/mounts | tr '\\0' ' '; "
                          "ls -la / /tmp /dev/shm /workspace; grep -rl secret-of /tmp /workspace || true")
    assert mark not in seen and SECRET not in seen and victim.id not in seen
    assert "private" not in seen
    victim.client.request("DELETE", f"{victim.path}/processes/{process}")


def test_no_signal_leaves_a_session(server, pair):
    """R42: kill(-1) and every pid there is."""
    victim, attacker = pair
    process = victim.background("sleep 100")
    attacker.exec("kill -9 -1; for p in $(seq 1 4000); do kill -9 $p 2>/dev/null; done")
    assert victim.get(f"/processes/{process}")["running"]
    assert attacker.shell("echo alive") == "alive\n", "and its own init is out of reach"
    victim.client.request("DELETE", f"{victim.path}/processes/{process}")


def test_no_connection_between_sessions_runs_and_the_api(server, pair):
    """R60 to R63."""
    victim, attacker = pair
    name = unique_name()
    process = victim.background(f"""python3 -u -c "
import socket, time
a = socket.socket(); a.bind(('0.0.0.0', 4321)); a.listen()
b = socket.socket(socket.AF_UNIX); b.bind('\\0{name}'); b.listen()
c = socket.socket(socket.AF_UNIX); c.bind('/tmp/{name}'); c.listen()
print('up'); time.sleep(60)" """)
    wait_until(lambda: "up" in victim.get(f"/processes/{process}/output")["stdout"], 10, "it listens")
    code = f"""
        import socket
        def connect(family, address):
            s = socket.socket(family); s.settimeout(2)
            try:
                s.connect(address)
                return "connected"
            except OSError as error:
                return type(error).__name__
        report(other=connect(socket.AF_INET, ("127.0.0.1", 4321)),
               api=connect(socket.AF_INET, ("127.0.0.1", {server.port})),
               abstract=connect(socket.AF_UNIX, "\\0{name}"),
               path=connect(socket.AF_UNIX, "/tmp/{name}"))
        """
    for found in (find(attacker, code), server.client().find(attack(textwrap.dedent(code)))):
        assert "connected" not in found.values(), found
    own = find(victim, code)
    assert own["other"] == own["abstract"] == own["path"] == "connected", "a session is one machine"
    assert own["api"] != "connected"
    victim.client.request("DELETE", f"{victim.path}/processes/{process}")


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_session_is_full_for_itself_only(server, pair, durable):
    """R53: bytes and inodes, in every place that can be written to; and it can be emptied again."""
    with session(server.client(), size="8M", ephemeral=not durable) as one:
        full = one.exec("for d in /workspace /tmp /dev/shm; do cat /dev/zero > $d/fill; done; "
                        "mkdir /workspace/n; i=0; while : > /workspace/n/$i; do i=$((i+1)); done; echo $i")
        assert int(full["stdout"]) < 20000
        usage = one.get("/usage")
        assert usage["used"] <= 9 << 20
        assert one.write("late", b"x" * 100_000).status == 507
        assert one.get("/stat", params={"path": "late"}).status == 404, "nothing half-written"
        assert one.shell("echo still here") == "still here\n", "output is not in the quota"
        assert pair[0].write("beside", b"x" * 1_000_000).status in (200, 201)
        assert server.client().run("open('f', 'wb').write(bytes(1 << 20))")["success"]
        one.shell("rm -rf /workspace/* /tmp/* /dev/shm/*")
        assert one.write("late", b"x" * 100_000).status in (200, 201)


def test_a_busy_session_starves_nobody(server, pair):
    """R50 to R52: a fork bomb, busy loops and a memory hog, and beside them another session."""
    victim, _ = pair
    with session(server.client(), ephemeral=True) as one:
        bombs = [one.background("while :; do :; done & while :; do :; done & wait"),
                 one.background("bomb() { bomb | bomb & }; bomb; sleep 20")]
        worst = 0
        for _ in range(10):
            start = time.monotonic()
            assert victim.shell("echo fine") == "fine\n"
            worst = max(worst, time.monotonic() - start)
        assert worst < stretched(2.0)
        assert server.health() == 200
        for process in bombs:
            one.post(f"/processes/{process}/signal", signal="KILL")
    with session(server.client(), ephemeral=True) as one:
        hog = one.run("x = [bytearray(1 << 20) for _ in range(4096)]")
        assert hog["signal"] == "SIGKILL" or hog["exit_code"] == 1
        assert victim.shell("echo fine") == "fine\n"


def test_what_is_deleted_is_gone(server):
    """R90: the next session of the same id finds nothing, no process lives on."""
    client, mark, name = server.client(), unique_name(), unique_name("s")
    with session(client, id=name) as one:
        one.write("left", SECRET)
        one.background(f"exec -a {mark} setsid sleep 500 &")
    wait_until(lambda: not any(mark.encode() in host.read(p.pid, "cmdline") for p in server.tree()),
               5, "its daemons are dead")
    with session(client, id=name) as again:
        assert again.shell("ls -A; ls -A /tmp") == ""


def test_many_sessions_side_by_side_never_mix(server):
    """Contract section 12 item 21, over sessions and calls."""
    sessions = [Session(server.client(), ephemeral=True) for _ in range(3)]
    try:
        def talk(one, n):
            client = server.client()
            path = f"/v1/sessions/{one.id}/exec"
            for turn in range(5):
                want = f"{one.id}-{n}-{turn}"
                answer = client.post({"command": f"echo {want}; sleep 0.0{n}; echo {want} >&2"}, path=path)
                assert (answer["stdout"], answer["stderr"]) == (want + "\n", want + "\n")
        together([lambda o=o, n=n: talk(o, n) for o in sessions for n in range(4)])
    finally:
        for one in sessions:
            one.delete()


def test_no_list_of_processes_shows_init_or_its_helpers(pair):
    """R25: neither the one of the API nor what a program sees."""
    victim, _ = pair
    process = victim.background("sleep 60")
    tree = victim.get("/processes?all=true")["tree"]
    assert "sleep 60" in {one["command"] for one in tree}
    assert not [one for one in tree if "dunlin-init" in one["command"] or one["pid"] == 1], tree
    seen = victim.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "dunlin-init" not in seen
    victim.client.request("DELETE", f"{victim.path}/processes/{process}")
