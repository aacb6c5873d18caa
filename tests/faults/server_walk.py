"""Walks faults of the server itself through whole requests: see docs/reliability.md, "Faults".

Each scenario is a request, or a few, with what a right answer is.  It is run once to count the
server's external calls, and then once for each of them with that one made to fail.  A fault may cost
the request it hits: an honest error (5xx with a JSON body, or a connection that ends before the
answer is complete).  It may not cost anything else: no wrong answer, no hang, no descriptor, no byte
of memory, no other request, and not the server."""
import collections
import errno
import shutil
import subprocess
import threading
import time

import host
from faults.server_results import Row
from faults.server_scenarios import SCENARIOS, World
from faults.talk import KEY, Honest, Hung
from instrument import page as pages
from server import Server, state_directory

SETTLE_SECONDS = 15
END_SECONDS = 5  # within which a server that was killed is gone
HANG_SECONDS = 0.4  # for which it stands still
ACTIONS = {"fails": pages.FAIL, "dies": pages.DIE, "hangs": pages.HANG}
IO_ERRORS = {
    "open": (errno.EMFILE, errno.EIO), "open64": (errno.EMFILE, errno.EIO),
    "openat": (errno.EMFILE,), "openat64": (errno.EMFILE,),
    "read": (errno.EIO, errno.EINTR), "pread64": (errno.EIO,), "write": (errno.ENOSPC, errno.EINTR),
    "pwrite64": (errno.ENOSPC,), "send": (errno.ECONNRESET, errno.ENOBUFS), "recv": (errno.ECONNRESET,), "recvfrom": (errno.ECONNRESET,),
    "sendmsg": (errno.ENOBUFS, errno.EINTR, errno.EAGAIN),
    "recvmsg": (errno.ENOMEM, errno.EINTR, errno.EAGAIN), "writev": (errno.EPIPE, errno.EINTR),
    "accept4": (errno.EMFILE, errno.ECONNABORTED, errno.EINTR, errno.ENOMEM),
    "socketpair": (errno.EMFILE,), "pipe2": (errno.EMFILE,), "epoll_create1": (errno.EMFILE,),
    "epoll_ctl": (errno.ENOMEM,), "epoll_wait": (errno.EINTR,), "memfd_create": (errno.EMFILE,),
    "sqlite3_step": (10, 13, 7, 5), "sqlite3_exec": (10, 13, 7, 5), "sqlite3_prepare_v3": (7,),
    "uv_poll_init": (errno.ENOMEM,),
    "fcntl64": (errno.EMFILE,), "getrandom": (errno.ENOSYS,),
}
# Calls that have no way to fail where the server makes them, and why.
CANNOT_FAIL = {
    "clock_gettime": "the clocks are always there", "time": "the same",
    "uv_timer_init": "only sets fields", "uv_timer_start": "fails for closing handles only",
    "uv_idle_start": "only sets fields", "uv_queue_work": "fails without a function only",
    "uv_poll_start": "only sets fields; what the kernel refuses later ends the process",
    "sqlite3_bind_double": "a number in a place that exists", "sqlite3_bind_int": "the same",
    "sqlite3_bind_int64": "the same", "sqlite3_bind_null": "the same",
    "sqlite3_bind_text": "static text in a place that exists, nothing is copied",
    "fstat": "an open descriptor", "fstat64": "the same", "lseek": "the same", "lseek64": "the same",
}
# libmicrohttpd polls edge-triggered and takes a short answer for an empty socket, as epoll(7) lets it.
NEVER_SHORT = {"recv", "send"}
# jansson takes the reference also when it fails; a call that is not made does not.
TAKES_REFERENCE = {"json_object_set_new", "json_array_append_new"}
# Calls that cannot fail at these places, by function, or not with this error; the fault shows what
# would follow.
IMPOSSIBLE = {
    ("epoll_ctl", "MHD_cleanup_connections"): "EPOLL_CTL_DEL of a socket that is in the set",
    ("epoll_ctl", "internal_suspend_connection_"): "the same",
    ("fcntl64", "fd_set_nonblock"): "F_GETFL and F_SETFL of an open descriptor",
    ("read", "read_output"): "a pipe whose other end is gone has an end, no error",
    ("send", "put", errno.ECONNRESET): "the other end of a terminal that lives",
    ("shutdown", "file_call_finish"): "a socket that is connected",
    ("recv", "read_message"): "init has ended, and its session with it, which is told: 409",
}


def is_impossible(call, error, place):
    """Whether the call cannot fail so there; place: as pages.place has it."""
    function = place.split(" ")[0]
    return (call, function) in IMPOSSIBLE or (call, function, error) in IMPOSSIBLE


class Walk:
    """One instrumented server and what was found on it.

    data: a state directory that has the private copy of the system, or None for a new one; asan: the
    server is built with AddressSanitizer, and blocks of memory are not counted."""

    def __init__(self, data=None, asan=False, **settings):
        self.dist = pages.build(asan)
        self.own = data is None
        self.data = data or state_directory("faults")
        self.settings = {"POOL_MIN": "2", "POOL_MAX": "2", "DISK_RESERVE": "0", "API_KEYS": KEY,
                         "ASAN_OPTIONS": "detect_leaks=0:exitcode=99", **settings}
        self.page = None
        self.server = None
        self.world = None
        self.findings = collections.Counter()
        self.bugs = []
        self.tally = collections.Counter()
        self.places = {}
        self.growth = 0  # blocks that a run of the scenario leaves by design: ended programs are listed

    # -- life

    def __enter__(self):
        self.start()
        try:
            self.world = World(self.server)
        except BaseException:
            self.server.abandon()
            raise
        return self

    def __exit__(self, *_):
        self.end()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)

    def start(self):
        """A new server on the same data."""
        path = self.data.parent / (self.data.name + ".page")
        path.unlink(missing_ok=True)
        self.page = pages.Page(path)
        self.server = Server(self.data, {**self.settings, "DUNLIN_INSTRUMENT": self.page.path},
                             dist=self.dist)
        try:
            self.server.start()
        except BaseException:
            self.server.abandon()
            raise

    def end(self):
        """Ends the server, and what it has left."""
        try:
            self.page.disarm()
            if self.server.popen.poll() is None:
                self.world.finish()
                self.server.stop()
            self.server.assert_nothing_left()
        finally:
            self.server.abandon()
            self.page.close()

    # -- one fault

    def figures(self):
        """What must be the same after a fault as before: descriptors, blocks of memory."""
        return host.descriptor_count(self.server.pid), self.page.heap[0]

    def settled(self, wanted=None, seconds=SETTLE_SECONDS):
        """Waits until the figures stay the same for a while, and with `wanted` until they are no more
        than those; the last figures."""
        last, since = None, 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.figures()
            if wanted is not None and now[0] <= wanted[0] and now[1] <= wanted[1]:
                return now
            if now != last:
                last, since = now, time.monotonic()
            elif wanted is None and time.monotonic() - since > 0.6:
                return now
            time.sleep(0.01)
        return last

    def count(self, scenario):
        """How often the server makes each call in a run of the scenario that nothing disturbs, and
        the figures afterwards."""
        for _ in range(3):
            self.world.clean(scenario(self.world))
        earlier = figures = self.settled()
        before = self.page.calls("server")
        left = scenario(self.world)
        after = self.page.calls("server")
        self.world.clean(left)
        figures = tuple(map(max, figures, self.settled()))
        self.growth = figures[1] - earlier[1]
        return {call: n - before.get(call, 0) for call, n in after.items()
                if n > before.get(call, 0)}, figures

    def inject(self, name, scenario, figures, **plan):
        """One fault.  Returns the figures to compare the next with."""
        hits = self.page.hits
        self.page.arm("server", **plan)
        verify, outcome, wrong = None, "right", None
        wake = threading.Timer(HANG_SECONDS, self.page.disarm)
        if plan.get("action") == pages.HANG:
            wake.start()
        try:
            verify = scenario(self.world)
        except Honest:
            outcome = "honest"
        except (Hung, AssertionError, ValueError, KeyError, TypeError) as error:
            outcome, wrong = "wrong", f"{type(error).__name__}: {str(error)[:160]}"
        wake.cancel()
        self.page.disarm()
        if self.page.hits == hits:
            outcome = "not reached"
        self.tally[outcome] += 1
        where = self.where() if self.page.hits != hits else ""
        about = (name, plan["call"], plan.get("error", 0), plan.get("action", pages.FAIL), where)
        if wrong:
            self.found(about, wrong)
        return self.look_after(about, scenario, figures, verify)

    def where(self):
        """Which line the last fault was in."""
        hit = self.page.hit
        if hit.offset not in self.places:
            self.places[hit.offset] = pages.place(self.dist, hit)
        return self.places[hit.offset]

    def look_after(self, about, scenario, figures, verify):
        """After a fault: the server is there, what it acknowledged too, and nothing else."""
        try:
            if self.was_killed(about, verify) or self.dead(about):
                return self.figures_of_another(scenario)
            self.world.clean(verify)
            self.again(scenario)
        except (Honest, Hung, AssertionError, ValueError, KeyError, TypeError) as error:
            if not self.dead(about):
                self.found(about, f"afterwards: {type(error).__name__}: {str(error)[:160]}")
                self.restart()
            return self.figures_of_another(scenario)
        allowed = (figures[0], figures[1] + 2 * self.growth)
        now = self.settled(allowed)
        if self.dead(about):
            return self.figures_of_another(scenario)
        if self.is_more(about, now, allowed):
            # Sandboxes that are made ahead come and go; what was forgotten stays.
            self.again(scenario)
            now = self.settled(allowed)
        if self.is_more(about, now, allowed):
            self.found(about, f"left over: {now[0] - figures[0]} descriptors, "
                              f"{now[1] - figures[1]} blocks")
            return now
        return tuple(map(max, figures, now))

    def figures_of_another(self, scenario):
        """Of a server that has just been started: it has one environment more, and knows less."""
        for _ in range(2):
            self.again(scenario)
        return self.settled()

    def is_more(self, about, now, allowed):
        """Whether anything is left over."""
        return now[0] > allowed[0] or (now[1] > allowed[1] and about[1] not in TAKES_REFERENCE)

    def again(self, scenario):
        """The scenario as it is without faults; work under way may make it wait its turn."""
        for attempt in range(3):
            try:
                self.world.clean(scenario(self.world))
                return
            except Honest:
                if attempt == 2:
                    raise
                time.sleep(0.5)

    def was_killed(self, about, verify):
        """Whether that was the fault; then it has gone and left nothing, and another one knows what was
        acknowledged, and works."""
        if about[3] != pages.DIE or not about[4]:
            return False
        try:
            self.server.popen.wait(END_SECONDS)
            self.tally["ended by rule"] += 1
        except subprocess.TimeoutExpired:
            self.found(about, "the server has died, and its parts go on")
        self.restart(verify)
        return True

    def dead(self, about):
        """Whether the server has ended; then it is started anew."""
        try:
            self.server.popen.wait(0.01 if self.server.health() is not None else 3)
        except subprocess.TimeoutExpired:
            return False
        code, log = self.server.popen.returncode, self.server.log_text()
        if code == 1 and "spawner.gone" in log:
            self.tally["ended by rule"] += 1
        else:
            report = log.find("ERROR: AddressSanitizer")
            told = log[report:report + 4000] if report >= 0 else log.strip()[-160:]
            self.found(about, f"the server ended with {code}: {told}")
        self.restart()
        return True

    def restart(self, verify=None):
        """Another server, whatever became of this one; verify: insists on what that acknowledged."""
        if self.server.popen.poll() is None:
            self.server.abandon()
        else:
            self.server.all_gone(10)  # the spawner sees the server's end, and cleans up
            self.server.assert_nothing_left()
            self.server.abandon()
        self.page.close()
        self.start()
        if callable(verify):
            self.world.move(self.server)
            verify()
        self.world = World(self.server)

    def found(self, about, what):
        """A bug."""
        if is_impossible(about[1], about[2], about[4]):
            self.tally["impossible"] += 1
            return
        self.findings[(*about, what)] += 1
        self.bugs.append([*about[1:], what])
        print("BUG", *about, "--", what, flush=True)

    # -- many

    def walk(self, name, calls=None, every=1, limit=None, action="fails"):
        """All faults of a scenario, as a Row; every: only each so many-th; limit: of one call, at
        most; action: of ACTIONS."""
        scenario = SCENARIOS[name]
        before, bugs, start = self.tally.copy(), len(self.bugs), time.monotonic()
        seen, figures = self.count(scenario)
        for call, n in sorted(seen.items()):
            if calls and call not in calls:
                continue
            if action != "fails":
                for nth in range(1, min(n, limit or n) + 1, every):
                    figures = self.inject(name, scenario, figures, call=call, nth=nth,
                                          action=ACTIONS[action])
                continue
            if call in CANNOT_FAIL:
                continue
            for error in IO_ERRORS.get(call, (0,)):
                for nth in range(1, min(n, limit or n) + 1, every):
                    figures = self.inject(name, scenario, figures, call=call, nth=nth, error=error)
            if pages.KINDS[call] == "READS" and call not in NEVER_SHORT:
                for nth in range(1, min(n, limit or n) + 1, every):
                    figures = self.inject(name, scenario, figures, call=call, nth=nth,
                                          action=pages.SHORT)
        return Row(name, sum(seen.values()), dict(self.tally - before), self.bugs[bugs:], every,
                   limit, calls, int(time.monotonic() - start), action=action)
