"""The compiler of the seccomp programs, build/src/enter/seccomp-compile, and what it refuses."""
import subprocess

import pytest

from drivers import DIST, built


def compile_to(*words):
    """Runs it; (exit status, stderr)."""
    ended = subprocess.run([built("src/enter/seccomp-compile"), *words], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("words", [(), ("run",), ("nobody", "/dev/null"), ("run", "/dev/null", "more")])
def test_unknown_profiles_and_words_are_refused(words):
    status, told = compile_to(*words)
    assert status == 2 and "usage" in told


@pytest.mark.parametrize("path", ["/proc/no/such/file", "/dev/full"])
def test_a_program_that_cannot_be_written_is_no_success(path):
    status, told = compile_to("run", path)
    assert status == 1 and told


@pytest.mark.parametrize("profile", ["run", "zygote", "child", "build", "tool"])
def test_the_same_profile_gives_the_program_that_is_installed(profile, tmp_path):
    assert compile_to(profile, tmp_path / profile) == (0, "")
    assert (tmp_path / profile).read_bytes() == (DIST / "share/dunlin/runtime" / f"{profile}.bpf").read_bytes()
