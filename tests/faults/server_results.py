"""Results of fault walks of the server: kept as JSON, one file a scenario, and shown as a table."""
import dataclasses
import datetime
import json
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- server walk: begin -->", "<!-- server walk: end -->"
OUTCOMES = ("right", "honest", "ended by rule", "impossible", "not reached")
COLUMNS = ("scenario", "calls", "faults", *OUTCOMES, "bugs")


@dataclasses.dataclass
class Row:
    """One scenario that was walked.

    calls: external calls of the server in one run; told: faults by outcome; found: what was wrong, as
    [call, errno, action, place, sentence]; every, limit, only: as given to the walk; seconds: wall
    time; date: when it ended; commit: of the source; action: what the calls do, fails, dies or hangs."""

    name: str
    calls: int
    told: dict
    found: list
    every: int = 1
    limit: int = None
    only: list = None
    seconds: int = 0
    date: str = dataclasses.field(
        default_factory=lambda: datetime.datetime.now().isoformat(" ", "minutes"))
    commit: str = dataclasses.field(default_factory=lambda: commit())
    action: str = "fails"

    def is_whole(self):
        """Whether no fault was left out."""
        return self.every == 1 and not self.limit and not self.only


def commit():
    """The source's commit, in short."""
    return subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty"], check=True,
                          capture_output=True, text=True).stdout.strip()


def head():
    """The first two lines of the table."""
    return f"| {' | '.join(COLUMNS)} |\n|---{'|---:' * (len(COLUMNS) - 1)}|"


def line(row):
    """A row of the table.  A fault that ended the server by rule is counted by that alone."""
    told = [row.told.get(kind, 0) for kind in OUTCOMES]
    kind = row.name if row.action == "fails" else f"{row.name}, {row.action}"
    kind += "" if row.is_whole() else " (part)"
    faults = sum(row.told.get(one, 0) for one in ("right", "honest", "wrong", "not reached"))
    return f"| {' | '.join(map(str, (kind, row.calls, faults, *told, len(row.found))))} |"


def keep(folder, row):
    """Writes the result into `folder`, in the place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{row.name}_{row.action}.json").write_text(json.dumps(dataclasses.asdict(row), indent=1) + "\n")


def write_table(folder):
    """Puts the table of all results in `folder` into the document."""
    rows = [Row(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join([head(), *map(line, rows)])
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
