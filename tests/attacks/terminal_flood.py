"""All of the machine's pseudo-terminals

source: kernel.pty.max counts for all mounts of devpts together
tries: opens terminals until it is refused
lock: devpts is mounted with max=16
second: pids and descriptors are limited; kernel.pty.reserve keeps some for the host
where: execute fresh session
expect: opened=few error=ENOSPC
"""
opened = []
try:
    while True:
        opened.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as error:
    found("error", errno.errorcode[error.errno])
found("opened", "few" if len(opened) <= 16 else len(opened))
