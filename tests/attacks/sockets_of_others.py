"""Sockets of the host, the API and another sandbox

source: CVE-2020-15257 (containerd's abstract socket), CVE-2024-29021 (judge0, SSRF); R62, R63
tries: connects to abstract names and ports of the host and the victim, and to the victim's path
lock: a network namespace of its own
second: Landlock's scope for abstract sockets; no mount is shared
where: execute fresh session build
expect: host_abstract=ECONNREFUSED|EPERM victim_abstract=ECONNREFUSED|EPERM host=ECONNREFUSED
    api=ECONNREFUSED victim=ECONNREFUSED path=ENOENT|ENOTSOCK docker=ENOENT
"""


def connect(family, address):
    """The error's name of a connection, or ok."""
    one = socket.socket(family)
    one.settimeout(2)
    return attempt(one.connect, address)


found("host_abstract", connect(socket.AF_UNIX, "\0" + VICTIM + "-host"))
found("victim_abstract", connect(socket.AF_UNIX, "\0" + VICTIM))
found("path", connect(socket.AF_UNIX, "/tmp/" + VICTIM))
found("docker", connect(socket.AF_UNIX, "/var/run/docker.sock"))
for name, port in (("host", HOST_PORT), ("api", API_PORT), ("victim", VICTIM_PORT)):
    found(name, connect(socket.AF_INET, ("127.0.0.1", port)))
