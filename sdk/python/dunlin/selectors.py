"""Which of several servers has a session.

Every client must come to the same answer for the same session, in every process and on every
machine, and the loss of one server must move that server's sessions only.  So each server is given a
number for each session by a hash that does not change (SHA-256 of both names), and the highest
number among the healthy ones wins: rendezvous hashing (Thaler and Ravishankar, 1998).
"""
import asyncio
import hashlib
import random
import time

import httpx

from .errors import SandboxError

HEALTHY_FOR = 60.0  # s that a server's health is believed
HEALTH_TIMEOUT = 10.0  # s


def rank(session_id, servers):
    """The servers, the one that should have this session first."""
    def number(server):
        return hashlib.sha256(("%s\0%s" % (server, session_id)).encode()).digest()
    return sorted(servers, key=number, reverse=True)


class StaticServerSelector:
    """Chooses from a fixed list of base URLs.

    Parameters: servers, list of str; strategy, "hash" (also "modulo", its old name), "random" or
    "round_robin".
    """

    def __init__(self, servers, strategy="hash"):
        if not servers:
            raise SandboxError("No available server found", context={"servers": []})
        if strategy not in ("hash", "modulo", "random", "round_robin"):
            raise ValueError("strategy must be hash, random or round_robin, not %r" % (strategy,))
        self.servers = [server.rstrip("/") for server in servers]
        self.strategy = strategy
        self._turn = 0
        self._health = {}  # server: (is healthy, until when that is believed)

    def _order(self, session_id):
        if self.strategy == "random":
            return random.sample(self.servers, len(self.servers))
        if self.strategy == "round_robin":
            self._turn += 1
            at = self._turn % len(self.servers)
            return self.servers[at:] + self.servers[:at]
        return rank(session_id, self.servers)

    async def _is_healthy(self, http, server):
        good, until = self._health.get(server, (False, 0.0))
        if time.monotonic() < until:
            return good
        try:
            answer = await http.get(server + "/workspace/se/healthy", timeout=HEALTH_TIMEOUT)
            good = answer.status_code == 200
        except httpx.HTTPError:
            good = False
        # One that is ill is asked again sooner.
        self._health[server] = (good, time.monotonic() + (HEALTHY_FOR if good else 1.0))
        return good

    async def select(self, session_id):
        """The base URL of the server for this session.  Raises SandboxError when none is healthy."""
        async with httpx.AsyncClient(trust_env=False) as http:
            for server in self._order(session_id):
                if await self._is_healthy(http, server):
                    return server
        raise SandboxError("No available server found", context={"servers": self.servers})


class DnsServerSelector(StaticServerSelector):
    """Chooses among the addresses behind one name, as of a headless service of Kubernetes.

    Parameters: host, the name; port; scheme; strategy as above.  The addresses are looked up anew every
    HEALTHY_FOR seconds.
    """

    def __init__(self, host, port=9101, scheme="http", strategy="hash"):
        self._where = (scheme, host, int(port))
        self._until = 0.0
        super().__init__(["%s://%s:%d" % self._where], strategy)

    async def select(self, session_id):
        """As StaticServerSelector.select."""
        scheme, host, port = self._where
        if time.monotonic() >= self._until:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
            except OSError as error:
                raise SandboxError("No available server found", error, {"host": host}) from error
            self.servers = sorted({_url(scheme, *one[4][:2]) for one in found})
            self._until = time.monotonic() + HEALTHY_FOR
        return await super().select(session_id)


def _url(scheme, address, port):
    """The base URL of an address."""
    return "%s://%s:%d" % (scheme, "[%s]" % address if ":" in address else address, port)


def make_selector(kind, params, servers):
    """The selector that SharedEnvSandbox was asked for: "static", or "k8s" and "dns"."""
    params = dict(params or {})
    if kind == "static":
        return StaticServerSelector(list(params.pop("servers", None) or servers or []), **params)
    if kind in ("k8s", "dns"):
        host = params.pop("host", None) or params.pop("service_name", None)
        if not host:
            raise ValueError("server_selector_params needs 'host', the name of the service")
        return DnsServerSelector(host, **params)
    raise ValueError("server_selector_type must be static, dns or k8s, not %r" % (kind,))
