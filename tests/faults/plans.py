"""Which scenario is walked with which roles, settings and actions."""
import contextlib
from dataclasses import dataclass, field

from faults import network_scenario, scenarios
from faults import session_scenarios as sessions
from faults.walk import DIE, FAIL, HANG, SHORT, Walk

IN_A_RUN = ("spawner", "builder", "init", "zygote", "run")
IN_A_SESSION = ("spawner", "spawner child", "builder", "init", "init child")
EMPTY_POOL = {"POOL_MIN": "1", "POOL_MAX": "1"}


@dataclass
class Plan:
    """One scenario; make: makes it; env: settings of its server; around: makes a context for the whole
    walk."""

    make: object
    roles: tuple = IN_A_RUN
    actions: tuple = (FAIL, SHORT)
    env: dict = field(default_factory=dict)
    around: object = contextlib.nullcontext

    def walk(self, roles=None, data=None, dist=None, places=None, **options):
        """Yields the Rows, one for each role; data: a state directory to use, or None; dist: as Walk's;
        places: a bytearray of those that have failed, each of which fails once (None: each call does); options:
        of Walk.walk()."""
        options = {"actions": self.actions, **options}
        if places is not None and FAIL not in options["actions"]:
            return
        with self.around():
            walk = Walk("faults", self.env, data, dist)
            try:
                if places is not None:
                    walk.page.failed = bytes(places)
                walk.start()
                scenario = self.make()
                for role in roles or self.roles:
                    yield walk.walk(scenario, role, **options) if places is None else \
                        walk.walk_places(scenario, role, options["seconds"], options["say"])
                walk.stop()
            finally:
                if places is not None:
                    places[:] = walk.page.failed
                walk.close()


def says_timeout(answer):
    """The answer of a run that its deadline ended."""
    return answer["timed_out"] and not answer["success"]


def says_memory(answer):
    """The answer of a run that the memory limit ended."""
    return "memory" in answer["limits_hit"] and not answer["success"]


HOARD = "b = []\nwhile True:\n    b.append(bytearray(8 << 20))\n"
PLANS = {
    "hello": Plan(scenarios.Hello),
    "hello-empty-pool": Plan(scenarios.Hello, env=EMPTY_POOL),
    "cold": Plan(scenarios.Cold, roles=("spawner", "builder", "init", "init child"),
                 env=EMPTY_POOL),  # two of a pool that follows the demand would look like a leak
    "files": Plan(scenarios.Files),
    "timeout": Plan(lambda: scenarios.Ending("timeout", "while True: pass", says_timeout,
                                             timeout=1), roles=("spawner", "init", "zygote")),
    "memory": Plan(lambda: scenarios.Ending("memory", HOARD, says_memory, memory_limit="64m"),
                   roles=("spawner", "init", "zygote")),
    "session": Plan(lambda: sessions.InSession("session", sessions.create), roles=IN_A_SESSION),
    "sleep": Plan(lambda: sessions.InSession("sleep", sessions.sleep_and_wake),
                  roles=IN_A_SESSION),
    "grow": Plan(lambda: sessions.InSession("grow", sessions.grow),
                 roles=("spawner", "spawner child")),
    "copies": Plan(lambda: sessions.InSession("copies", sessions.copies), roles=IN_A_SESSION),
    "execute": Plan(lambda: sessions.InSession("execute", sessions.execute, durable=False,
                                               warm=True),
                    roles=("spawner", "builder", "init", "init child", "zygote", "run")),
    "session-locks": Plan(lambda: sessions.InSession("session-locks", sessions.locks,
                                                     durable=False, warm=True),
                          roles=("init child", "run")),
    "session-files": Plan(lambda: sessions.InSession("session-files", sessions.files),
                          roles=("init", "init child")),
    "watch": Plan(lambda: sessions.InSession("watch", sessions.watch, durable=False),
                  roles=("init", "init child")),
    "terminal": Plan(lambda: sessions.InSession("terminal", sessions.terminal, durable=False),
                     roles=("init", "init child")),
    "build": Plan(sessions.Build, roles=("spawner", "spawner child", "builder", "builder child",
                                         "init", "init child")),
    "nest": Plan(sessions.Nest, roles=("spawner", "spawner child", "builder", "builder child"),
                 env={"ENVIRONMENT_IDLE": str(sessions.Nest.IDLE)}),
    "network": Plan(network_scenario.Network, roles=("spawner", "spawner child"),
                    env=network_scenario.ENV, around=network_scenario.host),
    "start": Plan(scenarios.Start, roles=("spawner", "builder", "builder child")),
    "sweep": Plan(lambda: scenarios.Start(killed=True), roles=("spawner",)),
    "hung-spawner": Plan(scenarios.HungSpawner, roles=("spawner",), actions=(HANG,)),
    "hello-killed": Plan(scenarios.Hello, actions=(DIE,)),
    "hello-hung": Plan(lambda: scenarios.Hello(timeout=5), actions=(HANG,), roles=IN_A_RUN[1:]),
}
