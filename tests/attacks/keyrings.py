"""The kernel's keyrings, which belong to users and not to sandboxes

source: CVE-2016-0728; docker's default profile; isolate 2.4
tries: adds, requests and searches keys, joins a session keyring, reads the persistent one
lock: seccomp: EPERM
second: host ids of the sandbox's own, so that no keyring is shared; but keys would stay on the host after the run
where: execute fresh session build
expect: add=EPERM request=EPERM join=EPERM persistent=EPERM describe=EPERM
"""
text = ctypes.c_char_p
found("add", call("add_key", text(b"user"), text(b"x"), text(b"secret"), 6, -4))
found("request", call("request_key", text(b"user"), text(b"x"), 0, -4))
found("join", call("keyctl", 1, 0, 0, 0, 0))
found("persistent", call("keyctl", 22, -1, -3, 0, 0))
found("describe", call("keyctl", 6, -4, 0, 0, 0))
