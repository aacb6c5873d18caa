"""What an environment tells of its packages (runtime/build/describe.py)."""

import ast
import compileall  # noqa: F401  (what describe imports late, where its path is another)
import json
import os
import pathlib
import subprocess
import sys
import time

SCRIPT = pathlib.Path(__file__).parents[2] / "runtime/build/describe.py"
sys.path.insert(0, str(SCRIPT.parent))

import describe  # noqa: E402


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_distributions_are_found_by_their_records(tmp_path):
    put(tmp_path / "One_x-1.dist-info/METADATA", "Metadata-Version: 2\nName: One.x\nVersion: 1\n\n")
    put(tmp_path / "two-2.egg-info/PKG-INFO", "Name: two\nVersion: 2\n")
    put(tmp_path / "three.egg-info", "Name: three\nVersion: 3\n")
    put(tmp_path / "bad.dist-info/METADATA", "no record\n")
    put(tmp_path / "late.dist-info/METADATA", "Name: late\n\nVersion: 9\n")
    os.symlink("/nowhere", tmp_path / "gone.egg-info")
    assert sorted(describe.pip([str(tmp_path), "/nowhere"])) == [
        ("One.x", "1"), ("late", ""), ("three", "3"), ("two", "2")]


def test_the_first_of_equal_names_counts(tmp_path):
    put(tmp_path / "a/x-2.dist-info/METADATA", "Name: x\nVersion: 2\n")
    put(tmp_path / "b/x-1.dist-info/METADATA", "Name: X\nVersion: 1\n")
    assert list(describe.pip([str(tmp_path / "a"), str(tmp_path / "b")])) == [("x", "2")]


def test_it_is_written_for_old_pythons_too():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_no_name_spoils_the_list(tmp_path, monkeypatch):
    put(tmp_path / "bad.dist-info/METADATA", "Name: x\nVersion: 1\n")
    monkeypatch.setattr(describe, "npm", lambda: [("half \ud800", "\udcff")])
    names = [one["name"] for one in describe.packages([str(tmp_path)])]
    assert "x" in names and "half ?" in names


def test_this_machine_is_described(tmp_path):
    subprocess.run([sys.executable, "-I", SCRIPT, tmp_path, str(int(time.time()))], check=True)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts == {"python": "%d.%d.%d" % sys.version_info[:3]}
    packages = json.loads((tmp_path / "packages.json").read_text())
    managers = {(one["manager"], one["name"]) for one in packages}
    assert ("dpkg", "dpkg") in managers and all(one["version"] for one in packages
                                                if one["manager"] == "dpkg")


def test_new_modules_are_compiled_and_others_are_left(tmp_path, monkeypatch):
    put(tmp_path / "old/__init__.py", "x = 1\n")
    time.sleep(0.02)
    started = time.time()
    time.sleep(0.02)
    put(tmp_path / "new/__init__.py", "x = 1\n")
    put(tmp_path / "new/deep/bad.py", "x = = 1\n")
    put(tmp_path / "single.py", "x = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    describe.compile_modules(started)
    assert len(list(tmp_path.glob("new/__pycache__/*.pyc"))) == 1
    assert len(list(tmp_path.glob("__pycache__/single.*.pyc"))) == 1
    assert not (tmp_path / "old/__pycache__").exists()
