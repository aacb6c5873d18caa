"""Attacks on the network: out, to the host, to its sockets, and from the host in (R60-R63)."""
import os
import socket
import threading

import pytest

import host
from client import unique_name
from inside import attack
from server import held


@pytest.fixture
def tcp_listener():
    """A port of the host's loopback that counts its connections."""
    seen = []
    sock = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                seen.append(sock.accept()[0])
            except OSError:
                return
    threading.Thread(target=accept, daemon=True).start()
    yield sock.getsockname()[1], seen
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def host_addresses():
    """Addresses of this machine that are not loopback, if it has any."""
    names = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)
             if not info[4][0].startswith(("127.", "::1"))} if socket.gethostname() else set()
    return sorted(names)


def test_the_only_interface_is_an_own_loopback(client, server):
    """R60"""
    found = client.find(attack("""
        import fcntl, struct
        s = socket.socket()
        flags = fcntl.ioctl(s, 0x8913, struct.pack("16sh22x", b"lo", 0))
        report(names=[n for _, n in socket.if_nameindex()],
               up=struct.unpack("16sh22x", flags)[1] & 1,
               routes=read_file("/proc/net/route").strip().splitlines()[1:])
        """))
    assert found["names"] == ["lo"] and found["up"] == 1
    assert [row for row in found["routes"] if not row.startswith("<")] == []
    with held(server) as runs:
        assert host.namespace(runs[0].pid, "net") != host.namespace("self", "net")


def test_loopback_works_inside(client):
    """R60"""
    answer = client.run("""
        import socket, threading
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                server = socket.create_server((address, 0), family=family)
            except OSError as error:
                print("no", address, error.errno)
                continue
            threading.Thread(target=lambda: server.accept()[0].sendall(b"hello")).start()
            print(socket.create_connection(server.getsockname()[:2]).recv(10).decode())
        """)
    assert answer["stdout"].splitlines()[0] == "hello", answer["stderr"]


def test_nothing_outside_can_be_reached(client, server, tcp_listener):
    """R60: the API, another port of the host, its addresses, the net, metadata, name servers."""
    port, seen = tcp_listener
    targets = [("127.0.0.1", server.port), ("127.0.0.1", port), ("0.0.0.0", port),
               ("localhost", port), ("169.254.169.254", 80), ("8.8.8.8", 53), ("10.0.0.1", 80),
               ("192.168.0.1", 80), ("172.17.0.1", 80), ("100.100.100.200", 80),
               ("127.0.0.2", port), *((address, port) for address in host_addresses())]
    found = client.find(attack(f"""
        def tcp(host, port):
            socket.create_connection((host, port), timeout=0.5).close()
        def udp(host, port):
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (host, port))
        report(tcp={{f"{{h}}:{{p}}": attempt(tcp, h, p) for h, p in {targets!r}}},
               udp={{h: attempt(udp, h, 53) for h in ("8.8.8.8", "169.254.169.254", "10.0.0.1")}},
               names=attempt(socket.getaddrinfo, "example.org", 80),
               broadcast=attempt(udp, "255.255.255.255", 9))
        """), timeout=20)
    assert "ok" not in found["tcp"].values(), found
    assert "ok" not in found["udp"].values() and found["names"] != "ok"
    assert found["broadcast"] != "ok"
    assert not seen, "a connection reached the host"


def test_the_hosts_unix_sockets_cannot_be_reached(client):
    """R62: abstract names and paths."""
    name = unique_name()
    path = f"/tmp/{host.OWN_PREFIX}{name}.sock"
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as by_path:
        abstract.bind("\0" + name)
        abstract.listen()
        by_path.bind(path)
        by_path.listen()
        os.chmod(path, 0o777)
        try:
            found = client.find(attack(f"""
                def connect(where):
                    socket.socket(socket.AF_UNIX).connect(where)
                report(abstract=attempt(connect, "\\0{name}"), path=attempt(connect, "{path}"),
                       run=attempt(connect, "/run/dbus/system_bus_socket"),
                       docker=attempt(connect, "/var/run/docker.sock"),
                       listed="{name}" in read_file("/proc/net/unix"))
                """))
        finally:
            os.unlink(path)
    assert (found["abstract"], found["path"]) == ("ECONNREFUSED", "ENOENT")
    assert found["run"] == found["docker"] == "ENOENT" and not found["listed"]


def test_only_harmless_socket_families_and_types_exist(client):
    """R71: UNIX, INET, INET6 streams and datagrams, and the route table's netlink."""
    found = client.find(attack("""
        made = []
        for family in range(48):
            for kind in (1, 2, 3, 4, 5, 6, 10):
                for protocol in (0, 1, 6, 9, 15, 16, 17, 58, 132, 255, 256, 262):
                    fd = libc.socket(family, kind, protocol)
                    if fd >= 0:
                        made.append([family, kind, protocol])
                        os.close(fd)
        report(made=made)
        """), timeout=20)
    for family, kind, protocol in found["made"]:
        assert family in (1, 2, 10, 16), f"family {family}"
        if family in (2, 10):
            assert kind in (1, 2) and protocol in (0, 6, 17), (family, kind, protocol)
        if family == 16:
            assert protocol == 0, "netlink other than ROUTE"
    assert [1, 1, 0] in found["made"] and [2, 1, 0] in found["made"]


def test_the_network_cannot_be_reconfigured(client):
    """R60: no address, no route, no interface up, no raw packets."""
    found = client.find(attack("""
        import fcntl, struct
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request = struct.pack("16sH2s4s8x", b"lo", 2, b"", socket.inet_aton("10.9.8.7"))
        def netlink():
            n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            n.bind((0, 0))
            # RTM_NEWADDR 10.9.8.7/8 on index 1
            body = struct.pack("BBBBI", 2, 8, 0, 0, 1) + struct.pack("HH4s", 8, 2,
                                                                   socket.inet_aton("10.9.8.7"))
            n.send(struct.pack("IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
            code = struct.unpack("i", n.recv(4096)[16:20])[0]
            if code:
                raise OSError(-code, "")
        report(address=attempt(fcntl.ioctl, s, 0x8916, request), netlink=attempt(netlink),
               bind_device=attempt(s.setsockopt, 1, 25, b"eth0"),
               transparent=attempt(s.setsockopt, 0, 19, 1), mark=attempt(s.setsockopt, 1, 36, 1))
        """))
    assert "ok" not in found.values(), found


def test_a_port_bound_inside_is_not_reachable_outside(server):
    """R63"""
    code = """
import socket
socks = [socket.create_server((a, 19997)) for a in ("0.0.0.0",)]
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagram.bind(("0.0.0.0", 19997))
"""
    with held(server, code):
        for address in ("127.0.0.1", *host_addresses()):
            with pytest.raises(OSError):
                socket.create_connection((address, 19997), timeout=0.5)


def test_two_runs_cannot_reach_each_other(server, client):
    """R24, R60"""
    code = "import socket\ns = socket.create_server(('0.0.0.0', 19996))\n"
    with held(server, code):
        found = client.find(attack("""
            report(tcp=attempt(socket.create_connection, ("127.0.0.1", 19996), 0.5))
            """))
    assert found["tcp"] == "ECONNREFUSED"
