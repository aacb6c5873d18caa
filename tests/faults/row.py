"""What a walk came to: one Row for each scenario and role, kept as a file, and the table of them."""
import dataclasses
import datetime
import json
import pathlib
from dataclasses import dataclass, field

ACTIONS = {1: "fails", 2: "short", 3: "dies", 4: "hangs"}  # instrument.page


@dataclass
class Row:
    """What a walk of one scenario with one role came to.

    planned: faults that fit the calls seen; tried: those that the walk got to; injected: those whose
    call was made; places: different call sites among them, as [program, offset]; right, refused, ended: what the answers
    were; endings: the faults after which the server ended; memory: KiB before and after, by comm; bugs: texts, each with its fault."""

    scenario: str
    role: str
    actions: tuple = ()
    calls: int = 0
    planned: int = 0
    tried: int = 0
    injected: int = 0
    right: int = 0
    refused: int = 0
    ended: int = 0
    places: set = field(default_factory=set)
    bugs: list = field(default_factory=list)
    endings: list = field(default_factory=list)
    memory: dict = field(default_factory=dict)
    date: str = ""

    COLUMNS = ("scenario", "role", "calls", "planned", "tried", "injected", "places", "right",
               "refused", "ended", "bugs")

    def line(self):
        """The row as a line of a Markdown table."""
        values = [getattr(self, name) for name in self.COLUMNS]
        cells = [str(len(value) if isinstance(value, (set, list)) else value) for value in values]
        return f"| {' | '.join(cells)} |"

    @property
    def kinds(self):
        """The actions as words."""
        return ", ".join(ACTIONS[one] for one in self.actions)

    def save(self, folder):
        """Writes it into a file of its own in `folder`, in the place of an earlier one."""
        self.date = f"{datetime.datetime.now():%Y-%m-%d %H:%M}"
        words = [self.scenario, self.role.replace(" ", "-"), *(ACTIONS[one] for one in self.actions)]
        path = pathlib.Path(folder) / ("_".join(words) + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = dataclasses.asdict(self)
        fields["places"] = sorted(self.places)
        path.write_text(json.dumps(fields, indent=1), encoding="utf-8")


def load(folder):
    """The Rows that save() has left in `folder`."""
    rows = []
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["places"] = {tuple(one) for one in fields["places"]}
        fields["actions"] = tuple(fields["actions"])
        rows.append(Row(**fields))
    return rows


def table(rows):
    """Rows as a Markdown table.  ended: the server ended with a word in its log, and a new one
    healed."""
    head = [f"| {' | '.join(Row.COLUMNS)} |", "|---" * len(Row.COLUMNS) + "|"]
    return "\n".join([*head, *(row.line() for row in rows)])
