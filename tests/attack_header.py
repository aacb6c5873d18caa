"""The hostile programs of tests/attacks and what their headers say.

A header is the first comment (or docstring) of a program: a title, an empty line, and then fields
`name: value`, whose further lines are indented:

    source: the CVE, paper, project or requirement (R-number) it is taken from
    tries:  what it does, in one sentence
    lock:   what stops it
    second: what would stop it if the first lock were off; "none" with the reason if nothing would
    where:  any of execute, fresh, session, durable, build
    expect: finding=RESULT pairs; RESULT may offer several, divided by |
    unlocked: the findings that differ when no seccomp program is in force (see test_two_locks.py)
    exit:   the exit code it ends with (default 0; minus a signal's number, several divided by |)
    limits: what limits_hit must name in the answer of /execute
    files:  the output files that may come back from /execute, divided by spaces
    never:  text that no output file may hold
    request: JSON of further fields of the request to /execute

A program tells what came of each attempt in lines `@ finding RESULT`.
"""
import pathlib
import re
from dataclasses import dataclass, field

FOLDER = pathlib.Path(__file__).resolve().parent / "attacks"
FIELDS = {"source", "tries", "lock", "second", "where", "expect", "unlocked", "exit", "limits",
          "files", "never", "request"}
PLACES = ("execute", "fresh", "session", "durable", "build")


@dataclass
class Attack:
    """One program; `fields` are its header's, with lines joined by one space."""

    path: pathlib.Path
    title: str
    fields: dict = field(default_factory=dict)

    @property
    def name(self):
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def language(self):
        """python, c or shell."""
        return {".py": "python", ".c": "c", ".sh": "shell"}[self.path.suffix]

    @property
    def places(self):
        """Where it is tried, in the order of PLACES."""
        return [place for place in PLACES if place in self.fields["where"].split()]

    def expected(self, name="expect"):
        """finding -> set of results that mean that it was stopped for the right reason."""
        pairs = (pair.split("=", 1) for pair in self.fields.get(name, "").split())
        return {finding: set(results.split("|")) for finding, results in pairs}


def comment_of(text, suffix):
    """The lines of the first comment, without what marks it as one."""
    if suffix == ".py":
        return re.match(r'"""(.*?)"""', text, re.DOTALL).group(1).splitlines()
    if suffix == ".c":
        inner = re.match(r"/\*(.*?)\*/", text, re.DOTALL).group(1)
        return [re.sub(r"^ \* ?", "", line) for line in inner.splitlines()]
    lines = []
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def read(path):
    """The Attack in a file; AssertionError if its header is incomplete or has an unknown field."""
    lines = [line.rstrip() for line in comment_of(path.read_text(), path.suffix)]
    one, last = Attack(path, lines[0].strip()), None
    assert lines[1] == "", f"{path.name}: a title stands alone"
    for line in lines[2:]:
        found = re.match(r"([a-z]+): *(.*)", line)
        if found:
            last = found.group(1)
            assert last in FIELDS, f"{path.name}: {last} is no field"
            one.fields[last] = found.group(2)
        elif line:
            one.fields[last] += " " + line.strip()
    missing = {"source", "tries", "lock", "second", "where"} - set(one.fields)
    assert not missing, f"{path.name}: the header lacks {missing}"
    assert set(one.fields["where"].split()) <= set(PLACES), path.name
    return one


def all_attacks():
    """Every program of the folder, by name."""
    return [read(path) for path in sorted(FOLDER.iterdir())
            if path.suffix in (".py", ".c", ".sh")]
