"""A fault walk over the server's own calls, in short: memory that is not there, in the middle of a
request.  The whole of it: tests/faults/run-server."""
import os

import pytest

from faults.life_walk import LifeWalk
from faults.server_walk import Walk

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(400)]
MEMORY = ("malloc", "calloc", "realloc", "strdup", "json_loadb", "json_pack")


def test_an_allocation_that_fails_costs_its_request_and_nothing_else(spare_directory):
    """Right or 503, never half an answer, no block of memory left, and the server goes on; without
    the memory for a question to the spawner it ends by rule, with a word, and heals."""
    with Walk(spare_directory) as walk:
        for name in ("health", "plain", "stream"):
            walk.walk(name, MEMORY)
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] > 20 and walk.tally["right"] > 20, walk.tally
        assert walk.tally["ended by rule"] <= 12, walk.tally


def test_a_connection_that_epoll_refuses_takes_its_upload_with_it(spare_directory):
    """libmicrohttpd lets go of it without a word; what was left of the request was used when its call
    on the session's files stood still for a minute, and ended the server."""
    with Walk(spare_directory) as walk:
        walk.walk("put_file", ("epoll_ctl",))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] > 0, walk.tally


def test_a_change_that_is_not_recorded_is_not_acknowledged(spare_directory):
    """I/O error, full disk, no memory, locked database; what the server says and what its database has
    are compared after each."""
    with Walk(spare_directory) as walk:
        walk.walk("session_record", ("sqlite3_step",))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] >= 12, walk.tally


def test_a_log_that_cannot_be_read_is_not_told_as_one_that_is_not_there(spare_directory):
    """It was 404, and events ended as if all had been sent."""
    with Walk(spare_directory) as walk:
        walk.walk("environment_reads", ("open", "open64", "openat", "openat64", "pread64"))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] > 4, walk.tally


def test_a_server_that_dies_or_stands_still_at_a_call_leaves_nothing_and_loses_nobody(spare_directory):
    """Who waits for one that stands still gets the right answer; the next one after a death works."""
    with Walk(spare_directory) as walk:
        walk.walk("plain", ("recv", "sendmsg", "recvmsg"), limit=2, action="dies")
        walk.walk("put_file", ("send", "sendmsg"), limit=2, action="dies")
        assert not walk.findings, walk.findings
        assert walk.tally["ended by rule"] >= 8, walk.tally
        walk.walk("plain", limit=1, action="hangs")
        assert not walk.findings, walk.findings
        assert walk.tally["right"] > 10, walk.tally


def test_a_key_that_cannot_be_checked_is_not_told_as_a_wrong_one(spare_directory):
    """Without memory for its SHA-256 it was 401."""
    with Walk(spare_directory) as walk:
        walk.walk("keys", ("gnutls_hash_fast",))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] == 4, walk.tally  # of five requests one has no key


def test_a_program_that_the_server_cannot_hear_is_refused(spare_directory):
    """It was 400, or a result with status 127, as if the command were wrong."""
    with Walk(spare_directory) as walk:
        for name in ("session_exec", "session_stream", "session_processes"):
            walk.walk(name, ("pipe2", "fchmod", "uv_poll_init"))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] >= 10, walk.tally


def test_a_start_that_fails_says_why_and_one_that_does_not_is_whole():
    """Without memory it died of SIGSEGV, came up deaf to SIGTERM, or ended with no reason."""
    with LifeWalk() as walk:
        row = walk.walk("start-up", calls=("strndup", "sqlite3_column_text", "uv_loop_init", "getrandom",
                                           "uv_signal_init", "uv_signal_start", "fcntl64"))
        assert not row.found, row.found
        assert row.told["honest"] >= 6, row.told


def test_a_file_that_cannot_be_passed_on_whole_is_no_file(spare_directory):
    """Without memory for the socket to init, the part that had been passed was taken for all of it."""
    with Walk(spare_directory) as walk:
        walk.walk("se", ("send",))
        assert not walk.findings, walk.findings
        assert walk.tally["honest"] >= 8, walk.tally
