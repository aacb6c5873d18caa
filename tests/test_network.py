"""The network of sandboxes (R61), alone: build/src/spawner/network_driver in a network namespace
that plays the host, real peers in others.  Nothing leaves the machine."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

import host
from network_world import (FIRST, HOST, NOTHING, PROHIBITED, PUBLIC, REFUSED, SECOND, World, run)
from slowness import stretched


@pytest.fixture
def world():
    """A fresh world for each test."""
    one = World()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def open_world():
    """A world that the tests of reachability share: two sandboxes, a name server, an allowance."""
    one = World()
    try:
        driver = one.driver("dns 10.1.2.4", "dns 10.9.0.1", "dns fd12::5", "allow 192.168.7.0/24",
                            "port 8000")
        one.driver_one = driver
        one.first, one.second = one.sandbox(driver), one.sandbox(driver)
        one.inside = one.peer(one.host_name)
        one.inside.serve(22, 53, 8000)
        one.second.serve(80)
        yield one
    finally:
        one.close()


# -- what may be reached


@pytest.mark.parametrize("address, from_host", zip(PUBLIC, ("45.0.0.1", "2a00::1")))
def test_the_internet_is_reached_with_the_hosts_address(open_world, address, from_host):
    assert open_world.first.tcp(address, 80) == from_host
    assert open_world.first.udp(address, 80) == from_host


def test_a_named_server_answers_on_the_port_of_names_only(open_world):
    assert open_world.first.udp("10.1.2.4", 53) == "45.0.0.1"
    assert open_world.first.tcp("10.1.2.4", 53) == "45.0.0.1"
    assert open_world.first.udp("fd12::5", 53) == "2a00::1"
    open_world.net.seen()
    assert open_world.first.tcp("10.1.2.4", 80) == "ECONNREFUSED"
    assert open_world.first.udp("10.1.2.4", 80, 0.3) in PROHIBITED
    assert open_world.first.udp("10.1.2.3", 53, 0.3) in PROHIBITED
    assert open_world.net.seen() == []


def test_a_named_server_may_be_the_host_itself(open_world):
    assert open_world.first.udp("10.9.0.1", 53) in open_world.first.addresses
    assert open_world.first.tcp("10.9.0.1", 53) in open_world.first.addresses
    open_world.inside.seen()
    assert open_world.first.tcp("10.9.0.1", 22) == "ECONNREFUSED"
    assert open_world.inside.seen() == []


def test_an_allowed_network_is_reached_although_private(open_world):
    assert open_world.first.tcp("192.168.7.7", 80) == "45.0.0.1"
    assert open_world.first.tcp("192.168.7.7", 25) == "45.0.0.1"


# -- what may not


@pytest.mark.parametrize("address", [a for a in REFUSED if a != "192.168.7.7"])
def test_what_is_not_the_internet_is_refused_at_once(open_world, address):
    open_world.net.seen()
    began = time.monotonic()
    assert open_world.first.tcp(address, 80) == "ECONNREFUSED"
    assert open_world.first.udp(address, 80, 0.3) in PROHIBITED
    assert time.monotonic() - began < stretched(0.5)
    assert open_world.net.seen() == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:10.1.2.3", "::ffff:127.0.0.1",
                                     "::10.1.2.3", "0.0.0.0", "224.0.0.1", "255.255.255.255",
                                     "ff02::1", "fe80::1%eth0"])
def test_addresses_with_a_meaning_lead_nowhere(open_world, address):
    open_world.net.seen()
    open_world.inside.seen()
    assert not open_world.first.tcp(address, 8000, 0.3)[0].isdigit()
    open_world.first.udp(address, 8000, 0.3)
    assert open_world.net.seen() == [] and open_world.inside.seen() == []


@pytest.mark.parametrize("port", [22, 53, 8000, 9])
@pytest.mark.parametrize("address", [*HOST, "gateway 4", "gateway 6"])
def test_the_host_is_refused_on_every_address_and_port(open_world, address, port):
    if address.startswith("gateway"):
        own = next(a for a in open_world.first.addresses if (":" in a) == address.endswith("6"))
        routes = open_world.ip(open_world.first.name, f"-{address[-1]}", "-j", "route")
        address = next(r["gateway"] for r in json.loads(routes) if r["dst"] == "default")
        assert own != address
    if address == "10.9.0.1" and port == 53:
        return
    open_world.inside.seen()
    assert open_world.first.tcp(address, port) == "ECONNREFUSED"
    assert open_world.first.udp(address, port, 0.3) in PROHIBITED
    assert open_world.inside.seen() == []


def test_other_sandboxes_are_refused(open_world):
    for address in open_world.second.addresses:
        assert open_world.first.tcp(address, 80) == "ECONNREFUSED"
        open_world.first.udp(address, 80, 0.3)
    assert open_world.second.seen() == []


def test_nobody_outside_gets_in(open_world):
    ipv4, ipv6 = sorted(open_world.second.addresses, key=len)
    open_world.ip(open_world.net_name, "route", "replace", f"{ipv4}/32", "via", "45.0.0.1")
    open_world.ip(open_world.net_name, "-6", "route", "replace", f"{ipv6}/128", "via", "2a00::1")
    for address in (ipv4, ipv6):
        for outsider in (open_world.net, open_world.inside):
            assert outsider.tcp(address, 80, 0.3) in ("timeout", "EPERM", "ENETUNREACH")
            outsider.udp(address, 80, 0.3)
    assert open_world.second.seen() == []


@pytest.mark.parametrize("address", PUBLIC)
def test_mail_is_refused(open_world, address):
    assert open_world.first.tcp(address, 25) == "ECONNREFUSED"


def test_a_forged_source_goes_nowhere(open_world):
    own4, own6 = sorted(open_world.first.addresses, key=len)
    other4, other6 = sorted(open_world.second.addresses, key=len)
    open_world.net.seen()
    open_world.inside.seen()
    gateway = own4.rsplit(".", 2)[0] + ".192.1"
    for source in (other4, gateway, "45.0.0.1", "45.0.0.2", "10.9.0.1", "127.0.0.1", "8.8.8.8"):
        for to, port in (("45.0.0.2", 80), ("10.9.0.1", 53), ("45.0.0.1", 8000)):
            assert open_world.first.spoof(source, to, port) != "timeout"
    for source in (other6, "2a00::1", "2a00::2", "fe80::1", "::1", "2606::1"):
        for to, port in (("2a00::2", 80), ("2a00::1", 8000)):
            open_world.first.spoof(source, to, port)
    assert open_world.net.seen() == [] and open_world.inside.seen() == []
    # The same packets with the right source do arrive: the forger works.
    assert open_world.first.spoof(own4, "45.0.0.2", 80) == "sent"
    assert open_world.first.spoof(own6, "2a00::2", 80) == "sent"
    assert len(open_world.net.seen()) == 2


def test_a_rewritten_destination_must_be_permitted_too(world):
    world.nft("table ip docker { chain p { type nat hook prerouting priority dstnat; "
              "tcp dport 8080 ip daddr 45.0.0.1 dnat to 10.1.2.3:80; "
              "ip daddr 45.0.0.3 dnat to 10.1.2.3; ip daddr 10.1.2.3 dnat to 45.0.0.2; } }")
    sandbox = world.sandbox(world.driver())
    for address, port in (("45.0.0.1", 8080), ("45.0.0.3", 80), ("10.1.2.3", 80)):
        assert sandbox.tcp(address, port) == "ECONNREFUSED", address
    assert world.net.seen() == []


def test_tools_in_the_hosts_network_do_not_reach_the_api(world):
    inside = world.peer(world.host_name)
    inside.serve(22, 8000)
    tool = world.peer(world.host_name, "setpriv", "--reuid=1879179269", "--clear-groups")
    assert tool.tcp("127.0.0.1", 8000) == "127.0.0.1"
    driver = world.driver("port 8000")
    assert driver.say("attach", 3, f"/run/netns/{world.host_name}") == "ok"
    for address in ("127.0.0.1", "10.9.0.1", "45.0.0.1", "::1", "2a00::1"):
        assert tool.tcp(address, 8000) == "ECONNREFUSED", address
    assert tool.tcp("127.0.0.1", 22) == "127.0.0.1"
    assert tool.tcp("45.0.0.2", 8000) == "45.0.0.1"
    assert inside.tcp("127.0.0.1", 8000) == "127.0.0.1"
    links, _, tables, forwarding = world.state()
    assert (links, tables, forwarding) == ([], ["table inet dunlin_0123456789abcdef_api"], "0")
    world.sandbox(driver)
    assert tool.tcp("127.0.0.1", 8000) == "ECONNREFUSED"
    os.kill(driver.worker().pid, signal.SIGKILL)
    driver.close()
    assert world.state() == NOTHING


def test_a_firewall_of_the_host_still_drops(world):
    sandbox = world.sandbox(world.driver())
    assert sandbox.tcp("45.0.0.2", 80) == "45.0.0.1"
    world.nft("table inet wall { chain f { type filter hook forward priority filter + 10; "
              "policy drop; } }")
    assert sandbox.tcp("45.0.0.2", 80, 0.3) == "timeout"


# -- how much


def test_connections_are_counted_for_each_sandbox(world):
    driver = world.driver("connections 5")
    first, second = world.sandbox(driver), world.sandbox(driver)
    assert first.hold("45.0.0.2", 80, 7) == ["ok"] * 5 + ["ECONNREFUSED"] * 2
    assert first.tcp("2a00::2", 80) == "ECONNREFUSED"
    assert second.hold("45.0.0.2", 80, 5) == ["ok"] * 5
    first.release(2)
    assert first.hold("2a00::2", 80, 3) == ["ok"] * 2 + ["ECONNREFUSED"]


def test_a_slots_next_sandbox_starts_counting_anew(world):
    driver = world.driver("connections 3")
    first = world.sandbox(driver, slot=7)
    assert first.hold("45.0.0.2", 80, 4) == ["ok"] * 3 + ["ECONNREFUSED"]
    first.process.kill()
    world.ip(first.name, "link", "set", "eth0", "down")  # nobody hears how it ends
    run("ip", "netns", "del", first.name)
    driver.say("detach", 7)
    second = world.sandbox(driver, slot=7)
    assert second.hold("45.0.0.2", 80, 4) == ["ok"] * 3 + ["ECONNREFUSED"]
    assert set(first.addresses).isdisjoint(second.addresses)


def test_new_connections_have_a_rate(world):
    driver = world.driver("connections 0")
    scanner, other = world.sandbox(driver), world.sandbox(driver)
    heard = scanner.hold("45.0.0.2", 80, 600)
    assert 200 <= heard.count("ok") < 600
    assert set(heard) == {"ok", "ECONNREFUSED"}
    assert other.tcp("45.0.0.2", 80) == "45.0.0.1"


@pytest.mark.parametrize("direction", ["get", "put"])
@pytest.mark.parametrize("address", PUBLIC)
def test_bytes_have_a_rate_each_way(world, address, direction):
    """512 KiB/s with a reserve of 640 KiB: 2 MiB take at least 2.75 s; TCP gets most of a rate that
    is kept by dropping."""
    sandbox = world.sandbox(world.driver("rate 512"))
    seconds = sandbox.transfer(address, 80, direction, 2 << 20)
    assert 2.5 < seconds < 12


def test_without_a_rate_it_is_fast(world):
    assert world.sandbox(world.driver()).transfer("45.0.0.2", 80, "get", 50 << 20) < 3


# -- the inside


def test_the_link_is_all_there_is(open_world):
    links = [l["ifname"] for l in json.loads(open_world.ip(open_world.first.name, "-j", "link"))]
    assert links == ["lo", "eth0"]
    assert len(open_world.first.addresses) == 2
    assert not any(a.startswith("fe80") for a in open_world.first.addresses)


def test_without_ipv6_outside_there_is_none_inside(world):
    world.sysctl("net.ipv6.conf.all.forwarding", 0)
    sandbox = world.sandbox(world.driver())
    assert len(sandbox.addresses) == 1 and ":" not in sandbox.addresses[0]
    assert sandbox.tcp("2a00::2", 80) == "ENETUNREACH"
    assert sandbox.tcp("45.0.0.2", 80) == "45.0.0.1"
    # Not even for one who could give itself an address.
    world.ip(sandbox.name, "addr", "add", "2a00::77/64", "dev", "eth0", "nodad")
    assert sandbox.tcp("2a00::2", 80, 0.3) in ("timeout", "EHOSTUNREACH")
    assert world.sysctl("net.ipv6.conf.all.forwarding") == "0"


def test_a_namespace_of_a_user_namespace_gets_a_link(world):
    driver = world.driver()
    holder = subprocess.Popen(["unshare", "--user", "--net", "sleep", "30"])
    try:
        before = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 5
        while os.readlink(f"/proc/{holder.pid}/ns/net") == before:
            assert time.monotonic() < deadline
        assert driver.say("attach", 3, f"/proc/{holder.pid}/ns/net") == "ok"
    finally:
        holder.kill()
        holder.wait()


# -- the host's forwarding


def test_the_host_does_not_become_a_router_for_others(world):
    lan = world.add("lan")
    world.link("lan", world.host_name, ("10.9.5.1/24",), lan, ("10.9.5.2/24",))
    world.ip(lan, "route", "add", "default", "via", "10.9.5.1")
    world.ip(world.net_name, "route", "add", "10.9.5.0/24", "via", "45.0.0.1")
    neighbour = world.peer(lan)
    driver = world.driver()
    sandbox = world.sandbox(driver)
    assert world.sysctl("net.ipv4.ip_forward") == "1"
    assert sandbox.tcp("45.0.0.2", 80) == "45.0.0.1"
    assert neighbour.tcp("45.0.0.2", 80, 0.3) == "timeout"
    driver.close()
    assert "net.ipv4.ip_forward is now 1" in driver.log
    assert world.state() == NOTHING
    world.sysctl("net.ipv4.ip_forward", 1)
    assert neighbour.tcp("45.0.0.2", 80) == "10.9.5.2"


def test_a_host_that_forwards_already_is_left_alone(world):
    world.sysctl("net.ipv4.ip_forward", 1)
    driver = world.driver()
    world.sandbox(driver)
    assert world.state()[2] == ["table inet dunlin_0123456789abcdef"]
    driver.close()
    assert world.state() == ([], [], [], "1")
    assert driver.log == ""


# -- coming and going


def locks():
    """The files that say which namespaces have networks."""
    return set(pathlib.Path("/run").glob("dunlin-network*"))


def test_closing_leaves_nothing(world):
    before = locks()
    driver = world.driver()
    world.sandbox(driver)
    assert len(locks()) == len(before) + 1
    driver.close()
    assert world.state() == NOTHING
    assert locks() == before


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_killed_spawner_leaves_nothing(world, times):
    driver = world.driver()
    for _ in range(times):
        world.sandbox(driver)
    worker = driver.worker()
    driver.close(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while host.is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.state() == NOTHING


def test_a_killed_network_process_is_replaced_when_the_next_one_asks(world):
    driver = world.driver()
    first = world.sandbox(driver)
    os.kill(driver.worker().pid, signal.SIGKILL)
    assert first.tcp("45.0.0.2", 80) == "45.0.0.1"  # its link needs nobody
    name = world.add("unlucky")
    assert driver.say("attach", 9, f"/run/netns/{name}") == "the network process ended"
    assert world.sandbox(driver, slot=9).tcp("45.0.0.2", 80) == "45.0.0.1"
    links, routes, tables, _ = world.state()
    assert len(links) == 1 and len(tables) == 2
    assert len([line for line in routes if "unreachable" in line]) == 2
    driver.close()
    assert world.state() == NOTHING


def test_both_killed_the_next_start_sweeps(world):
    driver = world.driver()
    world.sandbox(driver)
    os.kill(driver.worker().pid, signal.SIGKILL)
    driver.close(signal.SIGKILL)
    left = world.state()
    assert len(left[0]) == 1 and left[1] and left[2] and left[3] == "1"
    later = world.driver()
    assert world.state() == NOTHING
    assert world.sandbox(later).tcp("45.0.0.2", 80) == "45.0.0.1"
    later.close()
    assert world.state() == NOTHING


def test_whoever_waits_when_the_process_dies_gets_an_answer(world):
    driver = world.driver()
    name = world.add("waiting")
    world.sandbox(driver, slot=1)
    os.kill(driver.worker().pid, signal.SIGSTOP)
    assert driver.say("ask", 4, f"/run/netns/{name}") == "ok"
    assert driver.say("ask", 5, f"/run/netns/{name}") == "ok"
    os.kill(driver.worker().pid, signal.SIGKILL)
    assert driver.say("read") == "4 32 the network process ended"
    assert driver.say("read") == "5 32 the network process ended"
    driver.close()
    assert world.state() == NOTHING


def test_an_answer_for_a_sandbox_that_ended_is_dropped(world):
    driver = world.driver()
    name, later = world.add("early"), world.add("late")
    assert driver.say("ask", 4, f"/run/netns/{name}") == "ok"
    driver.say("detach", 4)
    assert driver.say("ask", 4, f"/run/netns/{later}") == "ok"
    assert driver.say("read") == "4 0 "
    assert json.loads(world.ip(later, "-j", "link"))[1]["ifname"] == "eth0"
    links, routes, _, _ = world.state()
    assert len(links) == 1 and len([r for r in routes if "dev dunlin" in r and "/" not in r]) >= 1


def test_all_slots_may_ask_at_once(world):
    driver = world.driver()
    names = [world.add(f"many{i}") for i in range(24)]
    for i, name in enumerate(names):
        assert driver.say("ask", i, f"/run/netns/{name}") == "ok"
    assert sorted(driver.say("read") for _ in names) == sorted(f"{i} 0 " for i in range(24))


def test_a_second_network_in_a_sandbox_is_an_error(world):
    driver = world.driver()
    sandbox = world.sandbox(driver, slot=1)
    answer = driver.say("attach", 2, f"/run/netns/{sandbox.name}")
    assert answer.startswith("make a pair of veth links") and answer.endswith("File exists")
    assert world.state()[0] == ["dunlin012345001"]
    assert sandbox.tcp("45.0.0.2", 80) == "45.0.0.1"


def test_what_is_no_network_namespace_is_an_error(world):
    driver = world.driver()
    assert driver.say("attach", 2, "/proc/self/ns/uts") == (
        "make a pair of veth links (modprobe veth): Invalid argument")
    assert driver.say("attach", 3, "/etc/hostname") != "ok"
    assert world.state()[0] == []


def test_two_instances_do_not_disturb_each_other(world):
    one, two = world.driver(), world.driver("connections 2", instance=SECOND)
    first, second = world.sandbox(one, slot=1), world.sandbox(two, slot=1)
    second.serve(80)
    assert first.tcp("45.0.0.2", 80) == second.tcp("45.0.0.2", 80) == "45.0.0.1"
    assert set(first.addresses).isdisjoint(second.addresses)
    for address in second.addresses:
        assert first.tcp(address, 80) == "ECONNREFUSED"
    assert first.hold("45.0.0.2", 80, 4) == ["ok"] * 4
    one.close()
    assert world.sysctl("net.ipv4.ip_forward") == "1"
    assert second.tcp("45.0.0.2", 80) == "45.0.0.1"
    again = world.driver()
    assert second.tcp("45.0.0.2", 80) == "45.0.0.1"
    two.close()
    assert world.sandbox(again, slot=2).tcp("45.0.0.2", 80) == "45.0.0.1"
    again.close()
    assert world.state() == NOTHING


def test_two_instances_that_like_the_same_addresses_get_others(world):
    one, two = world.driver(), world.driver(instance="dunlin-1111111189abcdf7")
    networks = [world.sandbox(d).addresses[0].rsplit(".", 2)[0] for d in (one, two)]
    pools = [line.split()[1] for line in world.state()[1]
             if line.startswith("unreachable") and ":" not in line]
    assert len(set(pools)) == 2 and networks


# -- what is missing


def refuse(world, words, *before):
    """Whoever asks for a network where none can be is told why, each time."""
    driver = world.driver(before=before)
    name = world.add("refused")
    for _ in range(2):
        answer = driver.say("attach", 1, f"/run/netns/{name}")
        assert words in answer, answer
        assert world.state() == NOTHING
    driver.close()
    assert [link["ifname"] for link in json.loads(world.ip(name, "-j", "link"))] == ["lo"]
    assert world.state() == NOTHING


def hiding(path, content):
    """Words before a command that give it another file in place of `path`."""
    return ("unshare", "--mount", "sh", "-c", f"mount --bind {content} {path} && exec \"$@\"", "sh")


def test_without_nft_there_is_no_network(world):
    refuse(world, "nft is not installed (apt-get install nftables)",
           *hiding("/usr/sbin/nft", "/dev/null"))


def test_rules_that_do_not_load_are_the_end_of_it(world, tmp_path):
    script = tmp_path / "nft"
    script.write_text("#!/bin/sh\necho 'no such hook' >&2\nexit 1\n")
    script.chmod(0o755)
    refuse(world, "nft could not load the filter", *hiding("/usr/sbin/nft", script))


def test_without_the_right_there_is_no_network(world):
    refuse(world, "CAP_NET_ADMIN", "setpriv", "--bounding-set", "-net_admin")


def test_a_read_only_sysctl_is_told(world):
    refuse(world, "net.ipv4.ip_forward", "unshare", "--mount", "sh", "-c",
           "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
           "exec \"$@\"", "sh")


def test_no_free_addresses_is_told(world):
    for network in ("198.18.0.0/15", "100.64.0.0/10", "10.0.0.0/8"):
        world.ip(world.host_name, "route", "add", "blackhole", network)
    refuse(world, "every range of addresses for sandboxes is in use")


def test_what_was_missing_may_be_supplied_later(world):
    world.ip(world.host_name, "route", "add", "blackhole", "198.18.0.0/15")
    world.ip(world.host_name, "route", "add", "blackhole", "100.64.0.0/10")
    world.ip(world.host_name, "route", "add", "blackhole", "10.0.0.0/8")
    driver = world.driver()
    name = world.add("early")
    assert driver.say("attach", 1, f"/run/netns/{name}") != "ok"
    world.ip(world.host_name, "route", "del", "blackhole", "10.0.0.0/8")
    assert driver.say("attach", 1, f"/run/netns/{name}") == "ok"


def test_nothing_is_changed_before_a_sandbox_asks(world):
    driver = world.driver()
    assert world.state() == NOTHING
    assert [one.comm for one in host.tree(driver.process.pid)] == ["network_driver"]


@pytest.mark.parametrize("setting, words", [
    ("dns 10.1.2.3;drop", "is not the address of a name server"),
    ("allow 10.0.0.0/8}", "is not a network like"),
    ("allow example.org", "is not a network like"),
])
def test_settings_that_are_no_addresses_are_refused(world, setting, words):
    driver = world.driver(setting, opened=None)
    answer = driver.say("open", FIRST)
    assert words in answer
    assert driver.say("attach", 1, "/proc/self/ns/net") == answer[:159]


def test_before_it_is_opened_there_is_none(world):
    driver = world.driver(opened=None)
    assert driver.say("attach", 1, "/proc/self/ns/net") == "networks are off (NETWORK_MODE=none)"
