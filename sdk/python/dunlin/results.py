"""What the server answers, as plain values.  Fields that a newer server adds are in `raw`."""
import base64
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Optional


class _Result:
    """Made from the JSON object of an answer: a field is found by its own name."""

    @classmethod
    def of(cls, body):
        """The value that a decoded JSON object stands for."""
        names = {one.name for one in fields(cls)} - {"raw"}
        return cls(raw=body, **{name: body[name] for name in names if name in body})


@dataclass(frozen=True)
class Run(_Result):
    """The end of one run of /execute.

    success: it exited with 0 in time; stdout, stderr: text; exit_code: -N after signal N;
    files: {name: bytes} that it left; error: the server's words, or None; seconds, cpu_seconds: wall
    clock and CPU; memory_peak_mb; limits_hit: names of the limits that it met.
    """

    success: bool = False
    stdout: str = ""
    stderr: str = ""
    exit_code: Optional[int] = None
    error: Optional[str] = None
    execution_time: float = 0.0
    timed_out: bool = False
    limits_hit: List[str] = field(default_factory=list)
    files: Dict[str, bytes] = field(default_factory=dict)
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, body):
        """As _Result.of, with the files decoded."""
        files = {name: base64.b64decode(data) for name, data in (body.get("files") or {}).items()}
        return super().of({**body, "files": files})


@dataclass(frozen=True)
class Result(_Result):
    """The end of a command or of code in a session.

    exit_code: -N after signal N; signal: its name, or None; duration_ms, cpu_ms: wall clock and CPU;
    memory_peak_mb: of the largest process; process: its id in the session; warm: it ran in an
    interpreter that had been waiting.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    timed_out: bool = False
    limits_hit: List[str] = field(default_factory=list)
    duration_ms: float = 0.0
    cpu_ms: float = 0.0
    memory_peak_mb: float = 0.0
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    process: int = 0
    warm: bool = False
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def success(self):
        """Whether it exited with 0."""
        return self.exit_code == 0 and self.signal is None


@dataclass(frozen=True)
class Event:
    """One event of a stream: name ("start", "stdout", "stderr", "gap", "result", "log", ...) and data."""

    name: str
    data: Dict[str, Any]

    @property
    def text(self):
        """The text of an output or log event, else ""."""
        return self.data.get("text", "")


@dataclass(frozen=True)
class SessionInfo(_Result):
    """A session as the server describes it; times are RFC 3339, durations seconds, sizes bytes."""

    id: str = ""
    environment: str = "default"
    state: str = ""
    ephemeral: bool = False
    size: int = 0
    disk_bytes: int = 0
    network: str = "none"
    env: Dict[str, str] = field(default_factory=dict)
    labels: Dict[str, str] = field(default_factory=dict)
    created_at: Optional[str] = None
    last_used: Optional[str] = None
    expires_at: Optional[str] = None
    expires_soon: bool = False
    processes: int = 0
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class File(_Result):
    """A file, directory or link; size in bytes, mode as "0644", modified_at RFC 3339."""

    name: str = ""
    path: str = ""
    type: str = "file"
    size: int = 0
    mode: str = ""
    modified_at: Optional[str] = None
    target: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Match(_Result):
    """Something that was found: line counts from 1; it is 0 and text "" where a name was looked for."""

    path: str = ""
    line: int = 0
    text: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Process(_Result):
    """A program that was started in a session."""

    process: int = 0
    pid: int = 0
    command: str = ""
    background: bool = False
    terminal: bool = False
    running: bool = False
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    timed_out: bool = False
    started_at: Optional[str] = None
    ended_at: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Output(_Result):
    """What a process has written and the server still holds; `next`: where to go on reading."""

    stdout: str = ""
    stderr: str = ""
    next: Dict[str, int] = field(default_factory=dict)
    running: bool = False
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Usage(_Result):
    """Storage in bytes and inodes, CPU in milliseconds, memory in MiB."""

    size: int = 0
    used: int = 0
    inodes: int = 0
    inodes_used: int = 0
    cpu_ms: float = 0.0
    memory_peak_mb: float = 0.0
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Snapshot(_Result):
    """A copy of a workspace."""

    id: str = ""
    session: str = ""
    name: Optional[str] = None
    size: int = 0
    disk_bytes: int = 0
    created_at: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class EnvironmentInfo(_Result):
    """An environment as the server describes it."""

    name: str = ""
    status: str = ""
    description: str = ""
    base_image: Optional[str] = None
    python_version: Optional[str] = None
    actual_python: Optional[str] = None
    error: Optional[str] = None
    created_at: Optional[str] = None
    last_used: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Fetched(_Result):
    """What became of one URL that was fetched into a session."""

    url: str = ""
    path: str = ""
    success: bool = False
    size: int = 0
    status: Optional[int] = None
    error: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)
