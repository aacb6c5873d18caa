"""Attacks through the warm interpreter: state, randomness, residue, shadowed modules (R90-R95)."""
import base64
import contextlib
import os

import host
from client import together, unique_name, wait_until
from inside import attack, halves
from server import ENVIRONMENT_CANARY, held

ROUNDS = 12  # more than the pool's floor, so that every waiting sandbox was made before the attack


def test_nothing_that_a_run_changes_is_seen_by_the_next(server):
    """R90"""
    client = server.client()
    change = """
        import builtins, codecs, io, json, os, random, re, sys
        builtins.len = lambda x: 42
        builtins.print_was_here = True
        json.loads = lambda s: "poisoned"
        re.match = None
        sys.modules["poison"] = sys
        sys.path.insert(0, "/tmp")
        os.environ["POISON"] = "1"
        random.seed(1)
        io.poison = codecs.poison = sys.poison = 1
        open("/tmp/poison.py", "w").write("x = 1")
        open("/dev/shm/poison", "w").write("x")
        open("poison.py", "w").write("x = 1")
        sys.setrecursionlimit(77)
        os.umask(0o77)
        os.chdir("/tmp")
        """
    look = attack("""
        import builtins, codecs, io, random, re
        seen = [name for name, there in {
            "len": len([1]) != 1, "builtins": hasattr(builtins, "print_was_here"),
            "json": json.loads("1") != 1, "re": re.match("a", "a") is None,
            "module": "poison" in sys.modules, "path": "/tmp" in sys.path,
            "environ": "POISON" in os.environ, "io": hasattr(io, "poison"),
            "codecs": hasattr(codecs, "poison"), "sys": hasattr(sys, "poison"),
            "tmp": os.listdir("/tmp"), "shm": os.listdir("/dev/shm"),
            "workspace": os.listdir(".") != ["main.py"], "limit": sys.getrecursionlimit() == 77,
            "umask": os.umask(0o22) != 0o22, "cwd": os.getcwd() != "/sandbox"}.items() if there]
        report(seen=seen)
        """)
    for _ in range(ROUNDS):
        assert client.run(change)["success"]
        assert client.find(look)["seen"] == []


def test_every_run_draws_other_random_numbers(server):
    """R91"""
    code = attack("""
        import hashlib, random, secrets, ssl, tempfile, uuid
        found = {"random": random.random(), "instance": random.Random().random(),
                 "uuid1": str(uuid.uuid1()), "uuid4": str(uuid.uuid4()),
                 "secrets": secrets.token_hex(16), "urandom": os.urandom(16).hex(),
                 "ssl": ssl.RAND_bytes(16).hex(), "temp": tempfile.mktemp(),
                 "shuffle": str(random.sample(range(10**9), 3)), "id": random.getrandbits(64)}
        try:
            import numpy
            found["numpy"] = float(numpy.random.random())
            found["numpy generator"] = float(numpy.random.default_rng().random())
        except ImportError:
            pass
        report(**found)
        """)
    answers = together([lambda: server.client().find(code) for _ in range(ROUNDS)])
    answers += [server.client().find(code) for _ in range(ROUNDS)]
    for name in answers[0]:
        values = [answer[name] for answer in answers]
        assert len(set(values)) == len(values), f"{name} repeats"


def test_a_seeded_generator_is_still_reproducible(client):
    """R91"""
    code = "import random; random.seed(7); print(random.random(), random.randint(1, 10**9))"
    assert len({client.run(code)["stdout"] for _ in range(3)}) == 1


SHADOWED = ["json", "re", "os", "io", "sys", "site", "sitecustomize", "usercustomize", "codecs",
            "runpy", "linecache", "traceback", "tokenize", "atexit", "threading", "signal", "abc",
            "types", "random", "encodings", "ctypes", "socket", "struct", "builtins", "warnings",
            "zygote", "dunlin", "harness", "policy", "ast", "string", "keyword", "contextlib"]


def test_user_files_cannot_shadow_what_the_harness_imports(client):
    """R94"""
    bad = base64.b64encode(b"import os\nos.write(2, b'shadowed')\nos._exit(77)\n").decode()
    files = {f"{name}.py": bad for name in SHADOWED if name not in ("os", "encodings")}
    files["encodings/__init__.py"] = files["os/__init__.py"] = bad
    answer = client.run("print('fine')", files=files)
    assert (answer["stdout"], answer["stderr"], answer["exit_code"]) == ("fine\n", "", 0)
    answer = client.run("def f():\n    raise ValueError('still told')\nf()", files=files)
    assert (answer["exit_code"], answer["stdout"]) == (1, "")
    assert "ValueError: still told" in answer["stderr"] and "shadowed" not in answer["stderr"]
    answer = client.run("import atexit; atexit._run_exitfuncs; raise SystemExit(5)",
                        files={name: data for name, data in files.items() if name != "atexit.py"})
    assert answer["exit_code"] == 5


def test_user_modules_are_still_found_first(client):
    """R94: the isolation of the harness must not break the user's own imports."""
    module = base64.b64encode(b"value = 'mine'").decode()
    answer = client.run("import helper, fractions; print(helper.value, fractions.__name__)",
                        files={"helper.py": module})
    assert answer["stdout"] == "mine fractions\n"
    assert client.run("import colorsys; print(getattr(colorsys, 'value', 'library'))",
                      files={"colorsys.py": module})["stdout"] == "mine\n"


def test_the_files_of_another_interpreter_start_are_not_read(client):
    """R94: .pth files, pyvenv.cfg, PYTHONSTARTUP and __main__.py in the workspace."""
    bad = base64.b64encode(b"import os; os._exit(77)").decode()
    files = {"x.pth": bad, "pyvenv.cfg": bad, "__main__.py": bad, "startup.py": bad,
             "python311._pth": bad, "setup.cfg": bad}
    answer = client.run("print('fine')", files=files, env={"PYTHONSTARTUP": "/sandbox/startup.py"})
    assert answer["stdout"] == "fine\n"


def test_nothing_of_another_run_is_in_memory(server):
    """R92, R95: code, stdin, arguments, environment and files of earlier and concurrent runs."""
    secret = f"secret-{unique_name()}-{unique_name()}"
    first, second = halves(secret)
    plain = {"stdin": secret, "args": [secret], "env": {"S": secret},
             "files": {f"{secret}.txt": base64.b64encode(secret.encode()).decode()}}
    look = attack(f"report(there=memory_has({first}, {second}))")
    for _ in range(4):
        server.client().run(f"x = '{secret}'; print(x * 1000)", **plain)
    with held(server, f"x = '{secret}'", **plain):
        for _ in range(ROUNDS // 2):
            assert server.client().find(look) == {"there": False}
    own = server.client().find(attack(f"x = {first} + {second}\n"
                                      f"report(there=memory_has({first}, {second}))"))
    assert own == {"there": True}, "the scan itself works"


def test_how_another_run_ended_is_not_in_memory(server):
    """R90: exit status, CPU time and memory of earlier runs, as their parents tell them (struct
    nest_status in src/wire/nest.h)."""
    client = server.client()
    look = attack("""
        import struct
        ENDED = 77 << 40  # no error, then the wait status: as one number, so never in this memory
        def told(piece):
            words = memoryview(piece).cast("Q").tolist()
            for at in range(words.count(ENDED) and len(words) - 2):
                if words[at] == ENDED and 0 < words[at + 1] < 10**8 and 0 < words[at + 2] < 1 << 40:
                    yield words[at + 1:at + 3]
        own = struct.pack("=QQQ", ENDED, 4242, 4243) if len(sys.argv) > 1 else None
        report(told=[one for piece in own_memory() for one in told(piece)])
        """)

    def end():
        with contextlib.closing(server.client()) as another:
            for _ in range(2 * ROUNDS):
                assert another.run("import os; os._exit(77)")["exit_code"] == 77

    def find():
        with contextlib.closing(server.client()) as another:
            for _ in range(ROUNDS):
                assert another.find(look)["told"] == []

    together([end, find, end, find, end])  # also in the moment in which one ends
    assert [4242, 4243] in client.find(look, args=["plant"])["told"], "the scan itself works"


def memory_not_copied_kb(pid):
    """How much of a process's memory its copies do not get (MADV_DONTFORK)."""
    found, size = 0, 0
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("VmFlags:") and "dc" in line.split():
                found += size
    return found


def test_who_waits_for_the_end_of_a_run_has_a_stack_that_no_other_run_gets(server):
    """R90: a run that was copied in the moment between the report and the end of that process had the
    exit status, the CPU time and the memory of the one before in its memory.  Each such process
    shares the zygote's memory, and stands beside it."""
    nest, = server.nests
    zygote = server.zygote

    def all_have():
        waiting = [one for one in host.tree(server.pid) if one.parent == nest.pid
                   and one.comm == zygote.comm and one.pid != zygote.pid]
        return len(waiting) > 1 and memory_not_copied_kb(zygote.pid) >= 128 * len(waiting)

    with held(server, "pass"):
        wait_until(all_have, 10, "each has its own")


def zygote_memory(pid):
    """All readable private memory of a process, seen from the host."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if mode.startswith("r") and "[v" not in line:
                mem.seek(start)
                try:
                    yield mem.read(end - start)
                except OSError:
                    continue


def test_the_zygote_never_sees_a_request(server):
    """R92, R95: looked for from the host in the memory of zygotes and nests."""
    secret = f"secret-{unique_name()}-{unique_name()}".encode()
    for _ in range(8):
        server.client().run(f"x = '{secret.decode()}'", stdin=secret.decode())
    assert server.zygotes
    for one in [*server.zygotes, *server.nests]:
        for piece in zygote_memory(one.pid):
            assert secret not in piece, one
            assert ENVIRONMENT_CANARY.encode() not in piece, one


def test_the_zygote_has_no_sockets_but_its_own_and_no_writable_shared_memory(server):
    """R95"""
    for one in server.zygotes:
        with open(f"/proc/{one.pid}/maps") as f:
            shared = [line for line in f if line.split()[1][1:4:2] == "ws"]
        assert not shared, shared
        links = [os.readlink(f"/proc/{one.pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{one.pid}/fd")]
        assert sum(link.startswith("socket:") for link in links) <= 2, links
        assert not [link for link in links if link.startswith("/") and link != "/dev/null"
                    and "cgroup" not in link and not link.startswith("/proc")], links
        assert host.namespace(one.pid, "net") != host.namespace("self", "net")


def test_the_zygote_is_not_the_hosts_and_not_privileged(server):
    """R95, R15"""
    for one in server.zygotes:
        assert 0 not in host.host_uid(one.pid)
        for kind in ("user", "pid", "mnt", "net", "ipc"):
            assert host.namespace(one.pid, kind) != host.namespace("self", kind), kind


def test_a_run_cannot_reach_its_zygote_or_siblings(server):
    """R90: no process of another sandbox, and no zygote, is in sight."""
    with held(server, count=3):
        found = server.client().find(attack("""
            pids = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
            hit = [p for p in range(2, 400) if p != os.getpid() and attempt(os.kill, p, 0) == "ok"]
            report(pids=pids, hit=hit, parent=os.getppid(), me=os.getpid())
            """))
    assert set(found["pids"]) <= {1, found["me"]} and found["hit"] == []
    assert found["parent"] in (0, 1)


def test_the_hash_seed_is_not_a_constant_of_the_build(server):
    """R91: it is chosen anew when the zygote starts; within one zygote it is shared."""
    code = "print(hash('dunlin'))"
    values = {server.client().run(code)["stdout"] for _ in range(3)}
    cold = {server.client().run(f'python3 -c "{code}"', language="shell")["stdout"]
            for _ in range(3)}
    assert len(cold) == 3, "a new interpreter has a new seed"
    assert not values & cold
