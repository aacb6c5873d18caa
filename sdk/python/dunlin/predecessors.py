"""The client classes of SimplePySandbox, with their signatures: their programs run unchanged.

They return the server's JSON as dictionaries, as they always did.  The classes came as examples in
its documents, in several variants; each method takes what any of them took.
"""
import base64
from concurrent.futures import ThreadPoolExecutor

from ._sync.transport import Transport


class SimplePySandboxClient:
    """Client of /execute and /environments.  Parameters: base_url; api_key, which is new."""

    def __init__(self, base_url="http://localhost:8000", api_key=None):
        self.base_url = base_url.rstrip("/")
        self._transport = Transport(self.base_url, api_key, timeout=330.0)

    def health_check(self):
        """What GET /health says."""
        return self._transport.json("GET", "/health")

    def execute_code(self, code, timeout=30, environment=None, files=None):
        """Runs Python code.

        Parameters: timeout, seconds; environment, a name; files, {name: base64 text}.  Returns the
        answer: success, stdout, stderr, execution_time, files, error.
        """
        return self._transport.json("POST", "/execute", json={
            "code": code, "timeout": timeout, "environment": environment, "files": files})

    def list_environments(self):
        """Every environment: {"environments": [...], "total": n}."""
        return self._transport.json("GET", "/environments")

    def create_environment(self, name, setup_script, description="", **more):
        """Makes an environment; `more`: python_version, base_image."""
        return self._transport.json("POST", "/environments", json={
            "name": name, "setup_script": setup_script, "description": description, **more})

    def get_environment(self, name):
        """One environment.  Raises NotFound."""
        return self._transport.json("GET", "/environments/" + name)

    def delete_environment(self, name):
        """Removes one.  Raises NotFound."""
        return self._transport.json("DELETE", "/environments/" + name)

    @staticmethod
    def decode_file(content):
        """The bytes of a file of an answer."""
        return base64.b64decode(content)

    @staticmethod
    def encode_file(content):
        """The base64 text of bytes or text, for `files`."""
        return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()

    @staticmethod
    def print_result(result):
        """Prints the six fields of an answer."""
        print("success: %s" % result["success"])
        print("execution_time: %.3f s" % result["execution_time"])
        for name in ("stdout", "stderr", "error"):
            if result[name]:
                print("%s:\n%s" % (name, result[name]))
        for name in result["files"] or {}:
            print("file: %s" % name)

    def close(self):
        """Closes the connections."""
        self._transport.close()


class SandboxClient(SimplePySandboxClient):
    """The same with files given as text."""

    def execute_code(self, code, timeout=30, environment=None, files=None):
        """As SimplePySandboxClient.execute_code; files: {name: text or bytes}."""
        if files is not None:
            files = {name: self.encode_file(content) for name, content in files.items()}
        return super().execute_code(code, timeout, environment, files)


class AdvancedSandboxClient(SandboxClient):
    """The same with batches."""

    def execute_code_batch(self, code_list, max_workers=3):
        """Runs several pieces of code side by side.

        Parameters: code_list, of texts or of dictionaries with the parameters of execute_code.  Returns
        the answers in the same order; one that could not be had is {"success": False, "error": why}.
        """
        def one(item):
            try:
                return self.execute_code(**item) if isinstance(item, dict) else self.execute_code(item)
            except Exception as error:
                return {"success": False, "error": str(error)}

        with ThreadPoolExecutor(max_workers=max_workers) as workers:
            return list(workers.map(one, code_list))
