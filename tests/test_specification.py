"""SPECIFICATION.md names commands that are there."""
import ast
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = (ROOT / "SPECIFICATION.md").read_text()


def functions(path):
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_test_that_the_specification_names_is_there():
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", TEXT)
    assert len(named) > 30
    for path, function in named:
        assert (ROOT / path).is_file(), path
        assert not function or function in functions(path), f"{path}::{function}"


def test_every_choice_by_name_chooses_something():
    chosen = re.findall(r'(tests/[\w/]+\.py) -k "?([\w ]+)"?`', TEXT)
    assert len(chosen) >= 4
    for path, words in chosen:
        names = functions(path) | {attack.stem for attack in (ROOT / "tests" / "attacks").iterdir()}
        assert any(word in name for name in names for word in words.split(" or ")), words


def test_every_other_command_of_the_specification_is_there():
    commands = re.findall(r"`((?:tools|bench|tests)/[\w/-]+)[ `]", TEXT)
    assert commands
    for command in set(commands) - {"tests/X"}:
        assert (ROOT / command).exists(), command


def test_the_promises_are_listed_each_by_an_id_of_its_own():
    ids = re.findall(r"^\| ([A-Z]\d+) \|", TEXT, re.M)
    assert len(ids) == len(set(ids)) > 20
    listed = subprocess.run([ROOT / "tools" / "prove"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ids
