"""Fragnesia: ESP in TCP by an upper layer protocol

source: Fragnesia (2026; Scalingo #3750, coreos #2177)
tries: attaches the ULPs espintcp, tls and mptcp to a connected socket
lock: seccomp: TCP_ULP is not among the socket options
second: attaching a protocol that is not loaded needs CAP_NET_ADMIN; one that is built in has none
where: execute fresh session build
expect: espintcp=ENOSYS tls=ENOSYS mptcp=ENOSYS
unlocked: espintcp=ENOENT|EPERM|ok tls=ENOENT|EPERM|ok mptcp=ENOENT|ENOTSUP
"""
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
for name in ("espintcp", "tls", "mptcp"):
    found(name, attempt(client.setsockopt, socket.IPPROTO_TCP, 31, name.encode()))
