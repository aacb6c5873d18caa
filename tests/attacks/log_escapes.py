"""Escape sequences for whoever reads the logs

source: CVE-2021-25743 (kubectl), CVE-2003-0063 class
tries: prints them on both streams, in a process name, a file name and an exception
lock: the server's log holds no text of a run; a build's log is served as text
second: none: a client that prints what it got prints what the code wrote
where: execute fresh session durable build
expect: printed=ok
exit: 1
"""
EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mroot#\x1b[0m\r\n"
print(EVIL)
print(EVIL, file=sys.stderr)
ctypes.CDLL(None).prctl(15, EVIL.encode()[:15], 0, 0, 0)
with open("/tmp/" + EVIL.replace("/", ""), "w") as file:
    file.write(EVIL)
found("printed", "ok")
raise RuntimeError(EVIL)
