"""One session: a sandbox that stays."""
from ..paths import name_part, path_parts
from ..results import (Fetched, File, Match, Output, Process, Result, SessionInfo, Snapshot, Usage)


def _said(**fields):
    """The fields that were said."""
    return {name: value for name, value in fields.items() if value is not None}


def _command(command):
    """A command as the server takes it: text for a shell, or a list of words."""
    return {"command": command} if isinstance(command, str) else {"argv": list(command)}


class AsyncSession:
    """A sandbox that stays: files, commands and code in one workspace.

    Paths are relative to the workspace (/workspace inside).  Every method raises ApiError, NotFound
    when the session is gone.
    """

    def __init__(self, transport, body):
        self._transport = transport
        self._path = "/v1/sessions/" + name_part(body["id"])
        self.id = body["id"]
        self.created = SessionInfo.of(body)

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self.id)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.delete()

    async def info(self):
        """What the server knows of it."""
        return SessionInfo.of(await self._transport.json("GET", self._path))

    async def change(self, **fields):
        """Changes size (only more), idle_timeout, idle_ttl, ttl, env, labels."""
        return SessionInfo.of(await self._transport.json("PATCH", self._path, json=fields))

    async def sleep(self):
        """Ends its processes and gives its memory back; the next call wakes it."""
        return SessionInfo.of(await self._transport.json("POST", self._path + "/sleep", json={}))

    async def delete(self):
        """Removes it and everything in it.  That it is gone already is no error."""
        try:
            await self._transport.request("DELETE", self._path)
        except Exception as error:
            if getattr(error, "status", None) != 404:
                raise

    # -- commands and code

    async def exec(self, command, **options):
        """Runs a command and returns the Result.

        Parameters: command, text for a shell or a list of words; of `options`: cwd, env, stdin (text),
        timeout (s), output_kb, terminal, rows, columns.  A command that fails is no error: look at
        Result.exit_code.
        """
        body = {**_command(command), **_said(**options)}
        return Result.of(await self._transport.json("POST", self._path + "/exec", json=body))

    async def run(self, code, language="python", **options):
        """Runs code and returns the Result.  `options`: filename, args, env, cwd, stdin, timeout,
        output_kb."""
        body = {"code": code, "language": language, **_said(**options)}
        return Result.of(await self._transport.json("POST", self._path + "/run", json=body))

    async def stream(self, command, **options):
        """As exec, as it happens: yields Events "start", "stdout", "stderr", then "result".  Leaving
        the loop ends the command."""
        body = {**_command(command), **_said(**options)}
        async for event in self._transport.events("POST", self._path + "/exec", json=body):
            yield event

    async def stream_run(self, code, language="python", **options):
        """As run, as it happens."""
        body = {"code": code, "language": language, **_said(**options)}
        async for event in self._transport.events("POST", self._path + "/run", json=body):
            yield event

    async def start(self, command, **options):
        """Starts a command that goes on in the background; returns the Process."""
        body = {**_command(command), "background": True, **_said(**options)}
        started = await self._transport.json("POST", self._path + "/exec", json=body)
        return await self.process(started["process"])

    async def processes(self):
        """Every Process that was started here and is still remembered."""
        body = await self._transport.json("GET", self._path + "/processes")
        return [Process.of(one) for one in body["processes"]]

    async def process(self, process):
        """One Process by its number."""
        return Process.of(await self._transport.json("GET", self._of(process)))

    async def output(self, process, stdout=0, stderr=0):
        """The Output that it has written from these offsets on."""
        return Output.of(await self._transport.json("GET", self._of(process) + "/output",
                                                    params={"stdout": stdout, "stderr": stderr}))

    async def follow(self, process, stdout=0, stderr=0):
        """Yields Events with its output from these offsets on, then "result"."""
        params = {"stdout": stdout, "stderr": stderr, "follow": "true"}
        async for event in self._transport.events("GET", self._of(process) + "/output", params=params):
            yield event

    async def signal(self, process, signal="TERM", group=True):
        """Sends a signal (name or number) to it, and with `group` to all that it started."""
        await self._transport.request("POST", self._of(process) + "/signal",
                                      json={"signal": signal, "group": group})

    async def kill(self, process):
        """Ends it, and forgets it if it has ended."""
        await self._transport.request("DELETE", self._of(process))

    async def write_stdin(self, process, data, close=False):
        """Gives it bytes or text to read; it must have been started with stdin_open=True."""
        await self._transport.request("POST", self._of(process) + "/stdin", content=data,
                                      params={"close": "true" if close else "false"})

    def _of(self, process):
        number = process.process if isinstance(process, Process) else process
        return "%s/processes/%d" % (self._path, number)

    # -- files

    async def write(self, path, data, mode=None, exclusive=None, append=None):
        """Writes a file: bytes, text, an open binary file, or an iterator of bytes; returns the File.
        It appears whole or not at all."""
        content = data if not hasattr(data, "read") else _pieces(data)
        params = _said(mode=mode and "%04o" % mode, exclusive=exclusive and "true",
                       append=append and "true")
        return File.of(await self._transport.json("PUT", self._file(path), content=content,
                                                  params=params))

    async def read(self, path, offset=None, size=None):
        """The bytes of a file, or of a part of it."""
        headers = {}
        if offset is not None or size is not None:
            first = offset or 0
            headers["Range"] = "bytes=%d-%s" % (first, "" if size is None else first + size - 1)
        return (await self._transport.request("GET", self._file(path), headers=headers)).content

    async def read_text(self, path, encoding="utf-8"):
        """The text of a file."""
        return (await self.read(path)).decode(encoding)

    async def read_stream(self, path):
        """Yields the bytes of a file, piece by piece."""
        async for piece in self._transport.bytes(self._file(path)):
            yield piece

    async def remove(self, path, recursive=False):
        """Removes a file, or with `recursive` a directory."""
        await self._transport.request("DELETE", self._file(path),
                                      params={"recursive": "true" if recursive else "false"})

    async def list(self, path="", recursive=False):
        """The Files in a directory."""
        body = await self._transport.json("GET", self._path + "/ls", params={
            "path": path, "recursive": "true" if recursive else "false"})
        return [File.of(one) for one in body["entries"]]

    async def stat(self, path):
        """One File."""
        return File.of(await self._transport.json("GET", self._path + "/stat", params={"path": path}))

    async def exists(self, path):
        """Whether there is such a file or directory."""
        try:
            await self.stat(path)
        except Exception as error:
            if getattr(error, "status", None) == 404:
                return False
            raise
        return True

    async def mkdir(self, path, mode=None, parents=True):
        """Makes a directory."""
        await self._post("/mkdir", path=path, mode=mode and "%04o" % mode, parents=parents)

    async def move(self, source, target, replace=False):
        """Moves or renames."""
        await self._post("/move", **{"from": source, "to": target, "replace": replace})

    async def copy(self, source, target, replace=False):
        """Copies a file or a directory."""
        await self._post("/copy", **{"from": source, "to": target, "replace": replace})

    async def chmod(self, path, mode, recursive=False):
        """Sets the mode, as 0o755."""
        await self._post("/chmod", path=path, mode="%04o" % mode, recursive=recursive)

    async def search(self, text=None, name=None, path="", ignore_case=False, limit=None):
        """The Matches of a text in files, or of a pattern of names ("*.py")."""
        params = _said(text=text, name=name, path=path, limit=limit,
                       ignore_case="true" if ignore_case else None)
        body = await self._transport.json("GET", self._path + "/search", params=params)
        return [Match.of(one) for one in body["matches"]]

    async def download_tar(self, path=""):
        """Yields the bytes of a tar archive of a directory."""
        async for piece in self._transport.bytes(self._path + "/tar", params={"path": path}):
            yield piece

    async def upload_tar(self, archive, path=""):
        """Unpacks a tar archive (bytes, an open binary file, or an iterator) into a directory."""
        content = archive if not hasattr(archive, "read") else _pieces(archive)
        return await self._transport.json("PUT", self._path + "/tar", content=content,
                                          params={"path": path})

    async def watch(self, path="", recursive=True):
        """Yields Events "ready", "created", "modified", "removed", "moved", "lost"."""
        params = {"path": path, "recursive": "true" if recursive else "false"}
        async for event in self._transport.events("GET", self._path + "/watch", params=params):
            yield event

    async def usage(self):
        """What it uses."""
        return Usage.of(await self._transport.json("GET", self._path + "/usage"))

    async def fetch(self, files, timeout=None):
        """Has the server fetch URLs into it: dictionaries {"url", "headers"?, "path"?}; returns
        a list of Fetched."""
        body = await self._post("/fetch", files=files, timeout=timeout)
        return [Fetched.of(one) for one in body["results"]]

    # -- copies

    async def snapshot(self, name=None):
        """Keeps a copy of the workspace as it is now."""
        return Snapshot.of(await self._post("/snapshots", name=name))

    async def snapshots(self):
        """The Snapshots of it."""
        body = await self._transport.json("GET", self._path + "/snapshots")
        return [Snapshot.of(one) for one in body["snapshots"]]

    async def restore(self, snapshot):
        """Makes its workspace that of a snapshot (or its id); what runs in it ends."""
        number = snapshot.id if isinstance(snapshot, Snapshot) else snapshot
        return SessionInfo.of(await self._post("/restore", snapshot=number))

    async def fork(self, id=None, **options):
        """A new session with a copy of this one's workspace."""
        return type(self)(self._transport, await self._post("/fork", id=id, **options))

    async def _post(self, what, **fields):
        return await self._transport.json("POST", self._path + what, json=_said(**fields))

    def _file(self, path):
        return self._path + "/files/" + path_parts(path)


async def _pieces(source, size=1 << 18):
    """The bytes of an open binary file."""
    while True:
        piece = source.read(size)
        if not piece:
            return
        yield piece
