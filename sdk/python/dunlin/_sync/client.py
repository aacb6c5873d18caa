# Made from dunlin/_async/client.py by tools/unasync.  Do not edit.
"""The client of one server."""
import base64

from ..paths import name_part
from ..results import EnvironmentInfo, Run, SessionInfo, Snapshot
from .environment import Environment
from .session import Session
from .transport import Transport

_TIMEOUT = 330.0  # s: longer than the longest run that a server allows unless it is told otherwise


def without_none(**fields):
    """The fields that were said."""
    return {name: value for name, value in fields.items() if value is not None}


class Client:
    """A client of one Dunlin server.

    Parameters: base_url, as "http://localhost:8000"; api_key, or None; timeout, seconds that an answer
    may take; retries, of what is safe to send again.  Use it with `with`, or call close().

    >>> with Client() as client:
    ...     print((client.execute("print(2 ** 64)")).stdout)
    """

    def __init__(self, base_url="http://localhost:8000", api_key=None, timeout=_TIMEOUT, retries=2):
        self._transport = Transport(base_url, api_key, timeout, retries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connections."""
        self._transport.close()

    def health(self):
        """What GET /health says, a dictionary.  Raises ApiError (503) when the server is not well."""
        return self._transport.json("GET", "/health")

    def version(self):
        """What GET /version says, a dictionary."""
        return self._transport.json("GET", "/version")

    # -- runs

    def execute(self, code, language=None, **options):
        """Runs code once, in a sandbox of its own, and returns the Run.

        Parameters: code, text; language, "python" unless said; of `options`: timeout (s), environment,
        files ({name: bytes or str} put into the working directory), args, env, stdin, limits
        ({"memory_mb", "cpu", "processes", "workspace_mb", "output_kb"}), files_mode ("all",
        "changed"), fresh, network ("none", "bridge").
        Raises ApiError.  Code that fails is no error: look at Run.success.
        """
        body = run_body(code, language, options)
        return Run.of(self._transport.json("POST", "/execute", json=body))

    def stream(self, code, language=None, **options):
        """The same, as it happens: yields Events "start", "stdout", "stderr", then "result"."""
        body = run_body(code, language, options)
        for event in self._transport.events("POST", "/execute", json=body):
            yield event

    # -- environments

    def environments(self):
        """Every EnvironmentInfo, in order of creation."""
        body = self._transport.json("GET", "/environments")
        return [EnvironmentInfo.of(one) for one in body["environments"]]

    def environment(self, name):
        """The environment of this name, without asking whether there is one."""
        return Environment(self._transport, name)

    def create_environment(self, name, setup_script="", wait=True, **options):
        """Makes an environment and, with `wait`, waits until its build has ended.

        `options`: description, base_image, python_version, warm (list of modules), network, limits, ...
        Raises Conflict when the name is taken, and BuildFailed (an ApiError) is not raised: look at
        info().status.
        """
        environment = Environment(self._transport, name)
        body = {"name": name, "setup_script": setup_script, **without_none(**options)}
        self._transport.json("POST", "/environments", json=body,
                                   params={"wait": "true" if wait else "false"})
        return environment

    # -- sessions

    def create_session(self, id=None, **options):
        """Makes a session and returns it.

        Parameters: id, unguessable unless said; of `options`: environment, ephemeral (in memory), size
        ("100M" or bytes), idle_timeout, idle_ttl, ttl (s), network, env, labels, limits, snapshot.
        Use it with `with` to delete it at the end of the block.
        """
        body = without_none(id=id, **options)
        return Session(self._transport, self._transport.json("POST", "/v1/sessions",
                                                                        json=body))

    def session(self, id):
        """The session of this id.  Raises NotFound."""
        return Session(self._transport,
                            self._transport.json("GET", "/v1/sessions/" + name_part(id)))

    def sessions(self, labels=None, state=None, environment=None, page=200):
        """Yields the SessionInfo of each session, in order of creation.

        Parameters: labels, a dictionary that they must have; state; environment; page, how many are
        asked for at a time.
        """
        params = [("label", "%s=%s" % item) for item in (labels or {}).items()]
        params += list(without_none(state=state, environment=environment, limit=page).items())
        after = []
        while True:
            body = self._transport.json("GET", "/v1/sessions", params=params + after)
            for one in body["sessions"]:
                yield SessionInfo.of(one)
            if not body.get("next"):
                return
            after = [("after", body["next"])]

    def snapshots(self):
        """Every Snapshot that this key may see."""
        body = self._transport.json("GET", "/v1/snapshots")
        return [Snapshot.of(one) for one in body["snapshots"]]

    def delete_snapshot(self, id):
        """Removes a snapshot.  Raises NotFound."""
        self._transport.request("DELETE", "/v1/snapshots/" + name_part(id))


def run_body(code, language, options):
    """The body of a request to /execute."""
    files = options.pop("files", None)
    if files is not None:
        files = {name: base64.b64encode(data.encode() if isinstance(data, str) else bytes(data)).decode()
                 for name, data in files.items()}
    return without_none(code=code, language=language, files=files, **options)
