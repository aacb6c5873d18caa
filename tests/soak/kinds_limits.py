"""Kinds of the soak: runs that reach their limits."""
from caller import events_of, require, require_fields, require_hit, texts
from mix import paced

MB = 1 << 20
FORK_BOMB = """
import os, time
print('%s', flush=True)
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.2)
        os._exit(3)
"""
DAEMONS = """
import os, time
print('%s', flush=True)
for i in range(20):
    if os.fork() == 0:
        os.setsid()
        time.sleep(100)
time.sleep(100)
"""
THREADS = """
import threading, time
print('%s', flush=True)
for i in range(1000):
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
"""
FULL = """
import errno
print('%s', flush=True)
try:
    with open('%s', 'wb', 0) as f:
        while True:
            f.write(bytes(1 << 20))
except OSError as e:
    print(e.errno == errno.ENOSPC)
"""
INODES = """
import errno
print('%s', flush=True)
try:
    for i in range(100000):
        open(f'/tmp/{i}', 'w').close()
except OSError as e:
    print(e.errno == errno.ENOSPC, i > 100)
"""
BABBLE = "import os\nprint('%s', flush=True)\nb = b'x' * 65536\nwhile True: os.write(1, b)"


def timed_out(answer, stdout, seconds=1):
    """The run was ended at its deadline, and not much later."""
    require_fields(answer, success=False, stdout=stdout, timed_out=True,
                   error=f"代码执行超时（{seconds}秒） / execution timed out (timeout {seconds}s)")
    require_hit(answer, "time")
    require(answer["execution_time"] >= seconds * 0.99, "ended before its deadline")
    require(answer["execution_time"] < seconds + 3, "ended long after its deadline")


@paced(500)
def timeout_asleep(caller):
    """A run that waits for longer than it may."""
    nonce = caller.nonce()
    answer = caller.execute(f"import time\nprint('{nonce}', flush=True)\ntime.sleep(60)", timeout=1)
    timed_out(answer, nonce + "\n")


@paced(250)
def timeout_busy(caller):
    """A run that computes for longer than it may."""
    nonce = caller.nonce()
    timed_out(caller.execute(f"print('{nonce}', flush=True)\nwhile True: pass", timeout=1),
              nonce + "\n")


@paced(250)
def timeout_daemons(caller):
    """A run with twenty children in sessions of their own, none of which may outlive it."""
    nonce = caller.nonce()
    timed_out(caller.execute(DAEMONS % nonce, timeout=1), nonce + "\n")


@paced(250)
def timeout_shell(caller):
    """A shell that waits for longer than it may."""
    nonce = caller.nonce()
    timed_out(caller.execute(f"echo {nonce}; sleep 60 & sleep 60", language="shell", timeout=1),
              nonce + "\n")


@paced(400)
def memory_bomb(caller):
    """A run that takes more memory than it may."""
    nonce = caller.nonce()
    answer = caller.execute(f"print('{nonce}', flush=True)\nx = bytearray(900_000_000)", timeout=20,
                            limits={"memory_mb": 64})
    require_fields(answer, success=False, stdout=nonce + "\n", exit_code=-9, signal=9)
    require_hit(answer, "memory")


@paced(250)
def memory_bomb_of_files(caller):
    """The same with files in the workspace."""
    nonce = caller.nonce()
    answer = caller.execute(FULL % (nonce, "/dev/shm/x"), timeout=20, limits={"memory_mb": 32})
    require_fields(answer, success=False, stdout=nonce + "\n")
    require_hit(answer, "memory")


@paced(250)
def fork_bomb(caller):
    """A run that forks for ever."""
    nonce = caller.nonce()
    answer = caller.execute(FORK_BOMB % nonce, timeout=20, limits={"processes": 32})
    require_fields(answer, success=False, stdout=nonce + "\n")
    require_hit(answer, "processes")


@paced(250)
def thread_bomb(caller):
    """A run that makes more threads than it may."""
    nonce = caller.nonce()
    answer = caller.execute(THREADS % nonce, timeout=20)
    require_fields(answer, success=False, stdout=nonce + "\n", exit_code=1)
    require_hit(answer, "processes")


@paced(250)
def output_bomb(caller):
    """A run that writes for ever: cut off, then killed."""
    nonce = caller.nonce()
    answer = caller.execute(BABBLE % nonce, timeout=20, limits={"output_kb": 64})
    require_fields(answer, success=False, stdout_truncated=True)
    require(answer["stdout"] == (nonce + "\n" + "x" * 65536)[:65536], "stdout is wrong")
    require_hit(answer, "output")


@paced(250)
def output_truncated(caller):
    """More output than is kept, by a run that then ends well."""
    nonce = caller.nonce()
    answer = caller.execute(f"print('{nonce}' + 'y' * 5_000_000)")
    require_fields(answer, success=True, exit_code=0, stdout_truncated=True)
    require(answer["stdout"] == (nonce + "y" * 5_000_000)[:4 * MB], "stdout is wrong")
    require_hit(answer, "output")


@paced(250)
def disk_bomb(caller):
    """A run that fills its workspace."""
    nonce = caller.nonce()
    answer = caller.execute(FULL % (nonce, "x"), timeout=20, limits={"workspace_mb": 8})
    require_fields(answer, success=True, stdout=f"{nonce}\nTrue\n", exit_code=0)
    require_hit(answer, "workspace")


@paced(250)
def inode_bomb(caller):
    """A run that makes more files than it may."""
    nonce = caller.nonce()
    answer = caller.execute(INODES % nonce, timeout=20, limits={"workspace_mb": 8})
    require_fields(answer, success=True, stdout=f"{nonce}\nTrue True\n", exit_code=0)


@paced(250)
def timeout_in_stream(caller):
    """A deadline in the middle of a stream of events."""
    nonce = caller.nonce()
    code = f"import time\nwhile True:\n    print('{nonce}', flush=True)\n    time.sleep(0.05)"
    answer = caller.call("POST", "/execute", {"code": code, "stream": True, "timeout": 1})
    events = events_of(answer.data)
    require(events[-1][0] == "result" and events[-1][1]["timed_out"], "no timeout")
    stdout = texts(events, "stdout")
    require(stdout == events[-1][1]["stdout"], "the events are not what the result says")
    require(stdout and (f"{nonce}\n" * 100).startswith(stdout), "stdout is wrong")
