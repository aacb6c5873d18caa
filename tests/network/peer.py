"""A program in a network namespace of a test: evaluates one expression a line, answers in JSON.

What the expressions may call: tcp, udp, serve, serve_names, seen, hold, release, transfer,
spoof.
"""
import errno
import json
import socket
import struct
import sys
import threading
import time

SECONDS = 1.0
received = []  # (protocol, port, sender, payload) of everything that reached serve()
held = []


def family(address):
    """The family of an address by its looks."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def outcome(call):
    """What `call` returns, or the name of the error it ends with."""
    try:
        return call()
    except socket.timeout:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def tcp(address, port, seconds=SECONDS, say=b"hello"):
    """Connects, says something, and returns what came back."""
    def talk():
        with socket.socket(family(address)) as s:
            s.settimeout(seconds)
            s.connect((address, port))
            s.sendall(say)
            return s.recv(100).decode()
    return outcome(talk)


def udp(address, port, seconds=SECONDS, say=b"hello"):
    """Sends a datagram and returns the answer."""
    def talk():
        with socket.socket(family(address), socket.SOCK_DGRAM) as s:
            s.settimeout(seconds)
            s.connect((address, port))
            s.send(say)
            return s.recv(100).decode()
    return outcome(talk)


def answer_tcp(server, port):
    """Tells every client where it seems to come from; b"get N" gets N bytes, b"put" is counted."""
    def answer(s, sender):
        with s:
            said = s.recv(100)
            received.append(("tcp", port, sender[0], said.decode(errors="replace")))
            if said.startswith(b"get "):
                s.sendall(bytes(int(said[4:])))
            elif said.startswith(b"put"):
                while s.recv(65536):
                    pass
            else:
                s.sendall(sender[0].encode())
                s.recv(1)  # until the client closes

    while True:
        threading.Thread(target=lambda c: outcome(lambda: answer(*c)), args=(server.accept(),),
                         daemon=True).start()


def answer_udp(server, port):
    """The same for datagrams; the answer comes from the address that was asked."""
    ipv4 = server.family == socket.AF_INET
    level, option = (0, 8) if ipv4 else (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)
    server.setsockopt(level, option, 1)
    while True:
        said, notes, _, sender = server.recvmsg(100, 100)
        received.append(("udp", port, sender[0], said.decode(errors="replace")))
        info = notes[0][2]
        here = struct.pack("=I4s4s", 0, info[8:12], info[8:12]) if ipv4 else info[:16] + bytes(4)
        note = [(level, 8 if ipv4 else socket.IPV6_PKTINFO, here)]
        outcome(lambda: server.sendmsg([sender[0].encode()], note, 0, sender))


def serve(*ports, address=None):
    """Answers on these ports, TCP and UDP, of one address or of all."""
    for one in [address] if address else ["0.0.0.0", "::"]:
        for port in ports:
            for kind, work in ((socket.SOCK_STREAM, answer_tcp), (socket.SOCK_DGRAM, answer_udp)):
                s = socket.socket(family(one), kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if one == "::":
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((one, port))
                if kind == socket.SOCK_STREAM:
                    s.listen(512)
                threading.Thread(target=work, args=(s, port), daemon=True).start()
    return "ok"


def serve_names(here, address, private=None):
    """A name server (RFC 1035) at `here` that knows one address, and it is that of every name; but
    those that begin with "private" have the other one, if it is given."""
    def work(server):
        while True:
            asked, sender = server.recvfrom(512)
            question = asked[12:asked.index(b"\0", 12) + 5]
            told = private if private and question[1:8] == b"private" else address
            record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(told)
            is_ipv4 = question[-4:-2] == b"\0\1"
            head = asked[:2] + struct.pack("!5H", 0x8180, 1, int(is_ipv4), 0, 0)
            server.sendto(head + question + record * is_ipv4, sender)

    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((here, 53))
    threading.Thread(target=work, args=(s,), daemon=True).start()
    return "ok"


def seen():
    """What has reached serve() since the last call."""
    time.sleep(0.1)
    found = list(received)
    received.clear()
    return found


def hold(address, port, count):
    """Opens connections and keeps them; what became of each."""
    def connect():
        s = socket.socket(family(address))
        s.settimeout(SECONDS)
        s.connect((address, port))
        held.append(s)
        return "ok"
    return [outcome(connect) for _ in range(count)]


def release(count):
    """Closes connections that hold() keeps."""
    for s in held[:count]:
        s.close()
    del held[:count]
    time.sleep(0.3)
    return "ok"


def transfer(address, port, direction, count):
    """Seconds that `count` bytes take to come (get) or go (put)."""
    def move():
        began = time.monotonic()
        with socket.create_connection((address, port), timeout=30) as s:
            if direction == "get":
                s.sendall(b"get %d" % count)
                left = count
                while left > 0:
                    left -= len(s.recv(65536))
            else:
                s.sendall(b"put")
                time.sleep(0.05)
                s.sendall(bytes(count))
                s.shutdown(socket.SHUT_WR)
                while s.recv(100):
                    pass
        return time.monotonic() - began
    return outcome(move)


def checksum(data):
    """The Internet checksum (RFC 1071) of bytes of an even count."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def spoof(source, to, port):
    """Sends a UDP datagram with a source address of our choice."""
    def send():
        datagram = struct.pack("!HHHH", 4444, port, 14, 0) + b"forged"
        if family(to) == socket.AF_INET:
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0,
                               socket.inet_aton(source), socket.inet_aton(to))
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
                s.sendto(head + datagram, (to, 0))
            return "sent"
        both = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
        pseudo = both + struct.pack("!II", len(datagram), 17)
        datagram = datagram[:6] + struct.pack("!H", checksum(pseudo + datagram)) + datagram[8:]
        head = struct.pack("!IHBB", 6 << 28, len(datagram), 17, 64) + both
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
            s.sendto(head + datagram, (to, 0))
        return "sent"
    return outcome(send)


def main():
    """Reads expressions until the end of input."""
    for line in sys.stdin:
        print(json.dumps(eval(line, globals())), flush=True)  # pylint: disable=eval-used


main()
