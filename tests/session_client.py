"""Sessions as the tests use them: made, asked, watched, removed."""
import contextlib
import time

from client import read_events, wait_until


class Session:
    """One session of /v1/sessions.  `client` is a tests/client.py Client."""

    def __init__(self, client, **wanted):
        self.client = client
        answer = client.post(wanted, path="/v1/sessions")
        assert answer.status == 201, f"{answer.status}: {answer.text[:500]}"
        self.facts = answer.body
        self.id = answer["id"]
        self.path = f"/v1/sessions/{self.id}"

    def exec(self, command, **more):
        """Runs a shell command, or an argv if it is a list, and insists on 200."""
        what = {"command": command} if isinstance(command, str) else {"argv": command}
        answer = self.client.post({**what, **more}, path=self.path + "/exec")
        assert answer.status == 200, f"{answer.status}: {answer.text[:500]}"
        return answer

    def shell(self, command, **more):
        """stdout of a command that must succeed."""
        answer = self.exec(command, **more)
        assert answer["exit_code"] == 0, answer.text[:1000]
        return answer["stdout"]

    def run(self, code, **more):
        """Runs code (Python) and insists on 200."""
        answer = self.client.post({"code": code, **more}, path=self.path + "/run")
        assert answer.status == 200, f"{answer.status}: {answer.text[:500]}"
        return answer

    def background(self, command, **more):
        """Starts a command that goes on; its process id."""
        answer = self.client.post({"command": command, "background": True, **more},
                                  path=self.path + "/exec")
        assert answer.status == 202, f"{answer.status}: {answer.text[:500]}"
        return answer["process"]

    def stream(self, command, **more):
        """Yields the events of a command."""
        start = time.monotonic()
        with self.client.session.post(self.client.url + self.path + "/exec",
                                      json={"command": command, **more}, stream=True, timeout=60,
                                      headers={"Accept": "text/event-stream"}) as response:
            assert response.status_code == 200, response.text
            yield from read_events(response.iter_content(None), start)

    def get(self, path, **options):
        """GET beneath the session."""
        return self.client.get(self.path + path, **options)

    def post(self, path, /, **body):
        """POST of JSON beneath the session."""
        return self.client.post(body, path=self.path + path)

    def write(self, name, data, **options):
        """PUT of a file; the answer."""
        return self.client.request("PUT", f"{self.path}/files/{name}", data=data, **options)

    def read(self, name, **options):
        """The bytes of a file that must be there."""
        response = self.client.session.get(f"{self.client.url}{self.path}/files/{name}",
                                           timeout=60, **options)
        assert response.status_code in (200, 206), response.text[:300]
        return response.content

    def sleep(self):
        """Puts it to sleep."""
        answer = self.client.post({}, path=self.path + "/sleep")
        assert answer.status == 200, answer.text

    def state(self):
        """asleep, awake, ..."""
        return self.client.get(self.path)["state"]

    def delete(self):
        """Removes it; that it is gone already is no error."""
        return self.client.request("DELETE", self.path).status


@contextlib.contextmanager
def session(client, **wanted):
    """A session for the length of a test."""
    one = Session(client, **wanted)
    try:
        yield one
    finally:
        one.delete()


def eventually(condition, seconds=10):
    """Waits until condition() is true."""
    wait_until(condition, seconds, "what the test waits for")
