"""dunlin session and dunlin run --url: words, exit codes, and what they do on a real server; the
terminal through tmux."""
import json
import os
import shutil
import signal
import socket
import subprocess
import termios

import pytest

from client import SLEEPER, unique_name, wait_until
from server import DUNLIN, clean_environment, dunlin

WAIT_SECONDS = 60


class Cli:
    """`dunlin session` against one server."""

    def __init__(self, url):
        self.url = url

    def __call__(self, *words, command="session", status=0, **options):
        """Runs it to its end; insists on its exit status."""
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        done = dunlin(command, "--url", self.url, *words, seconds=WAIT_SECONDS, **options)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def cli(server):
    """The command against the shared server."""
    return Cli(server.url)


@pytest.fixture
def session(cli):
    """The id of a session in memory."""
    made = cli("create", "--ephemeral").strip()
    yield made
    cli("delete", made, "--yes")


def test_the_life_of_a_session(cli):
    """create, list, info, sleep, delete, in English and Chinese, and as JSON."""
    name, mark = unique_name("s"), unique_name()
    assert cli("create", "--id", name, "--size", "20M", "--label", f"mark={mark}", "--env", "A=b c",
               "--idle-timeout", "500") == name + "\n"
    assert cli("exec", name, "echo $A") == "b c\n"
    listed = cli("list", "--label", f"mark={mark}")
    assert "Sessions: 1" in listed and name in listed
    info = cli("info", name)
    assert "awake" in info and "mark=" + mark in info and "A=b c" in info and "20" in info
    assert "会话详情" in cli("info", name, "--lang", "zh")
    cli("sleep", name)
    facts = json.loads(cli("info", name, "--json"))
    assert facts["state"] == "asleep" and facts["size"] == 20 << 20
    assert "not deleted" in cli("delete", name, input="n\n", status=1)
    cli("delete", name, "--yes")
    assert name in cli("info", name, status=1)


def test_commands_and_code(cli, session, tmp_path):
    """Exit codes are the program's; words stay words; standard input goes along."""
    assert cli("exec", session, "echo out; echo err >&2; exit 7", status=7) == "out\n"
    assert cli("exec", session, "printf", "%s|", "a b", "-n", "--cwd") == "a b|-n|--cwd|"
    assert cli("exec", session, "cat", input="piped\n") == "piped\n"
    cli("exec", session, "kill -9 $$", status=137)
    cli("exec", "--timeout", "1", session, "sleep 30", status=124)
    assert cli("exec", "--cwd", "/tmp", "-e", "X=1", session, "echo $PWD $X") == "/tmp 1\n"
    script = tmp_path / "code.py"
    script.write_text("import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(3)")
    assert cli("run", session, script, "one two", "-x", input="in", status=3) == "['one two', '-x'] in\n"
    assert cli("run", "--language", "shell", session, "-", input="echo from stdin") == "from stdin\n"
    assert cli("exec", session, "true", status=0) == ""
    assert "no option" in dunlin("session", "exec", "--size", "1M", "x", "y").stderr


def test_processes(cli, session):
    """Background, ps, logs, kill."""
    process = cli("exec", "--background", session, "echo begun; sleep 100").strip()
    wait_until(lambda: cli("logs", session, process) == "begun\n", 10, "its output")
    assert "running" in cli("ps", session) and "sleep 100" in cli("ps", session, "--all")
    cli("kill", session, process)
    cli("logs", "-f", session, process, status=143)
    assert "SIGTERM" in cli("ps", session)
    assert "number" in cli("kill", session, "x1", status=1)


def test_files(cli, session, tmp_path):
    """cp both ways, through pipes, into directories, with modes; ls; nothing half-copied."""
    source = tmp_path / "odd nä#me.bin"
    source.write_bytes(bytes(range(256)) * 4000)
    source.chmod(0o755)
    cli("cp", source, f"{session}:dir/")
    assert "odd nä#me.bin" in cli("ls", "-r", session) and "0755" in cli("ls", session, "dir")
    cli("cp", f"{session}:dir/odd nä#me.bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    cli("cp", "-", f"{session}:typed", input="by hand\n")
    assert cli("cp", f"{session}:typed", "-") == "by hand\n"
    cli("cp", f"{session}:typed", tmp_path)
    assert (tmp_path / "typed").read_text() == "by hand\n"
    cli("cp", f"{session}:nothing", tmp_path / "none", status=1)
    assert not (tmp_path / "none").exists() and not list(tmp_path.glob("*.??????"))
    cli("cp", source, tmp_path / "x", status=1)


def test_a_copy_goes_into_a_device_and_never_replaces_it(cli, session, tmp_path):
    cli("exec", session, "printf text > f")
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        cli("cp", f"{session}:f", pipe)
        assert reader.communicate(timeout=10)[0] == b"text" and pipe.is_fifo()
    link.symlink_to(target)
    target.write_text("longer than that")
    cli("cp", f"{session}:f", link)
    assert link.is_symlink() and target.read_text() == "text"


def test_it_is_told_what_does_not_exist(cli, session):
    """The process, the file or the session; in Chinese too, not as JSON."""
    for lang in "en", "zh":
        assert "process '99' does not exist" in cli("logs", session, "99", "--lang", lang, status=1)
        assert "nothing does not exist" in cli("ls", session, "nothing", "--lang", lang, status=1)
        assert "{" not in cli("create", "--id", session, "--lang", lang, status=1)
        told = cli("shell", "no-such", "true", "--lang", lang, status=1) if lang == "en" else ""
        assert "HTTP/1.1" not in told and "{" not in told
    assert "会话 'no-such' 不存在" in cli("info", "no-such", "--lang", "zh", status=1)
    cli("exec", "--background", session, "printf 'a\\0b'")
    wait_until(lambda: cli("logs", session, "1") == "a\0b", 10, "what follows a NUL is shown")


def test_errors_say_what_to_do(cli):
    """No server, no session, wrong words."""
    assert "no server answers" in dunlin("session", "--url", "http://127.0.0.1:1", "list").stdout
    assert "no-such" in cli("exec", "no-such", "true", status=1)
    done = dunlin("session", "frob")
    assert done.returncode == 2 and "no command 'frob'" in done.stderr
    done = dunlin("session", "cp", "one")
    assert done.returncode == 2 and "usage: dunlin session cp FROM TO" in done.stderr
    assert "usage: dunlin session" in dunlin("session").stdout


def test_run_on_a_server(cli, tmp_path):
    """dunlin run --url needs no root and no session."""
    script = tmp_path / "hello.py"
    script.write_text("import sys; print('hello', sys.argv[1:]); sys.exit(4)")
    assert cli(script, "a b", command="run", status=4) == "hello ['a b']\n"
    assert json.loads(cli("--json", script, command="run", status=4))["exit_code"] == 4
    script.write_text("import os; os.kill(os.getpid(), 9)")
    cli(script, command="run", status=137)


@pytest.fixture
def tmux(tmp_path):
    """tmux(*words) of a server of the test's own."""
    assert shutil.which("tmux"), "tools/deps test installs tmux"
    socket = str(tmp_path / "tmux")

    def call(*words):
        return subprocess.run(["tmux", "-S", socket, "-f", "/dev/null", *words], text=True, timeout=20,
                              capture_output=True, check=False, env=clean_environment({"TERM": "xterm"}))
    yield call
    call("kill-server")


def test_shell_is_a_real_terminal(cli, session, tmux):
    """Through tmux: prompt, editing, size and its changes, Ctrl-C, a full-screen program, the end."""
    command = f"{DUNLIN} session --url {cli.url} shell {session}; echo status=$?"
    tmux("new-session", "-d", "-x", "100", "-y", "30", "-s", "t", command + "; sleep 100")

    def screen():
        return tmux("capture-pane", "-p", "-t", "t").stdout

    def type_and_see(keys, wanted):
        assert wanted not in "".join(keys), "what is typed is shown too"
        tmux("send-keys", "-t", "t", *keys)
        wait_until(lambda: wanted in screen(), 10, f"{wanted!r} after {keys}: {screen()}")

    type_and_see(["stty size", "Enter"], "30 100")
    type_and_see(["tty", "Enter"], "/dev/pts/")
    tmux("resize-window", "-t", "t", "-x", "90", "-y", "25")
    type_and_see(["clear; until stty size | grep '^25 90'; do :; done", "Enter"], "25 90\n")
    type_and_see(["clear; " + SLEEPER, "Enter"], "asleep")
    type_and_see(["C-c"], "^C")
    type_and_see(["echo one tw", "BSpace", "wo $? > f; echo : $(cat f)", "Enter"], ": one two 130")
    type_and_see(["exit 5", "Enter"], "status=5")
    assert cli("exec", session, "cat f") == "one two 130\n"


def read_masked(sock):
    """The text of one short frame of a WebSocket's client."""
    with sock.makefile("rb") as stream:
        first, length = stream.read(2)
        assert first == 0x81 and 0x80 < length < 0xfe, "one short text, masked"
        mask = stream.read(4)
        return bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(length - 0x80)))


def test_shell_misses_no_change_of_size():
    """Not even while its server has not answered yet."""
    master, ours = os.openpty()
    termios.tcsetwinsize(master, (30, 100))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_SECONDS)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with subprocess.Popen([DUNLIN, "session", "--url", url, "shell", "any"], stdin=ours,
                              stdout=ours, stderr=ours, env=clean_environment()) as shell:
            with listener.accept()[0] as sock:
                sock.settimeout(WAIT_SECONDS)
                assert b"rows=30&columns=100" in sock.recv(4096)
                termios.tcsetwinsize(master, (11, 44))
                shell.send_signal(signal.SIGWINCH)
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                assert json.loads(read_masked(sock)) == {"type": "resize", "rows": 11, "columns": 44}
    os.close(ours)
    assert shell.returncode == 1 and "connection is lost" in os.read(master, 4096).decode()
    os.close(master)


def test_shell_runs_a_command_and_ends_with_its_pipe(cli, session):
    """Without a terminal of ours: a command, its output, its status."""
    out = cli("shell", session, "stty size; exit 6", status=6)
    assert "24 80" in out
    assert "no-such" in cli("shell", "no-such", status=1)
