# Made from dunlin/_async/transport.py by tools/unasync.  Do not edit.
"""Sends requests, tries again where that is safe, and turns error answers into errors."""
import time
import json
import random

import httpx

from ..errors import Unreachable, error_of
from ..results import Event

_REPEATABLE = {"GET", "HEAD", "DELETE"}
_LONGEST_PAUSE = 10.0


class Transport:
    """One pool of connections to one server."""

    def __init__(self, base_url, api_key=None, timeout=None, retries=2, headers=None):
        headers = dict(headers or {})
        if api_key is not None:
            headers["Authorization"] = "Bearer " + api_key
        self.base_url = base_url.rstrip("/")
        self.retries = retries
        self._http = httpx.Client(base_url=self.base_url, headers=headers, trust_env=False,
                                       timeout=httpx.Timeout(timeout, connect=10.0))

    def close(self):
        """Closes the connections."""
        self._http.close()

    def request(self, method, path, **options):
        """The answer, read whole, of a request that succeeded.

        Tried again, at most `retries` times: what never reached the server, what the server turned away
        (429, 503), and, for methods that may be repeated, what broke off.  Raises ApiError, Unreachable.
        """
        attempt = 0
        while True:
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout,
                                                httpx.PoolTimeout))
                if attempt >= self.retries or not (never_sent or method in _REPEATABLE):
                    raise Unreachable("%s %s%s: %s" % (method, self.base_url, path,
                                                       str(error) or type(error).__name__)) from error
                pause = 0.1 * 2 ** attempt
            else:
                if response.status_code < 400:
                    return response
                error = error_of(response)
                if attempt >= self.retries or response.status_code not in (429, 503) or \
                        _is_consumed(options):
                    raise error
                pause = error.retry_after if error.retry_after is not None else 0.2 * 2 ** attempt
            attempt += 1
            time.sleep(min(pause, _LONGEST_PAUSE) * random.uniform(0.8, 1.2))

    def json(self, method, path, **options):
        """The decoded JSON of an answer; None where there is no body."""
        response = self.request(method, path, **options)
        return response.json() if response.content else None

    def events(self, method, path, **options):
        """Yields each server-sent Event.  Leaving the loop ends the request, and what it started."""
        headers = {"Accept": "text/event-stream", **options.pop("headers", {})}
        try:
            with self._http.stream(method, path, headers=headers, **options) as response:
                if response.status_code >= 400:
                    response.read()
                    raise error_of(response)
                name, data = "message", []
                for line in response.iter_lines():
                    line = line.rstrip("\r\n")
                    if not line and data:
                        yield Event(name, json.loads("\n".join(data)))
                        name, data = "message", []
                    elif line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        data.append(line[5:].lstrip(" "))
        except httpx.TransportError as error:
            raise Unreachable("%s %s: %s" % (method, path, str(error) or "cut off")) from error

    def bytes(self, path, **options):
        """Yields the pieces of a body."""
        try:
            with self._http.stream("GET", path, **options) as response:
                if response.status_code >= 400:
                    response.read()
                    raise error_of(response)
                for piece in response.iter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise Unreachable("GET %s: %s" % (path, str(error) or "cut off")) from error


def _is_consumed(options):
    """Whether the body came from an iterator or a file, which cannot be sent twice."""
    content = options.get("content")
    return content is not None and not isinstance(content, (bytes, str))
