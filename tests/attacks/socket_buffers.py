"""Memory in the buffers of TCP and UDP sockets

source: own review; R50: version 1's memory limit does not count them, and tcp_mem is the host's
tries: fills the receive buffers of 60 loopback connections and of 400 datagram sockets
lock: the memory controller (version 2), memory.kmem.tcp.limit_in_bytes (version 1)
second: the kernel's own tcp_mem and udp_mem, which are everybody's
where: execute fresh
expect: tcp=bounded udp=bounded
request: {"limits": {"memory_mb": 64}}
"""
keep, tcp = [], 0
try:
    for _ in range(60):
        listener = socket.create_server(("127.0.0.1", 0))
        one = socket.create_connection(listener.getsockname())
        one.setblocking(False)
        keep += [listener, one, listener.accept()[0]]
        try:
            while True:
                tcp += one.send(bytes(1 << 16))
        except BlockingIOError:
            pass
except OSError:
    pass
found("tcp", "bounded" if tcp < 64 << 20 else f"{tcp >> 20}MiB")
for one in keep:
    one.close()
udp = 0
try:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(400)]
    for one in receivers:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        for _ in range(4):
            sender.sendto(bytes(60000), one.getsockname())
    for one in receivers:
        try:
            while True:
                udp += len(one.recv(65536))
        except BlockingIOError:
            pass
except OSError:
    pass
found("udp", "bounded" if udp < 64 << 20 else f"{udp >> 20}MiB")
