"""The Python package against a real server: both clients, the predecessors' classes, the examples."""
import asyncio
import inspect
import subprocess
import sys

import pytest

from client import unique_name
from server import REPOSITORY

PACKAGE = REPOSITORY / "sdk" / "python"
sys.path.insert(0, str(PACKAGE))
dunlin = pytest.importorskip("dunlin")
from dunlin.selectors import StaticServerSelector, rank  # noqa: E402

EXPECTED = {
    "basic": "18446744073709551616\nexit code 3\n",
    "files": "sum: 6\n",
    "environments": "status: ready\nfrom the setup\n",
    "sessions": "lines: 3\ntext: by Python\nfiles: ['data/words.txt', 'made.txt']\nrestored: True\n",
    "streaming": "step 0\nstep 1\nstep 2\nline 1\nline 2\nline 3\nexit code 0\n",
    "batch": "0 1 4 9 16 25 36 49\n",
}


@pytest.mark.parametrize("name", sorted(p.stem for p in (PACKAGE / "examples").glob("*.py")))
def test_the_examples_do_what_they_say(server, name):
    """With the interpreter and the packages of the distribution."""
    done = subprocess.run(["/usr/bin/python3", PACKAGE / "examples" / f"{name}.py"], text=True,
                          capture_output=True, timeout=50, check=False,
                          env={"PYTHONPATH": str(PACKAGE), "DUNLIN_URL": server.url, "PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    if name in EXPECTED:
        assert done.stdout == EXPECTED[name]
    else:
        assert "ZeroDivisionError" in done.stdout and "timed out: True" in done.stdout
        assert "not found: " in done.stdout and "invalid: 4" in done.stdout
        assert done.stdout.endswith("unreachable\n")


def test_both_halves_are_the_same():
    """dunlin/_sync is made from dunlin/_async, and the public names agree."""
    done = subprocess.run([PACKAGE / "tools" / "unasync", "--check"], capture_output=True, text=True,
                          check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    for one, other in ((dunlin.Client, dunlin.AsyncClient), (dunlin.Session, dunlin.AsyncSession),
                       (dunlin.Environment, dunlin.AsyncEnvironment)):
        names = [n for n in dir(one) if not n.startswith("_")]
        assert names == [n for n in dir(other) if not n.startswith("_")]
        for name in names:
            if callable(getattr(one, name)):
                assert getattr(one, name).__doc__, name
                assert inspect.signature(getattr(one, name)) == inspect.signature(getattr(other, name))


@pytest.fixture
def sdk(server):
    """The synchronous client."""
    with dunlin.Client(server.url) as one:
        yield one


def test_files_of_a_session(sdk, tmp_path):
    """Every method on files, names with blanks and more, bytes that are no text."""
    odd = "ä dir/b #?%&+'\".bin"
    with sdk.create_session(ephemeral=True) as session:
        made = session.write(odd, bytes(range(256)) * 1000, mode=0o600)
        assert (made.type, made.size, made.mode) == ("file", 256_000, "0600")
        assert session.read(odd, 10, 5) == bytes(range(10, 15)) and len(session.read(odd)) == 256_000
        assert b"".join(session.read_stream(odd)) == bytes(range(256)) * 1000
        (tmp_path / "f").write_bytes(b"from a file")
        with open(tmp_path / "f", "rb") as f:
            session.write("copy/of", f)
        session.write("copy/of", "!", append=True)
        assert session.read_text("copy/of") == "from a file!"
        with pytest.raises(dunlin.Conflict):
            session.write("copy/of", b"", exclusive=True)
        session.mkdir("a/b/c")
        session.copy("copy/of", "a/b/d")
        session.move("a/b/d", "a/e")
        session.chmod("a/e", 0o755)
        assert session.stat("a/e").mode == "0755" and not session.exists("a/b/d")
        assert {m.path for m in session.search(text="from a")} == {"copy/of", "a/e"}
        assert [m.path for m in session.search(name="*.bin")] == [odd]
        archive = b"".join(session.download_tar("a"))
        session.upload_tar(archive, "unpacked")
        assert session.exists("unpacked/e") or session.exists("unpacked/a/e")
        session.remove("a", recursive=True)
        assert not session.exists("a")
        assert session.usage().used >= 256_000
        with pytest.raises(dunlin.NotFound):
            session.read("nothing")


def test_processes_of_a_session(sdk):
    """Background, output, input, signals, streams."""
    with sdk.create_session(ephemeral=True) as session:
        process = session.start("cat; echo bye; exit 4", stdin_open=True)
        session.write_stdin(process, b"typed\n", close=True)
        events = list(session.follow(process))
        assert "".join(e.text for e in events if e.name == "stdout") == "typed\nbye\n"
        assert events[-1].name == "result" and events[-1].data["exit_code"] == 4
        assert session.output(process).stdout == "typed\nbye\n"
        sleeper = session.start(["sleep", "60"])
        session.signal(sleeper, "TERM")
        assert list(session.follow(sleeper))[-1].data["signal"] == "SIGTERM"
        assert {p.process for p in session.processes()} >= {process.process, sleeper.process}
        assert session.exec(["printf", "%s|", "a b", "c"]).stdout == "a b|c|"
        failed = session.exec("exit 9")
        assert failed.exit_code == 9 and not failed.success
        result = session.run("import sys; print(sys.argv[1:], input())", args=["x y"], stdin="in\n")
        assert result.stdout == "['x y'] in\n"


def test_life_of_sessions(sdk):
    """Listing by label, sleep, change, snapshot, fork."""
    mark = unique_name()
    with sdk.create_session(labels={"mark": mark}, size="20M") as session:
        session.write("kept", b"1")
        session.sleep()
        assert session.info().state in ("asleep", "falling asleep") and session.read("kept") == b"1"
        assert session.change(size="40M").size == 40 << 20
        with session.fork(labels={"mark": mark}) as fork:
            fork.write("kept", b"2")
            assert session.read("kept") == b"1"
            found = [one.id for one in sdk.sessions(labels={"mark": mark}, page=1)]
            assert found == [session.id, fork.id]
        snapshot = session.snapshot("one")
        assert [one.name for one in session.snapshots()] == ["one"]
        sdk.delete_snapshot(snapshot.id)
    with pytest.raises(dunlin.NotFound):
        sdk.session(session.id)


@pytest.mark.parametrize("path", ["..", "../exec", "a/../../x", "a/.."])
def test_a_path_never_leads_to_another_address(sdk, path):
    """httpx would resolve it: removing ".." would remove the session."""
    with sdk.create_session(ephemeral=True) as session:
        for call in (session.read, session.remove, lambda p: session.write(p, b"x")):
            with pytest.raises(dunlin.InvalidRequest):
                call(path)
        session.write("./a/./b", b"kept")
        assert session.read("a/b") == b"kept"
    for name in ("", ".", ".."):
        with pytest.raises(dunlin.InvalidRequest):
            sdk.session(name)


def test_the_asynchronous_client_runs_side_by_side(server):
    """The same names, awaited."""
    async def work():
        async with dunlin.AsyncClient(server.url) as client:
            async with await client.create_session(ephemeral=True) as session:
                results = await asyncio.gather(*(session.exec("echo %d" % n) for n in range(5)))
                assert [r.stdout for r in results] == ["%d\n" % n for n in range(5)]
                async for event in session.stream("echo begun; sleep 30"):
                    if event.name == "stdout":
                        break  # ends the command
                await session.write("f", b"x" * 100_000)
                assert b"".join([piece async for piece in session.read_stream("f")]) == b"x" * 100_000
    asyncio.run(work())


def test_errors_have_the_servers_words(sdk):
    """Typed, with status and detail."""
    with pytest.raises(dunlin.InvalidRequest) as caught:
        sdk.create_session(size="a lot")
    assert caught.value.status in (400, 422) and caught.value.detail
    with pytest.raises(dunlin.Unreachable):
        dunlin.Client("http://127.0.0.1:1", retries=1).health()


def test_keys(make_server):
    """Sent as a bearer token; without it Unauthorized; sessions are their owner's only."""
    one = make_server(API_KEYS="first,second")
    with dunlin.Client(one.url) as client, pytest.raises(dunlin.Unauthorized):
        client.environments()
    with dunlin.Client(one.url, "first") as first, dunlin.Client(one.url, "second") as second:
        with first.create_session(ephemeral=True) as session:
            with pytest.raises(dunlin.NotFound):
                second.session(session.id)
            assert not list(second.sessions())


def test_the_classes_of_simple_py_sandbox(server):
    """A5."""
    client = dunlin.SimplePySandboxClient(server.url)
    assert client.health_check()["status"]
    result = client.execute_code("open('a', 'w').write('out'); print(open('in').read())",
                                 files={"in": client.encode_file("hello")})
    assert result["stdout"] == "hello\n" and client.decode_file(result["files"]["a"]) == b"out"
    assert client.execute_code("print(1)", files=None)["success"]
    client.print_result(result)
    assert "total" in client.list_environments()
    batch = dunlin.AdvancedSandboxClient(server.url).execute_code_batch(["print(1)", {"code": "print(2)"}])
    assert [one["stdout"] for one in batch] == ["1\n", "2\n"]
    assert dunlin.SandboxClient(server.url).execute_code("print(open('t').read())",
                                                         files={"t": "text"})["stdout"] == "text\n"


def test_the_class_of_sandbox_runtime(server, tmp_path):
    """B5, with a session that holds what defects 28 and 29 lost."""
    async def work():
        sandbox = dunlin.SharedEnvSandbox(unique_name("s"), servers=[server.url])
        await sandbox.create_session()
        try:
            await sandbox.create_file("text", "d/a.txt")
            (tmp_path / "up").write_bytes(b"\x00\xff")
            await sandbox.upload_file(str(tmp_path / "up"), "up.bin")
            assert await sandbox.download_file("up.bin", str(tmp_path / "down")) is True
            assert (tmp_path / "down").read_bytes() == b"\x00\xff"
            result = await sandbox.execute("echo", "a b", "$HOME")
            assert result["stdout"] == "a b $HOME\n" and result["returncode"] == 0
            result = await sandbox.execute_code(r"print('a\nb\\c'); x = {'k': 1}", output_params=["x"])
            assert result["stdout"] == "a\nb\\c\n" and result["output_variables"] == {"x": {"k": 1}}
            names = {one["filename"] for one in await sandbox.list_files(recursive=True)}
            assert {"d/a.txt", "up.bin"} <= names
            assert (await sandbox.read_file("d/a.txt"))["content"] == "text"
            assert (await sandbox.get_status())["exists"] is True
            with pytest.raises(dunlin.SandboxError) as caught:
                await sandbox.read_file("nothing")
            assert caught.value.message == "File not found"
        finally:
            await sandbox.close()
        with pytest.raises(ValueError):
            dunlin.SharedEnvSandbox("")
    asyncio.run(work())


def test_the_choice_of_a_server_is_stable_and_its_loss_moves_only_its_sessions(server):
    """Defect 28: the same in every process; health checks; no healthy server is told."""
    servers = ["http://127.0.0.1:1", server.url]
    code = ("import sys; sys.path.insert(0, %r); from dunlin.selectors import rank; "
            "print([rank(str(i), %r)[0] for i in range(50)])" % (str(PACKAGE), ["a", "b", "c"]))
    answers = {subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, check=True,
                              env={"PYTHONHASHSEED": str(seed)}, timeout=20).stdout for seed in range(3)}
    assert len(answers) == 1
    before = {str(i): rank(str(i), ["a", "b", "c"])[0] for i in range(300)}
    after = {str(i): rank(str(i), ["a", "c"])[0] for i in range(300)}
    assert {i for i in before if before[i] != after[i]} == {i for i in before if before[i] == "b"}
    assert all(60 < list(before.values()).count(one) < 140 for one in "abc")
    selector = StaticServerSelector(servers)
    assert asyncio.run(selector.select("any")) == server.url
    with pytest.raises(dunlin.SandboxError, match="No available server found"):
        asyncio.run(StaticServerSelector(servers[:1]).select("any"))
