"""The predecessor's session routes, as its clients call them."""
import uuid

import pytest

PREFIX = "/workspace/se"


class Workspace:
    """One session.  Its methods return client.Answer, and `value` what both answer shapes agree on."""

    def __init__(self, client, name=None):
        self.client = client
        self.id = name or f"t{uuid.uuid4().hex[:12]}"

    def get(self, route, path="", **query):
        """GET /workspace/se/ROUTE/ID[/PATH]"""
        url = f"{PREFIX}/{route}/{self.id}" + (f"/{path}" if path else "")
        return self.client.get(url, params=query)

    def post(self, route, body):
        """POST of JSON to /workspace/se/ROUTE/ID"""
        return self.client.post(body, path=f"{PREFIX}/{route}/{self.id}")

    def make(self, **body):
        """Creates the session."""
        return self.post("session", body)

    def delete(self):
        """Deletes the session."""
        return self.client.request("DELETE", f"{PREFIX}/session/{self.id}")

    def execute(self, command, *args, **more):
        """The value of execute."""
        return value(self.post("execute", {"command": command, "args": list(args), **more}))

    def code(self, code, **more):
        """The value of execute_code."""
        return value(self.post("execute_code", {"code": code, **more}))

    def write(self, name, content, **more):
        """The value of create."""
        return value(self.post("create", {"filename": name, "content": content, **more}))

    def upload(self, name, data, **query):
        """POST of a form with the part `file`."""
        return self.client.request("POST", f"{PREFIX}/upload/{self.id}", params=query,
                                   files={"file": (name, data)})

    def names(self, path="", **query):
        """The sorted names of a listing."""
        answer = self.client.get(f"{PREFIX}/files/{self.id}/{path}", params=query)
        return sorted(entry["filename"] for entry in value(answer)["files"])


def value(answer, result=None):
    """V of an answer, after looking that all shapes say the same: V at the top, result (or what it
    shall be instead), full_result."""
    assert answer.status == 200, f"{answer.status}: {answer.text[:500]}"
    body = dict(answer.body)
    whole = body.pop("full_result")
    assert body.pop("result") == (whole if result is None else result)
    assert body == whole
    return whole


def refusal(answer, status, message, detail):
    """Looks that an error has this status and the words of the predecessor, in its one shape."""
    assert answer.status == status, f"{answer.status}: {answer.text[:500]}"
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer["type"] == "SandboxError"
    assert answer["message"] == message
    assert detail in answer["detail"]
    assert answer["error"] == {"type": "SandboxError", "message": message,
                               "detail": answer["detail"]}


@pytest.fixture(scope="module")
def se_client(server):
    """A client of the shared server for all tests of a module."""
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def workspace(se_client):
    """A new session's name; it is deleted after the test."""
    one = Workspace(se_client)
    yield one
    one.delete()


@pytest.fixture(scope="module")
def shared(se_client):
    """One session for those tests of a module that do not get in each other's way."""
    one = Workspace(se_client)
    yield one
    one.delete()
