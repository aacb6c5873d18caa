"""Kinds of the soak: runs that do what runs do, and requests that are refused."""
from caller import decode, encode, events_of, require, require_fields, texts
from mix import loop, paced

PANDAS = """
import pandas as pd
t = pd.DataFrame({'k': [i % 7 for i in range(500)], 'v': [i * %d for i in range(500)]})
print('%s', t.groupby('k').v.sum().tolist())
"""
FILES = """
import os
for name in sorted(os.listdir('in')):
    data = open('in/' + name, 'rb').read()
    open('out-' + name, 'wb').write(data[::-1])
print('%s')
"""
# Nothing of any earlier run may be there: each leaves what it can, and looks first.
TRACES = """
import builtins, glob, os
assert not hasattr(builtins, 'trace') and 'TRACE' not in os.environ
found = [p for d in ('.', '/tmp', '/dev/shm', '/var/tmp') for p in glob.glob(d + '/trace-*')]
pids = [p for p in os.listdir('/proc') if p.isdigit()]
for d in ('.', '/tmp', '/dev/shm'):
    open(d + '/trace-%(nonce)s', 'w').close()
import ctypes
if ctypes.CDLL(None).shmget(0x5eed, 4096, 0o666) != -1:
    found.append('shared memory')
ctypes.CDLL(None).shmget(0x5eed, 4096, 0o1666)
os.environ['TRACE'] = builtins.trace = '%(nonce)s'
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(100)
print(found, len(pids) < 6, '%(nonce)s')
"""
STREAM = """
import sys
for i in range(20):
    print('%(nonce)s', i, flush=True)
    print(i, file=sys.stderr, flush=True)
"""
NODE = """
const text = require('fs').readFileSync(0, 'utf8');
console.log(text.split('').reverse().join(''));
"""


def succeeded(answer, stdout, **fields):
    """A run that went well and printed this."""
    require_fields(answer, success=True, stdout=stdout, stderr="", exit_code=0, error=None,
                   signal=None, timed_out=False, limits_hit=[], skipped_files=[], **fields)


@loop(400)
def hello(caller):
    """The smallest run."""
    nonce = caller.nonce()
    succeeded(caller.execute(f"print('{nonce}')"), nonce + "\n", files={}, language="python")


@loop(60)
def compute(caller):
    """Standard input, arguments and environment in, a sum out."""
    nonce, a, b, c = caller.nonce(), *(caller.rng.randrange(10**9) for _ in range(3))
    code = ("import os, sys\n"
            "print(os.environ['N'], sum(map(int, sys.argv[1:])) + int(sys.stdin.read()))")
    answer = caller.execute(code, stdin=str(a), args=[str(b), str(c)], env={"N": nonce})
    succeeded(answer, f"{nonce} {a + b + c}\n", files={})


@loop(60)
def pandas(caller):
    """A table, with pandas imported ahead."""
    nonce, factor = caller.nonce(), caller.rng.randrange(1, 10**6)
    sums = [sum(i * factor for i in range(k, 500, 7)) for k in range(7)]
    answer = caller.execute(PANDAS.replace("%d", str(factor)).replace("%s", nonce))
    succeeded(answer, f"{nonce} {sums}\n")


@loop(60)
def files(caller):
    """Up to three files in, reversed ones out."""
    number = caller.rng.randrange(1, 4)
    exchange_files(caller, [caller.rng.randrange(20_000) for _ in range(number)])


@loop(4)
def files_big(caller):
    """A file of up to 2 MB in and out: decoded on the server's worker threads."""
    exchange_files(caller, [caller.rng.randrange(500_000, 2_000_000)])


def exchange_files(caller, sizes):
    """Sends files of these sizes and gets each reversed."""
    nonce = caller.nonce()
    sent = {f"{nonce}{i}": caller.rng.randbytes(size) for i, size in enumerate(sizes)}
    answer = caller.execute(FILES % nonce, files_mode="changed",
                            files={"in/" + name: encode(data) for name, data in sent.items()})
    succeeded(answer, nonce + "\n")
    got = {name: decode(text) for name, text in answer["files"].items()}
    wanted = {"out-" + name: data[::-1] for name, data in sent.items()}
    require(got.keys() == wanted.keys(), f"files {sorted(got)}, not {sorted(wanted)}")
    require(got == wanted, "the contents of a file are wrong")


@loop(40)
def traces(caller):
    """What a run leaves behind is not there for the next."""
    nonce = caller.nonce()
    answer = caller.execute(TRACES % {"nonce": nonce})
    succeeded(answer, f"[] True {nonce}\n")


@loop(50)
def exception(caller):
    """An uncaught exception."""
    nonce = caller.nonce()
    answer = caller.execute(f"print('before')\nraise ValueError('{nonce}')")
    require_fields(answer, success=False, stdout="before\n", exit_code=1, signal=None,
                   limits_hit=[], error=f"代码执行失败，退出码: 1 (ValueError: {nonce})")
    require(answer["stderr"].endswith(f"ValueError: {nonce}\n"), "no traceback")


@loop(30)
def syntax_error(caller):
    """Code that is none."""
    nonce = caller.nonce()
    answer = caller.execute(f"print('{nonce}'")
    require_fields(answer, success=False, stdout="", exit_code=1, limits_hit=[])
    require(nonce in answer["stderr"] and "SyntaxError" in answer["stderr"], "no traceback")


@loop(30)
def exit_code(caller):
    """An exit status of its own."""
    nonce, status = caller.nonce(), caller.rng.randrange(1, 256)
    answer = caller.execute(f"import sys\nprint('{nonce}')\nsys.exit({status})")
    require_fields(answer, success=False, stdout=nonce + "\n", exit_code=status, signal=None,
                   limits_hit=[], error=f"代码执行失败，退出码: {status}")


@loop(20)
def signal_death(caller):
    """A signal that ends the run."""
    nonce, number = caller.nonce(), caller.rng.choice((6, 9, 11, 15))
    code = f"import os\nprint('{nonce}', flush=True)\nos.kill(os.getpid(), {number})"
    answer = caller.execute(code)
    require_fields(answer, success=False, stdout=nonce + "\n", exit_code=-number, signal=number,
                   timed_out=False)


@loop(40)
def bad_request(caller):
    """A request that is refused, in one of many ways."""
    nonce = caller.nonce()
    way = caller.rng.randrange(8)
    if way == 0:
        caller.call("POST", "/execute", f'{{"code": "{nonce}"'.encode(), 422,
                    {"Content-Type": "application/json"})
    elif way == 1:
        caller.call("POST", "/execute", {"timeout": 3}, 422)
    elif way == 2:
        caller.execute(" \n ", status=400)
    elif way == 3:
        caller.execute("1", timeout=301, status=(400, 422))
    elif way == 4:
        caller.execute("1", limits={"memory_mb": 10**6}, status=422)
    elif way == 5:
        caller.call("GET", f"/{nonce}", status=404)
    elif way == 6:
        caller.call("DELETE", "/execute", status=405)
    else:
        caller.call("GET", f"/v1/sessions/{nonce}", status=404)


@loop(20)
def refused_run(caller):
    """A run that cannot be started: 200 with an error, nothing executed."""
    nonce = caller.nonce()
    way = caller.rng.choice([{"files": {"../" + nonce: ""}}, {"files": {nonce: "%"}},
                             {"environment": nonce}])
    answer = caller.execute("print(1)", **way)
    require_fields(answer, success=False, stdout="", exit_code=None, files={})
    require(nonce in answer["error"], "the error does not name it")


@loop(40)
def shell(caller):
    """A shell, started for this run."""
    nonce = caller.nonce()
    answer = caller.execute("cat | tr a-z A-Z; echo \"$1\" | cut -c2-", language="shell",
                            stdin=nonce, args=[nonce])
    succeeded(answer, f"{nonce.upper()}{nonce[1:]}\n")


@paced(1200)
def node(caller):
    """node, started for this run."""
    nonce = caller.nonce()
    succeeded(caller.execute(NODE, language="javascript", stdin=nonce), nonce[::-1] + "\n")


@paced(300)
def fresh(caller):
    """An interpreter started for this run."""
    nonce = caller.nonce()
    succeeded(caller.execute(f"print('{nonce}')", fresh=True), nonce + "\n")


@loop(30)
def stream(caller):
    """Events; what they carried is what the result says."""
    nonce = caller.nonce()
    answer = caller.call("POST", "/execute", {"code": STREAM % {"nonce": nonce}},
                         headers={"Accept": "text/event-stream"})
    events = events_of(answer.data)
    require(events[0][0] == "start" and events[-1][0] == "result", "not from start to result")
    result = events[-1][1]
    wanted = "".join(f"{nonce} {i}\n" for i in range(20))
    require(texts(events, "stdout") == wanted == result["stdout"], "stdout is wrong")
    numbers = "".join(f"{i}\n" for i in range(20))
    require(texts(events, "stderr") == numbers == result["stderr"], "stderr is wrong")
    require(result["success"], "no success")


@loop(20)
def policy_check(caller):
    """The static policy."""
    nonce, bad = caller.nonce(), caller.rng.random() < 0.5
    code = f"import os  # {nonce}" if bad else f"print('{nonce}')"
    answer = caller.call("POST", "/policy/check", {"code": code, "level": "strict"})
    require_fields(answer, safe=not bad)


@loop(20)
def health(caller):
    """Health, version, and the description."""
    require_fields(caller.call("GET", "/health"), status="healthy")
    caller.call("GET", "/version")


@paced(120)
def description(caller):
    """The big static answers."""
    require(caller.call("GET", "/openapi.json")["openapi"].startswith("3"), "not OpenAPI 3")
    caller.call("GET", "/docs")
