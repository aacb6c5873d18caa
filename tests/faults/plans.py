"""Which scenario is walked with which roles, settings and actions."""
from dataclasses import dataclass, field

from faults import scenarios
from faults.walk import DIE, FAIL, HANG, SHORT, Walk

IN_A_RUN = ("spawner", "builder", "init", "zygote", "run")
EMPTY_POOL = {"POOL_MIN": "0", "POOL_MAX": "1"}


@dataclass
class Plan:
    """One scenario; make: makes it; env: settings of its server."""

    make: object
    roles: tuple = IN_A_RUN
    actions: tuple = (FAIL, SHORT)
    env: dict = field(default_factory=dict)

    def walk(self, roles=None, every=1, seconds=None, say=None):
        """The Rows, one for each role."""
        scenario = self.make()
        walk = Walk("faults", self.env).start()
        try:
            rows = [walk.walk(scenario, role, self.actions, every, seconds, say)
                    for role in roles or self.roles]
            walk.stop()
        finally:
            walk.close()
        return rows


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
    "cold": Plan(scenarios.Cold, roles=("spawner", "builder", "init", "init child")),
    "files": Plan(scenarios.Files),
    "timeout": Plan(lambda: scenarios.Ending("timeout", "while True: pass", says_timeout,
                                             timeout=1), roles=("spawner", "init", "zygote")),
    "memory": Plan(lambda: scenarios.Ending("memory", HOARD, says_memory, memory_limit="64m"),
                   roles=("spawner", "init", "zygote")),
    "hello-killed": Plan(scenarios.Hello, actions=(DIE,)),
    "hello-hung": Plan(scenarios.Hello, actions=(HANG,), roles=IN_A_RUN[1:]),
}
