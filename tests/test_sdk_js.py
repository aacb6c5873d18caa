"""The JavaScript package against a real server: its own tests (node:test), the examples, a browser."""
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest

from client import wait_until
from server import REPOSITORY

SOURCE = REPOSITORY / "sdk" / "js"
NODE = shutil.which("node", path="/usr/local/bin:/usr/bin")
EXPECTED = {
    "basic": "18446744073709551616\nexit code 3\n",
    "files": "sum: 6\n",
    "environments": "status: ready\nfrom the setup\n",
    "sessions": "lines: 3\ntext: by Python\nfiles: data/words.txt made.txt\nrestored: true\n",
    "streaming": "step 0\nstep 1\nstep 2\nline 1\nline 2\nline 3\nexit code 0\n",
    "batch": "0 1 4 9 16 25 36 49\n",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A directory in which `import "dunlin"` finds the compiled package."""
    top = tmp_path_factory.mktemp("js")
    home = top / "node_modules" / "dunlin"
    shutil.copytree(SOURCE, home, ignore=shutil.ignore_patterns("dist"))
    done = subprocess.run(["tsc", "-p", home], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    return home


def node(package, url, *arguments):
    """Runs node where the package is found."""
    return subprocess.run([NODE, *arguments], cwd=package.parent.parent, text=True, capture_output=True,
                          timeout=55, check=False, env={"DUNLIN_URL": url, "PATH": "/usr/bin"})


def test_its_own_tests_pass(server, package):
    """node:test: files, processes, streams, life, the predecessors' classes."""
    done = node(package, server.url, "--test", *map(str, sorted((package / "test").glob("*.mjs"))))
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("name", sorted(p.stem for p in (SOURCE / "examples").glob("*.mjs")))
def test_the_examples_do_what_they_say(server, package, name):
    """As written."""
    done = node(package, server.url, str(package / "examples" / f"{name}.mjs"))
    assert done.returncode == 0, done.stderr
    if name in EXPECTED:
        assert done.stdout == EXPECTED[name]
    else:
        assert "ZeroDivisionError" in done.stdout and "timed out: true" in done.stdout
        assert "not found: " in done.stdout and done.stdout.endswith("unreachable\n")


KEY = "key-of-the-page"
PAGE = """<!doctype html><meta charset="utf-8"><title>a page</title>
<script type="module">
import { Client } from "./dist/index.js";
const seen = {};
try {
  const client = new Client("URL", { apiKey: "KEY" });
  seen.run = (await client.execute("print('from a page')")).stdout;
  const session = await client.createSession({ ephemeral: true });
  await session.write("dir/é.txt", "written by a page");
  seen.file = await session.readText("dir/é.txt");
  seen.list = (await session.list("", true)).map((f) => f.path);
  seen.stream = "";
  for await (const event of session.stream("echo streamed")) seen.stream += event.text;
  seen.terminal = "";
  let exited;
  const exit = new Promise((resolve) => { exited = resolve; });
  const terminal = await session.terminal({ rows: 30, columns: 100, onExit: exited,
    onData: (bytes) => { seen.terminal += new TextDecoder().decode(bytes); } });
  terminal.write("stty size; exit 5\\n");
  seen.exit = (await exit).exit_code;
  await session.delete();
} catch (error) { seen.error = String(error); }
await fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
</script>"""


@pytest.fixture
def page(make_server, package):
    """(Address of a page, on another origin than the server, that uses the package; a list that gets
    what the page has seen)."""
    server = make_server(API_KEYS=KEY)
    (package / "page.html").write_text(PAGE.replace("URL", server.url).replace("KEY", KEY), encoding="utf-8")
    seen = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **more):
            super().__init__(*args, directory=str(package), **more)

        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}/page.html", seen
    web.shutdown()
    web.server_close()


def test_a_page_in_a_browser_uses_it(page, tmp_path):
    """Chromium, headless: runs, files, streams, and a terminal over a WebSocket, across origins."""
    address, found = page
    browser = shutil.which("chromium-headless-shell")
    assert browser, "tools/deps test installs chromium-headless-shell"
    chromium = subprocess.Popen(
        [browser, "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
         "--remote-debugging-port=0", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, start_new_session=True)
    try:
        wait_until(lambda: found, 40, "the page tells what it has seen")
    finally:
        os.killpg(chromium.pid, signal.SIGTERM)  # a script, which does not pass it on
        chromium.wait(10)
    seen = found[0]
    assert seen.get("error") is None, seen
    assert seen["run"] == "from a page\n" and seen["file"] == "written by a page"
    assert seen["list"] == ["dir", "dir/é.txt"] and seen["stream"] == "streamed\n"
    assert "30 100" in seen["terminal"] and seen["exit"] == 5
