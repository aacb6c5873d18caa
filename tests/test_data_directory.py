"""What a user of the host has prepared is not what root works with."""
import os
import signal
import subprocess

import pytest

from server import DIST
from spawner import WORKSPACE_CLOSE, WORKSPACE_MAKE, Spawner

SOMEBODY = 1000


def serve(data):
    """`dunlin serve` on this data directory, which must refuse it; its words."""
    ended = subprocess.run([DIST / "bin/dunlin", "serve", "--data", str(data)], text=True,
                           capture_output=True, timeout=30, check=False)
    assert ended.returncode != 0
    return ended.stderr


@pytest.mark.parametrize("owner, mode", ((SOMEBODY, 0o755), (0, 0o777), (0, 0o775)))
def test_a_data_directory_that_others_can_fill_is_refused(tmp_path, owner, mode):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    os.chown(data, owner, owner)
    assert "must belong to root" in serve(data)
    assert not list(data.iterdir())


def test_the_spawner_waits_for_its_children_also_when_its_starter_ignores_theirs():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        spawner = Spawner().start()
    finally:
        signal.signal(signal.SIGCHLD, before)
    with_workspace = spawner.ask(WORKSPACE_MAKE, layer=1, bytes=1 << 20)
    spawner.ask(WORKSPACE_CLOSE, layer=1)
    spawner.stop()
    subprocess.run(["rm", "-rf", spawner.data], check=True)
    assert with_workspace.error == 0, with_workspace.text
