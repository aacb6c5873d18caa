"""Metadata services and the network around

source: Capital One 2019, CVE-2024-29021; Firecracker's host setup; R60, R61
tries: connects to link-local, private and public addresses, and sends datagrams there
lock: a network namespace with nothing but a loopback
second: with a network, the packet filter: tests/test_network_sandbox.py
where: execute fresh session
expect: reached=none multicast=ENETUNREACH|ENODEV names=none
"""
addresses = ("169.254.169.254 100.100.100.200 10.0.0.1 172.17.0.1 192.168.1.1 8.8.8.8 1.1.1.1 "
             "255.255.255.255 fd00:ec2::254 fe80::1 2606:4700:4700::1111").split()
answers = {}
for address in addresses:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    stream, datagram = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    stream.settimeout(1)
    answers[address] = {attempt(stream.connect, (address, 80)),
                        attempt(datagram.sendto, b"x", (address, 53))}
reached = [a for a, got in answers.items() if not got <= {"ENETUNREACH", "EACCES", "EADDRNOTAVAIL", "EINVAL"}]
found("reached", "none" if not reached else ",".join(reached))
found("multicast", attempt(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b"x",
                           ("224.0.0.251", 5353)))
try:
    socket.getaddrinfo("metadata.google.internal", 80)
    found("names", "some")
except OSError:
    found("names", "none")
