"""Client of Dunlin, a server that runs untrusted code in sandboxes.

``Client`` and ``AsyncClient`` have the same methods; so have ``Session`` and ``AsyncSession``.
``SimplePySandboxClient``, ``SandboxClient`` and ``SharedEnvSandbox`` are those of its predecessors.
"""
from ._async.client import AsyncClient
from ._async.environment import AsyncEnvironment
from ._async.session import AsyncSession
from ._sync.client import Client
from ._sync.environment import Environment
from ._sync.session import Session
from .errors import (ApiError, Conflict, DunlinError, InvalidRequest, NotFound, Overloaded,
                     SandboxError, StorageFull, TooLarge, Unauthorized, Unreachable)
from .predecessors import AdvancedSandboxClient, SandboxClient, SimplePySandboxClient
from .results import (EnvironmentInfo, Event, Fetched, File, Match, Output, Process, Result, Run,
                      SessionInfo, Snapshot, Usage)
from .shared_env import SharedEnvSandbox

__version__ = "0.1.0"

__all__ = [
    "AdvancedSandboxClient", "ApiError", "AsyncClient", "AsyncEnvironment", "AsyncSession", "Client",
    "Conflict", "DunlinError", "Environment", "EnvironmentInfo", "Event", "Fetched", "File",
    "InvalidRequest", "Match", "NotFound", "Output", "Overloaded", "Process", "Result", "Run",
    "SandboxClient", "SandboxError", "Session", "SessionInfo", "SharedEnvSandbox",
    "SimplePySandboxClient", "Snapshot", "StorageFull", "TooLarge", "Unauthorized", "Unreachable",
    "Usage",
]
