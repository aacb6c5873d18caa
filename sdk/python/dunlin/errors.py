"""What can go wrong between a program and a Dunlin server."""


class DunlinError(Exception):
    """Base of every error of this package."""


class Unreachable(DunlinError):
    """No answer came: the server is down, the name is wrong, or the time was up."""


class ApiError(DunlinError):
    """The server answered with an error.

    Attributes: status (int, HTTP), detail (str, the server's words), body (the decoded JSON, or the
    text), retry_after (float, seconds, or None).
    """

    def __init__(self, status, detail, body=None, retry_after=None):
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.body = body
        self.retry_after = retry_after


class InvalidRequest(ApiError):
    """400 or 422: a value is wrong; `detail` says which and why."""


class Unauthorized(ApiError):
    """401: a key is missing or wrong."""


class NotFound(ApiError):
    """404: no such session, file, process, environment or snapshot."""


class Conflict(ApiError):
    """409: it exists, or something is in the way."""


class TooLarge(ApiError):
    """413: a body is larger than the server takes."""


class Overloaded(ApiError):
    """429 or 503: not now; `retry_after` says when."""


class StorageFull(ApiError):
    """507: the workspace, or the server's disk, is full."""


_BY_STATUS = {400: InvalidRequest, 422: InvalidRequest, 401: Unauthorized, 404: NotFound, 409: Conflict,
              413: TooLarge, 429: Overloaded, 503: Overloaded, 507: StorageFull}


def _words(body):
    """The server's words in a decoded error body."""
    detail = body.get("detail", body) if isinstance(body, dict) else body
    if isinstance(detail, list):  # 422: one entry for each value that is wrong
        return "; ".join("%s: %s" % (".".join(map(str, one.get("loc", []))), one.get("msg", ""))
                         for one in detail if isinstance(one, dict))
    return str(detail)


def error_of(response):
    """The error that a response (read whole) of status 400 or more stands for."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    retry_after = response.headers.get("retry-after")
    kind = _BY_STATUS.get(response.status_code, ApiError)
    return kind(response.status_code, _words(body), body,
                float(retry_after) if retry_after and retry_after.isdigit() else None)


class SandboxError(Exception):
    """The error of sandbox_runtime's SDK, raised by SharedEnvSandbox.

    Attributes: message (str), original_error, context (dict).
    """

    def __init__(self, message, original_error=None, context=None):
        super().__init__(message)
        self.message = message
        self.original_error = original_error
        self.context = context or {}
