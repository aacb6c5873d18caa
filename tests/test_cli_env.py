"""dunlin env and dunlin image: words, prompts, exit codes and what they do on a real server."""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tarfile
import termios
import threading
import time

import pytest

from client import unique_name, wait_until
from server import DUNLIN, clean_environment, dunlin, free_port
from slowness import stretched

WAIT_SECONDS = 120
NOBODY = 65534


class Cli:
    """`dunlin env` (or another command) against one server."""

    def __init__(self, url, env=None):
        self.url = url
        self.env = env or {}

    def __call__(self, *words, command="env", **options):
        """Runs it to its end; returns subprocess.CompletedProcess."""
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        return dunlin(command, *words, "--url", self.url, env={**self.env, **options.pop("env", {})},
                      seconds=WAIT_SECONDS, **options)

    def chinese(self, *words, **options):
        """The same in Chinese, by the locale."""
        return self(*words, env={"LANG": "zh_CN.UTF-8"}, **options)

    def start(self, *words, **options):
        """Starts it and returns subprocess.Popen with its output as a pipe."""
        return subprocess.Popen([DUNLIN, "env", *words, "--url", self.url], text=True,
                                env=clean_environment(self.env), stdout=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, **options)


@pytest.fixture
def cli(server):
    """The command against the shared server."""
    return Cli(server.url)


@pytest.fixture
def script(tmp_path):
    """script(text) is the path of a file with this text."""
    def make(text="true\n"):
        path = tmp_path / f"{unique_name('s')}.sh"
        path.write_text(text)
        return path
    return make


@pytest.fixture
def name(client):
    """The name of an environment that is deleted when the test is over."""
    one = unique_name("c")
    yield one
    client.request("DELETE", f"/environments/{one}")


@pytest.fixture
def made(cli, script, name):
    """The name of an environment that is ready."""
    ended = cli("create", name, script("echo built\n"), "--description", "for the tests", "--wait")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return name


# -- without a server


def test_help_and_no_command_need_no_server():
    for command in ("env", "image"):
        for words in ((), ("--help",), ("list", "-h")):
            ended = dunlin(command, *words, seconds=10)
            assert ended.returncode == 0 and ended.stdout.startswith("usage: dunlin " + command)
    assert dunlin("env", "--lang", "zh", seconds=10).stdout.startswith("用法: dunlin env")


def test_wrong_words_end_with_2_and_are_named_on_stderr():
    for words, text in ((["fly"], "fly"), (["create", "n"], "2 arguments"),
                        (["list", "--wings"], "--wings"), (["info", ""], "empty"),
                        (["list", "--url", "ftp://x"], "ftp://x"),
                        (["wait", "n", "--timeout", "soon"], "soon")):
        ended = dunlin("env", *words, seconds=10)
        assert (ended.returncode, ended.stdout) == (2, ""), words
        assert text in ended.stderr


def test_an_absent_server_is_an_error_that_says_what_to_do():
    url = f"http://127.0.0.1:{free_port()}"
    ended = dunlin("env", "list", "--url", url, seconds=10)
    assert ended.returncode == 1
    assert "❌" in ended.stdout and url in ended.stdout and "dunlin serve" in ended.stdout
    chinese = dunlin("env", "list", "--url", url, "--lang", "zh", seconds=10).stdout
    assert chinese.startswith("📋 环境列表:\n❌ 请求失败: ")
    as_json = dunlin("env", "list", "--url", url, "--json", seconds=10)
    assert as_json.returncode == 1 and url in json.loads(as_json.stdout)["detail"]


class Redirecting(http.server.BaseHTTPRequestHandler):
    """Answers everything with a redirect to `target` and remembers the paths asked for."""

    target, asked = "", []

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("X-Api-Key")))
        self.send_response(302)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """Serves on loopback; yields the URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as instance:
        threading.Thread(target=instance.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{instance.server_address[1]}"
        instance.shutdown()


def test_the_key_is_not_taken_to_another_host_by_a_redirect():
    other = type("Other", (Redirecting,), {"asked": []})
    first = type("First", (Redirecting,), {"asked": []})
    with serving(other) as target, serving(first) as url:
        first.target = target + "/stolen"
        ended = dunlin("env", "list", "--url", url, env={"DUNLIN_API_KEY": "secret"}, seconds=20)
    assert ended.returncode == 1 and "redirect" in ended.stdout
    assert first.asked == [("/environments", "secret")] and other.asked == []


def test_a_server_that_is_no_dunlin_is_said_to_be_none():
    class Page(Redirecting):
        """A web page."""

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

    with serving(Page) as url:
        ended = dunlin("env", "list", "--url", url, seconds=20)
    assert ended.returncode == 1 and "no Dunlin server" in ended.stdout


# -- what every command says


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(cli):
    proxy = f"http://127.0.0.1:{free_port()}"
    ended = cli("list", env={"http_proxy": proxy, "ALL_PROXY": proxy})
    assert ended.returncode == 0, ended.stdout


def test_the_url_may_stand_before_the_command_after_it_or_in_the_environment(server):
    assert dunlin("env", "--url", server.url, "list", seconds=20).returncode == 0
    assert dunlin("env", "list", "--url", server.url + "/", seconds=20).returncode == 0
    assert dunlin("env", "list", env={"DUNLIN_URL": server.url}, seconds=20).returncode == 0


def test_a_key_is_asked_for_and_used(make_server):
    server = make_server(API_KEYS="right")
    refused = dunlin("env", "list", "--url", server.url, seconds=20)
    assert refused.returncode == 1 and "DUNLIN_API_KEY" in refused.stdout
    assert dunlin("env", "list", "--url", server.url, "--key", "wrong").returncode == 1
    assert dunlin("env", "list", "--url", server.url, "--key", "right").returncode == 0
    assert dunlin("env", "list", "--url", server.url,
                  env={"DUNLIN_API_KEY": "right"}).returncode == 0


def test_an_unknown_name_is_said_to_be_unknown_by_every_command(cli):
    for words in (["info"], ["wait"], ["logs"], ["logs", "-f"], ["packages"], ["rebuild"],
                  ["delete", "--yes"]):
        ended = cli(words[0], "nobody", *words[1:])
        assert ended.returncode == 1, words
        assert "❌ environment 'nobody' does not exist\n" in ended.stdout, words
        assert "❌ 环境 'nobody' 不存在\n" in cli.chinese(words[0], "nobody", *words[1:]).stdout


def test_a_name_cannot_reach_another_path(cli):
    for odd in ("../health", "..", "a/b", "x?y", "环境", "a b"):
        ended = cli("info", odd)
        assert ended.returncode == 1 and "healthy" not in ended.stdout, odd


# -- create


def test_a_created_environment_is_ready_and_listed(cli, made, client):
    listed = cli("list")
    assert listed.returncode == 0
    assert f"   ✅ {made}\n      Status: ready\n      Description: for the tests\n" in listed.stdout
    assert client.run("print(1)", environment=made)["stdout"] == "1\n"


def test_the_words_of_the_predecessor_are_said_in_chinese(cli, script, name):
    path = script()
    created = cli.chinese("create", name, path, "--description", "说明", "--wait")
    lines = created.stdout.splitlines()
    assert lines[:2] == [f"🔧 创建环境 '{name}'...", f"📄 脚本文件: {path}"]
    assert lines[2:4] == ["✅ 环境创建成功!", f"   名称: {name}"]
    assert re.fullmatch(r"   状态: (building|ready)", lines[4])
    assert f"⏳ 等待环境 '{name}' 构建完成..." in lines
    assert (created.returncode, lines[-1]) == (0, "✅ 环境构建完成!")

    listed = cli.chinese("list").stdout
    assert re.match(r"📋 环境列表:\n   共 \d+ 个环境:\n\n", listed)
    item = listed[listed.index(f"   ✅ {name}\n"):].splitlines()
    assert item[1:3] == ["      状态: ready", "      描述: 说明"]
    assert re.fullmatch(r"      Python版本: 3\.\d+(\.\d+)?", item[3])
    assert re.match(r"      创建时间: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", item[4])

    info = cli.chinese("info", name).stdout.splitlines()
    assert info[:3] == [f"🔍 环境详情: {name}", f"   ✅ 名称: {name}", "   📝 描述: 说明"]
    assert info[3].startswith("   🐍 Python版本: 3.")
    assert info[4] == "   📊 状态: ready" and info[5].startswith("   📅 创建时间: ")

    again = cli.chinese("create", name, path)
    assert again.returncode == 1
    assert f"❌ 环境创建失败: {{\"detail\":\"环境 '{name}' 已存在" in again.stdout

    kept = cli.chinese("delete", name, input="n\n")
    assert kept.returncode == 1
    assert kept.stdout == (f"🗑️  删除环境 '{name}'...\n"
                           f"确定要删除环境 '{name}' 吗? (y/N): 取消删除\n")
    gone = cli.chinese("delete", name, input=" YES \n")
    assert (gone.returncode, gone.stdout.splitlines()[-1]) == \
        (0, f"确定要删除环境 '{name}' 吗? (y/N): ✅ 环境 '{name}' 已删除")


def test_an_empty_list_says_so(cli, client):
    if client.get("/environments")["total"] == 0:
        assert cli.chinese("list").stdout == "📋 环境列表:\n   (暂无环境)\n"
        assert cli("list").stdout == "📋 Environments:\n   (none yet)\n"
    assert cli("list").returncode == 0


def test_a_script_can_come_from_stdin(cli, name):
    ended = cli("create", name, "-", "--wait", input="echo from-stdin\n")
    assert ended.returncode == 0, ended.stdout
    assert "from-stdin" in cli("logs", name).stdout


def test_a_script_that_cannot_be_read_is_not_sent(cli, client, tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, text in ((tmp_path / "none.sh", "no such script"), (tmp_path, "directory"),
                       (binary, "UTF-8")):
        name = unique_name("c")
        ended = cli("create", name, path)
        assert ended.returncode == 1 and text in ended.stdout and "❌" in ended.stdout
        assert client.get(f"/environments/{name}").status == 404
    missing = tmp_path / "none.sh"
    assert cli.chinese("create", "n", missing).stdout == f"❌ 脚本文件不存在: {missing}\n"


def test_what_the_server_refuses_is_said_in_its_words(cli, script):
    ended = cli("create", "bad name!", script())
    assert ended.returncode == 1 and "name: " in ended.stdout
    refused = cli.chinese("create", "bad name!", script()).stdout
    assert "❌ 环境创建失败: {\"detail\":[{" in refused


def test_a_build_that_fails_ends_with_1_and_the_last_of_its_log(cli, script, name):
    path = script("echo the-reason >&2\nexit 7\n")
    for extra in ([], ["--wait"]):
        ended = cli("create", name, path, *extra)
        assert ended.returncode == 1, ended.stdout
        assert "❌ the build failed: " in ended.stdout and "the-reason" in ended.stdout
        assert "✅ the environment is built" not in ended.stdout
    assert "❌ 错误: " in cli.chinese("info", name).stdout
    assert cli("wait", name).returncode == 1


def test_options_of_create_reach_the_server(cli, script, name, client):
    assert cli("create", name, script(), "--warm", "json,math", "--network", "none",
               "--build-network", "none", "--wait").returncode == 0
    made = client.get(f"/environments/{name}").body
    assert (made["warm"], made["network"]) == (["json", "math"], "none")
    assert "   🔥 Warm: json, math\n" in cli("info", name).stdout


# -- wait


def test_a_wait_that_is_given_up_leaves_the_build_running(cli, script, name, client):
    waiting = cli.start("create", name, str(script("sleep 4\n")), "--wait", start_new_session=True)
    lines = []
    wait_until(lambda: lines.append(waiting.stdout.readline()) or "⏳" in lines[-1], 20,
               "it waits")
    time.sleep(0.3)
    waiting.send_signal(signal.SIGINT)
    rest = waiting.stdout.read()
    assert waiting.wait(10) == 130
    assert "the build goes on" in rest and f"dunlin env wait {name}" in rest
    assert client.get(f"/environments/{name}")["status"] == "building"
    assert cli("wait", name).returncode == 0


def test_waiting_for_what_is_built_ends_at_once(cli, made):
    start = time.monotonic()
    ended = cli("wait", made)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "✅ the environment is built!")
    assert time.monotonic() - start < stretched(5)


def read_terminal(command, columns=60, seconds=WAIT_SECONDS):
    """Runs a command on a terminal of this width; (exit status, what it wrote)."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(command[0], [str(word) for word in command],
                  {**clean_environment(), "TERM": "xterm"})
    text, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode()


def test_a_terminal_gets_one_line_that_changes(cli, script, name):
    path = script("printf 'first\\033[31m line\\n'; sleep 2\n")
    code, text = read_terminal([DUNLIN, "env", "create", name, path, "--wait", "--url", cli.url])
    assert code == 0, text
    drawn = [part for part in re.split(r"\r", text) if part.endswith("\x1b[K")]
    assert len({part[0] for part in drawn}) > 3  # the wheel turns
    assert any("0:01" in part for part in drawn)
    assert any("first line" in part for part in drawn)
    assert "\x1b[31m" not in text
    assert text.rstrip().endswith("✅ the environment is built!")


# -- logs, packages, info, rebuild


def test_a_log_is_shown_whole_or_its_end_without_what_terminals_obey(cli, script, name):
    path = script("echo one; echo two; printf 'a\\033]0;x\\007b\\n'; echo 环境\n")
    cli("create", name, path, "--wait")
    log = cli("logs", name)
    assert log.returncode == 0
    assert all(word in log.stdout for word in ("one\n", "two\n", "环境\n"))
    assert "\x1b" not in log.stdout
    last = cli("logs", name, "--tail", "1").stdout
    assert last.count("\n") == 1 and log.stdout.endswith(last)


def test_a_log_is_followed_to_the_end_of_the_build(cli, script, name):
    assert cli("create", name, script("echo begin; sleep 7; echo end\n")).returncode == 0
    ended = cli("logs", name, "-f")
    assert ended.returncode == 0, ended.stdout
    assert "begin\n" in ended.stdout and "end\n" in ended.stdout
    assert ended.stdout.endswith("✅ the environment is ready\n")


def test_a_followed_log_comes_while_the_build_runs(cli, script, name):
    creating = cli.start("create", name, str(script("echo begin; sleep 6; echo end\n")))
    wait_until(lambda: cli("info", name).returncode == 0, 20, "it exists")
    following = cli.start("logs", "--follow", name)
    line = following.stdout.readline()
    while "begin" not in line:
        line = following.stdout.readline()
    assert cli("info", name, "--json").stdout.find('"status": "building"') > 0
    rest = following.stdout.read()
    assert "end\n" in rest and following.wait(20) == 0
    creating.communicate(timeout=20)


def test_following_the_log_of_a_failed_build_ends_with_1(cli, script, name):
    cli("create", name, script("echo why; exit 3\n"))
    ended = cli("logs", "-f", name)
    assert ended.returncode == 1 and "why\n" in ended.stdout and "failed" in ended.stdout


def test_packages_have_names_versions_and_managers(cli, made):
    listed = cli("packages", made)
    assert listed.returncode == 0 and listed.stdout.startswith(f"📦 Packages of {made} (")
    answer = json.loads(cli("packages", made, "--json").stdout)
    assert answer["total"] == len(answer["packages"])
    for package in answer["packages"][:3]:
        assert re.search(rf"   {re.escape(package['name'])} +{re.escape(package['version'])} +"
                         rf"{package['manager']}\n", listed.stdout)


def test_info_tells_what_there_is(cli, made):
    info = cli("info", made).stdout
    for label in ("Environment", "Name", "Description", "Python version", "Status", "Created",
                  "Base", "Size", "Network"):
        assert f"{label}: " in info, info
    assert re.search(r"Created: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(just now\)\n", info)


def test_a_rebuild_runs_the_script_again(cli, made, client):
    before = client.get(f"/environments/{made}")["built_at"]
    ended = cli("rebuild", made, "--wait")
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1] == "✅ the environment is built!"
    assert client.get(f"/environments/{made}")["built_at"] > before


def test_a_rebuild_that_fails_ends_with_1_and_leaves_what_was_built(cli, name, client):
    end = int(time.time()) + 8
    works_until_then = f"date >/opt/when; [ $(date +%s) -lt {end} ]\n"
    assert cli("create", name, "-", "--wait", input=works_until_then).returncode == 0
    time.sleep(max(0, end - time.time()))
    for extra in (["--wait"], []):
        ended = cli("rebuild", name, *extra)
        assert ended.returncode == 1, ended.stdout
        assert "❌ the build failed: the rebuild failed, the former state serves" in ended.stdout
    assert client.run("print(open('/opt/when').read())", environment=name)["success"]
    assert cli("wait", name).returncode == 0


# -- delete


def test_deleting_asks_first_and_only_yes_deletes(cli, made, client):
    for answer in ("", "\n", "n\n", "yep\n", "y no\n"):
        ended = cli("delete", made, input=answer)
        assert ended.returncode == 1 and "not deleted" in ended.stdout, answer
    assert client.get(f"/environments/{made}").status == 200
    ended = cli("delete", made, input="y\n")
    assert ended.returncode == 0 and f"✅ environment '{made}' is deleted\n" in ended.stdout
    assert client.get(f"/environments/{made}").status == 404


def test_deleting_with_yes_does_not_ask(cli, made):
    ended = cli("delete", made, "--yes")
    assert ended.returncode == 0 and "(y/N)" not in ended.stdout


# -- for scripts


def test_json_is_the_servers_answer_and_nothing_else(cli, script, name, client):
    created = json.loads(cli("create", name, script(), "--wait", "--json").stdout)
    assert (created["name"], created["status"]) == (name, "ready")
    assert json.loads(cli("info", name, "--json").stdout)["name"] == name
    listed = json.loads(cli("list", "--json").stdout)
    assert name in [one["name"] for one in listed["environments"]]
    assert json.loads(cli("wait", name, "--json").stdout)["status"] == "ready"
    refused = cli("create", name, script(), "--json")
    assert refused.returncode == 1 and name in json.loads(refused.stdout)["detail"]
    kept = cli("delete", name, "--json")
    assert kept.returncode == 1 and "--yes" in json.loads(kept.stdout)["detail"]
    assert "message" in json.loads(cli("delete", name, "--json", "--yes").stdout)


def test_a_reader_that_goes_away_ends_the_log(cli, script, name):
    cli("create", name, script("for i in $(seq 20000); do echo line $i; done\n"), "--wait")
    with cli.start("logs", name) as reading:
        reading.stdout.readline()
        reading.stdout.close()
        assert reading.wait(20) != 0


# -- images


@pytest.fixture
def archive(tmp_path):
    """A tar of the least root file system: a shell, which has no libraries."""
    root = tmp_path / "root"
    for folder in ("etc", "usr/bin", "usr/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/os-release").write_text("ID=nothing\n")
    shutil.copy("/bin/sh", root / "usr/bin/sh")
    path = tmp_path / "root.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(root, arcname=".")
    return path


def imports(server):
    """The copies of archives that lie in the state directory."""
    place = server.data / "imports"
    return sorted(place.iterdir()) if place.is_dir() else []


def test_an_image_is_imported_listed_and_removed(cli, archive, server):
    name = unique_name("i")
    done = cli("import", archive, name, "--data", server.data, command="image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✅ imported" in done.stdout and imports(server) == []
    assert f"   📦 {name}\n      Source: import\n" in cli("list", command="image").stdout
    listed = json.loads(cli("list", "--json", command="image").stdout)
    assert name in [one["name"] for one in listed["images"]]
    gone = cli("remove", name, command="image")
    assert (gone.returncode, gone.stdout) == (0, f"✅ image '{name}' is removed\n")
    assert name not in cli("list", command="image").stdout
    again = cli("remove", name, command="image")
    assert again.returncode == 1 and f"image '{name}' does not exist" in again.stdout


def test_an_image_can_come_from_stdin_and_by_the_environments_data(cli, archive, server):
    name = unique_name("i")
    with open(archive, "rb") as tar:
        done = cli("import", "-", name, command="image", stdin=tar,
                   env={"DATA": str(server.data), "LANG": "zh_CN.UTF-8"})
    assert done.returncode == 0 and "✅ 导入完成" in done.stdout, done.stdout
    assert cli("remove", name, command="image").returncode == 0


def test_what_is_no_archive_is_refused_and_leaves_nothing(cli, tmp_path, server):
    path = tmp_path / "no.tar"
    path.write_bytes(b"this is no archive" * 100)
    done = cli("import", path, unique_name("i"), "--data", server.data, command="image")
    assert done.returncode == 1 and "❌ cannot import the image: " in done.stdout
    assert imports(server) == []


def test_an_import_needs_the_directory_of_a_running_server(cli, archive, tmp_path):
    (tmp_path / "lock").touch()
    for data, text in ((tmp_path, "no server runs"), (tmp_path / "none", "No such file")):
        done = cli("import", archive, "x", "--data", data, command="image")
        assert done.returncode == 1 and text in done.stdout and "--data" in done.stdout
        assert not (tmp_path / "imports").exists()


def test_an_import_needs_root():
    if subprocess.run([DUNLIN, "version"], user=NOBODY, env=clean_environment(), check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("nobody may not execute what was built here")
    done = dunlin("image", "import", "/etc/hostname", "x", user=NOBODY)
    assert done.returncode == 1 and "needs root" in done.stdout


def test_collecting_garbage_says_what_it_freed(cli):
    done = cli("gc", command="image")
    assert done.returncode == 0 and re.fullmatch(r"✅ removed: \d+, freed: .+B\n", done.stdout)
    assert "释放" in cli.chinese("gc", command="image").stdout
