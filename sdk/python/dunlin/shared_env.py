"""SharedEnvSandbox: the client of sandbox_runtime, with its signatures."""
import os

import httpx

from .errors import InvalidRequest, SandboxError
from .paths import path_parts
from .selectors import make_selector

PREFIX = "/workspace/se"


class SharedEnvSandbox:
    """A session on one of several servers.

    Parameters: session_id, str; server_selector_type, "static" (a list) or "k8s", "dns" (a name);
    server_selector_params, dictionary for it; of `kwargs`: servers (list of base URLs) and api_key,
    which is new.  Every method raises SandboxError when the server answers with an error or not at all.
    """

    def __init__(self, session_id, server_selector_type="static", server_selector_params=None, **kwargs):
        if not session_id:
            raise ValueError("session_id is required")
        self.session_id = session_id
        self._selector = make_selector(server_selector_type, server_selector_params,
                                       kwargs.get("servers"))
        key = kwargs.get("api_key")
        headers = {"Authorization": "Bearer " + key} if key else {}
        self._http = httpx.AsyncClient(trust_env=False, headers=headers,
                                       timeout=httpx.Timeout(330.0, connect=10.0))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    # -- the session

    async def create_session(self, size="50M"):
        """Makes it; returns its id and size as the server says."""
        return await self._json("POST", "/session/{id}", json={"size": size})

    async def delete_session(self):
        """Removes it; True."""
        await self._json("DELETE", "/session/{id}")
        return True

    async def get_status(self):
        """What GET /status says."""
        return await self._json("GET", "/status/{id}")

    async def close(self):
        """Removes the session, if that is possible, and closes the connections."""
        try:
            await self.delete_session()
        except SandboxError:
            pass
        await self._http.aclose()

    # -- files

    async def upload_file(self, file_path, target_filename=None):
        """Uploads a file of this machine."""
        name = target_filename or os.path.basename(file_path)
        with open(file_path, "rb") as f:
            return await self._json("POST", "/upload/{id}", params={"filename": name},
                                    files={"file": (os.path.basename(name), f)})

    async def download_file(self, filename, target_path):
        """Downloads a file to target_path of this machine; True."""
        url = await self._url("/download/{id}/" + _path(filename))
        part = target_path + ".part"
        try:
            async with self._http.stream("GET", url) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise _error(response)
                with open(part, "wb") as f:
                    async for piece in response.aiter_bytes():
                        f.write(piece)
            os.replace(part, target_path)
        except httpx.HTTPError as error:
            raise SandboxError("Failed to download file: %s" % error, error) from error
        finally:
            if os.path.exists(part):
                os.unlink(part)
        return True

    async def create_file(self, content, filename, mode=0o644):
        """Writes a text file."""
        return await self._json("POST", "/create/{id}", json={
            "content": content, "filename": filename, "mode": mode})

    async def list_files(self, directory="", recursive=False):
        """The regular files in a directory: a list of dictionaries."""
        answer = await self._json("GET", "/files/{id}/" + _path(directory),
                                  params={"recursive": "true" if recursive else "false"})
        return answer["files"] if isinstance(answer, dict) else answer

    async def read_file(self, filename, offset=0, buffer_size=4096):
        """A piece of a file: content, is_binary, offset (of the next one), size, is_eof."""
        return await self._json("GET", "/readfile/{id}/" + _path(filename),
                                params={"offset": offset, "buffer_size": buffer_size})

    async def download_from_efast(self, file_params, save_path="", efast_url="", token="", timeout=300):
        """Has the server fetch documents from a store into the session."""
        return await self._json("POST", "/download_from_efast/{id}", json={
            "file_params": file_params, "save_path": save_path, "efast_url": efast_url, "token": token,
            "timeout": timeout})

    # -- commands and code

    async def execute(self, command, *args):
        """Runs a command; each of args is one word.  Returns stdout, stderr, returncode."""
        return await self._json("POST", "/execute/{id}", json={"command": command, "args": list(args)})

    async def execute_code(self, code, filename=None, args=None, script_type="python",
                           output_params=None):
        """Runs code, which is sent exactly as it is.

        Parameters: script_type, "python", "shell" or "javascript"; output_params, names of global
        variables to return in output_variables.  Returns stdout, stderr, returncode.
        """
        return await self._json("POST", "/execute_code/{id}", json={
            "code": code, "filename": filename, "args": args or [], "script_type": script_type,
            "output_params": output_params or []})

    # -- requests

    async def _url(self, path):
        server = await self._selector.select(self.session_id)
        return server + PREFIX + path.replace("{id}", _path(self.session_id), 1)

    async def _json(self, method, path, **options):
        """The inner value of an answer."""
        url = await self._url(path)
        try:
            response = await self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise SandboxError("%s %s: %s" % (method, url, error or type(error).__name__),
                               error) from error
        if response.status_code >= 400:
            raise _error(response)
        body = response.json()
        return body["result"] if isinstance(body, dict) and "result" in body else body


def _path(text):
    """A path as part of a URL."""
    try:
        return path_parts(text)
    except InvalidRequest as error:
        raise SandboxError("Invalid file path", error.detail) from error


def _error(response):
    """The SandboxError that an error answer stands for."""
    try:
        body = response.json()
    except ValueError:
        body = {"detail": response.text}
    body = body if isinstance(body, dict) else {"detail": body}
    detail = body.get("detail")
    inner = detail if isinstance(detail, dict) else {}
    message = inner.get("message") or body.get("message") or str(detail)
    return SandboxError(message, inner.get("detail") or detail,
                        {"status": response.status_code, "body": body})
