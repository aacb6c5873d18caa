"""docs/attacks.md is what the headers of tests/attacks say, and names tests that exist."""
import pathlib
import subprocess

import attack_header

TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools" / "attack-table"


def test_the_table_is_up_to_date_and_its_tests_exist():
    done = subprocess.run([TOOL, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_attack_says_what_is_expected_of_it():
    attacks = attack_header.all_attacks()
    assert len(attacks) >= 60
    for one in attacks:
        assert one.expected() and one.places, one.name
        unknown = set(one.expected("unlocked")) - set(one.expected())
        assert not unknown, f"{one.name}: {unknown} is expected without the filter only"
