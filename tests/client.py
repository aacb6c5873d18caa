"""A small client of the API, for the tests: sends requests and reads answers and event streams."""
import json
import socket
import textwrap
import threading
import time
import uuid
from dataclasses import dataclass

import requests

from slowness import stretched

REQUEST_SECONDS = stretched(60)  # no request of the tests may take longer


@dataclass
class Answer:
    """An HTTP answer.

    status: the HTTP status; body: the decoded JSON, or None; text: the body as text;
    headers: case-insensitive; seconds: from sending to the last byte, wall clock.
    """

    status: int
    body: object
    text: str
    headers: object
    seconds: float

    def __getitem__(self, name):
        return self.body[name]

    def get(self, name, default=None):
        """A field of the body, or `default`."""
        return self.body.get(name, default)

    @property
    def skipped(self):
        """skipped_files as a dictionary of name to reason."""
        return {entry["name"]: entry["reason"] for entry in self.body["skipped_files"]}


@dataclass
class Event:
    """One server-sent event; seconds: when it came, since the request was sent."""

    name: str
    data: object
    seconds: float

    @property
    def output(self):
        """The text of a stdout or stderr event."""
        if isinstance(self.data, str):
            return self.data
        return next(value for value in self.data.values() if isinstance(value, str))


class Client:
    """One keep-alive connection to a server.  Not for use by two threads at once: see clone()."""

    def __init__(self, url, key=None):
        self.url = url
        self.key = key
        self.session = requests.Session()
        self.session.trust_env = False
        if key is not None:
            self.session.headers["Authorization"] = f"Bearer {key}"

    def close(self):
        """Closes the connection."""
        self.session.close()

    def clone(self):
        """A client of the same server with a connection of its own."""
        return Client(self.url, self.key)

    def request(self, method, path, **options):
        """Sends any request; `options` are those of requests.  Redirects are not followed."""
        options.setdefault("timeout", REQUEST_SECONDS)
        options.setdefault("allow_redirects", False)
        start = time.monotonic()
        response = self.session.request(method, self.url + path, **options)
        seconds = time.monotonic() - start
        try:
            body = response.json()
        except ValueError:
            body = None
        text = response.content.decode("utf-8", "replace")
        return Answer(response.status_code, body, text, response.headers, seconds)

    def get(self, path, **options):
        """GET."""
        return self.request("GET", path, **options)

    def post(self, body, path="/execute", **options):
        """POST of `body` as JSON.  bytes are sent as they are, with the JSON content type."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.request("POST", path, data=body, headers=headers, **options)

    def run(self, code, **fields):
        """Runs `code` (dedented) and insists that the answer is 200."""
        answer = self.post({"code": textwrap.dedent(code), **fields})
        assert answer.status == 200, f"{answer.status}: {answer.text[:500]}"
        return answer

    def find(self, code, **fields):
        """Runs code that prints its findings as JSON in its last line, and returns them."""
        answer = self.run(code, **fields)
        told = {name: answer[name] for name in ("error", "stdout", "stderr")}
        assert answer["success"], f"the run failed: {told}"
        return json.loads(answer["stdout"].strip().splitlines()[-1])

    def stream(self, code, **fields):
        """Runs `code` with Accept: text/event-stream and yields each Event as it comes."""
        body = {"code": textwrap.dedent(code), **fields}
        start = time.monotonic()
        headers = {"Accept": "text/event-stream"}
        with self.session.post(self.url + "/execute", json=body, headers=headers, stream=True,
                               timeout=REQUEST_SECONDS) as response:
            assert response.status_code == 200, response.text
            assert response.headers["Content-Type"].startswith("text/event-stream")
            yield from read_events(response.iter_content(None), start)


def read_events(chunks, start):
    """Decodes server-sent events from byte chunks."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        while b"\n\n" in pending:
            block, pending = pending.split(b"\n\n", 1)
            fields = [line.split(": ", 1) for line in block.decode().split("\n")
                      if line and not line.startswith(":")]
            if not fields:
                continue  # a comment, to keep the connection alive
            data = "\n".join(value for key, value in fields if key == "data")
            name = next((value for key, value in fields if key == "event"), "message")
            yield Event(name, json.loads(data), time.monotonic() - start)
    assert not pending.strip(), f"the stream ends inside an event: {pending[:200]!r}"


def together(jobs):
    """Calls every function of `jobs` in a thread of its own; returns their results in order.

    Raises the first error, after all have ended.
    """
    results = [None] * len(jobs)
    errors = []

    def work(index):
        try:
            results[index] = jobs[index]()
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def send_and_hold(port, body, key=None, path="/execute"):
    """Sends POST `path` on a socket of its own and returns the socket without reading.

    Closing it is what a client does that goes away.
    """
    data = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json",
             f"Content-Length: {len(data)}"]
    if key is not None:
        lines.append(f"X-Api-Key: {key}")
    sock = socket.create_connection(("127.0.0.1", port), timeout=REQUEST_SECONDS)
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    return sock


def visible_mounts(mountinfo):
    """The mounts of a /proc/PID/mountinfo text that can be reached: the topmost at each place.

    Returns (place, set of the mount's options, file system, set of its own options) for each.
    """
    found = {}
    for line in mountinfo.splitlines():
        if line.strip():
            before, after = line.split(" - ")
            place, options = before.split()[4:6]
            kind, _, own = after.split()[:3]
            found[place] = (place, set(options.split(",")), kind, set(own.split(",")))
    return list(found.values())


def unique_name(prefix="t"):
    """A name of at most 15 bytes that nothing else on the machine has (fits a process's comm)."""
    return prefix + uuid.uuid4().hex[:10]


# A line for bash: says "asleep" once it has the terminal.  A Ctrl-C that comes while bash is still
# starting it ends nothing: bash gives a prompt, and waits for the sleeper after the next command.
SLEEPER = "sh -c 'echo as\"\"leep; exec sleep 1000'"


def wait_until(condition, seconds, what):
    """Polls until condition() is true and returns its value; fails with `what` after `seconds` (more
    on a slow machine)."""
    seconds = stretched(seconds)
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)
