"""A network of namespaces for tests: a host, an internet behind it, sandboxes, and a spawner's network
(build/src/spawner/network_driver) in the host.  Nothing leaves the machine."""
import itertools
import json
import os
import pathlib
import subprocess

import host
from drivers import ROOT, built

PEER = ROOT / "tests/network/peer.py"
FIRST = "dunlin-0123456789abcdef"
SECOND = "dunlin-fedcba9876543210"

PUBLIC = ("45.0.0.2", "2a00::2")
PRIVATE = ("10.1.2.3", "10.1.2.4", "172.16.9.9", "192.168.7.7", "100.64.1.1", "192.0.0.8",
           "198.51.100.1", "fd12::5")
METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")
TRANSLATED = ("64:ff9b::a01:203", "64:ff9b:1::a01:203", "2002:a01:203::1", "2001:0:a01:203::1")
HOST = ("45.0.0.1", "10.9.0.1", "2a00::1", "fd09::1")
# 198.51.100.1 stands for a public address that other rules of the host rewrite.
# To a datagram; the kernel sends an address few such notices in a second.
PROHIBITED = ("EHOSTUNREACH", "EACCES", "timeout")
REFUSED = tuple(a for a in PRIVATE if a != "198.51.100.1") + METADATA + TRANSLATED


def run(*words, check=True):
    """Runs a command quietly; its output."""
    ended = subprocess.run([str(word) for word in words], text=True, capture_output=True,
                           timeout=20, check=False)
    assert not check or ended.returncode == 0, f"{words}: {ended.stderr}"
    return ended.stdout


class Peer:
    """peer.py in a network namespace."""

    def __init__(self, name, *before):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", name, *before, "/usr/bin/python3", PEER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, expression):
        """The value of an expression over there."""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __getattr__(self, name):
        def call(*args, **fields):
            words = [*map(repr, args), *(f"{key}={value!r}" for key, value in fields.items())]
            return self.ask(f"{name}({', '.join(words)})")
        return call

    def close(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Driver:
    """A spawner's network in the namespace of the host."""

    def __init__(self, name, *before):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", name, *before, built("src/spawner/network_driver")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = ""

    def say(self, *words):
        """Sends a command; its answer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def worker(self):
        """The network process."""
        found = [one for one in host.tree(self.process.pid) if one.comm == "dunlin-network"]
        assert len(found) == 1, found
        return found[0]

    def close(self, how=None):
        """Ends it, by the end of its input or by a signal; keeps its log."""
        if self.process.stdin.closed:
            return
        if how is not None:
            self.process.send_signal(how)
        self.process.stdin.close()
        self.process.wait(20)
        self.log = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()


class World:
    """A host with a way out, an internet behind it, and sandboxes."""

    made = itertools.count()

    def __init__(self):
        self.tag = f"nettest-{os.getpid()}-{next(self.made)}-"
        self.names = []
        self.closing = []
        self.numbers = itertools.count()
        self.host_name = self.add("host")
        self.net_name = self.add("net")
        self.link("up", self.host_name, ("45.0.0.1/24", "2a00::1/64"), self.net_name,
                  tuple(f"{a}/24" if ":" not in a else f"{a}/64" for a in PUBLIC))
        self.ip(self.net_name, "addr", "add", "45.0.0.3/24", "dev", "up1")
        for address in PRIVATE + METADATA + TRANSLATED:
            self.ip(self.net_name, "addr", "add", address, "dev", "lo")
        self.ip(self.host_name, "link", "add", "name", "inner", "type", "bridge")
        self.ip(self.host_name, "link", "set", "inner", "up")
        for address in ("10.9.0.1/24", "fd09::1/64"):
            self.ip(self.host_name, "addr", "add", address, "dev", "inner")
        self.ip(self.host_name, "route", "add", "default", "via", "45.0.0.2")
        self.ip(self.host_name, "-6", "route", "add", "default", "via", "2a00::2")
        self.sysctl("net.ipv4.ip_forward", 0)  # a new namespace has what the machine has
        self.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.net = self.peer(self.net_name)
        self.net.serve(25, 53, 80, 8000)

    def add(self, name):
        """A network namespace, its loopback up, without addresses that are looked for first."""
        name = self.tag + name
        run("ip", "netns", "add", name)
        self.names.append(name)
        self.ip(name, "link", "set", "lo", "up")
        return name

    def link(self, name, one, one_addresses, other, other_addresses):
        """Joins two namespaces."""
        self.ip(one, "link", "add", "name", f"{name}0", "type", "veth", "peer", "name",
                f"{name}1", "netns", other)
        for where, end, addresses in ((one, 0, one_addresses), (other, 1, other_addresses)):
            for address in addresses:
                flags = ["nodad"] if ":" in address else []
                self.ip(where, "addr", "add", address, "dev", f"{name}{end}", *flags)
            self.ip(where, "link", "set", f"{name}{end}", "up")

    def ip(self, name, *words, check=True):
        """ip(8) in a namespace."""
        return run("ip", "-n", name, *words, check=check)

    def nft(self, rules, check=True):
        """Rules of the host itself."""
        rules = rules.replace("} }", "}\n }")
        return run("ip", "netns", "exec", self.host_name, "nft", rules, check=check)

    def sysctl(self, name, value=None):
        """Reads or sets a sysctl of the host."""
        path = "/proc/sys/" + name.replace(".", "/")
        command = f"cat {path}" if value is None else f"echo {value} > {path}"
        return run("ip", "netns", "exec", self.host_name, "sh", "-c", command).strip()

    def peer(self, name, *before):
        """Somebody in a namespace."""
        one = Peer(name, *before)
        self.closing.append(one)
        return one

    def driver(self, *settings, instance=FIRST, before=(), opened="ok"):
        """A spawner with these settings, its network open."""
        one = Driver(self.host_name, *before)
        self.closing.append(one)
        for setting in settings:
            assert one.say(setting) == "ok"
        if opened is not None:
            assert one.say("open", instance) == opened
        return one

    def sandbox(self, driver, slot=None):
        """A sandbox with a network, somebody in it, and its addresses."""
        number = next(self.numbers)
        name = self.add(f"sandbox{number}")
        assert driver.say("attach", number if slot is None else slot, f"/run/netns/{name}") == "ok"
        one = self.peer(name)
        one.name = name
        one.addresses = [word["local"] for link in json.loads(self.ip(name, "-j", "addr"))
                         if link["ifname"] == "eth0" for word in link["addr_info"]]
        return one

    def state(self):
        """What a network leaves in the host: links, routes, tables, forwarding."""
        links = [link["ifname"] for link in json.loads(self.ip(self.host_name, "-j", "link"))]
        routes = self.ip(self.host_name, "route") + self.ip(self.host_name, "-6", "route")
        return ([name for name in links if name.startswith("dunlin")],
                [line for line in routes.splitlines() if "proto 209" in line or "dunlin" in line],
                [line for line in self.nft("list tables").splitlines() if "dunlin" in line],
                self.sysctl("net.ipv4.ip_forward"))

    def close(self):
        """Removes everything."""
        for one in reversed(self.closing):
            one.close()
        for name in self.names:
            run("ip", "netns", "del", name, check=False)


NOTHING = ([], [], [], "0")
