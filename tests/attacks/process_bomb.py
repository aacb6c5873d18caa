"""Processes and threads without end

source: piston tests/fork.py, snekbox tests; R51
tries: forks and starts threads until it is refused
lock: the pids controller
second: the memory limit of the group
where: execute fresh session durable
expect: fork=EAGAIN again=EAGAIN threads=refused
limits: processes
"""
import signal
import threading

children, result = [], "ok"
while result == "ok" and len(children) < 5000:
    try:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
    except OSError as error:
        result = errno.errorcode[error.errno]
found("fork", result)
found("again", attempt(os.fork))
try:
    threading.Thread(target=print, daemon=True).start()
    found("threads", "started")
except RuntimeError:
    found("threads", "refused")
for pid in children:
    os.kill(pid, signal.SIGKILL)
