"""Attacks through files: what the collector of output files must survive (R30-R37)."""
import base64
import os
import pathlib
import signal
import threading

import pytest

import host
from client import unique_name, wait_until
from inside import attack
from slowness import stretched

MB = 1 << 20


def test_no_link_makes_the_collector_return_what_the_code_may_not_read(client):
    """R30, R34: links to files, to directories, through /proc, in place of inputs."""
    answer = client.run("""
        import os
        for name, target in {"shadow": "/etc/shadow", "root": "/proc/1/root/etc/passwd",
                             "environ": "/proc/1/environ", "mem": "/proc/self/mem",
                             "loop": "loop", "up": "../../../../etc/hostname",
                             "fd": "/proc/self/fd/0", "zero": "/dev/zero"}.items():
            os.symlink(target, name)
        os.unlink("in.txt")
        os.symlink("/etc/passwd", "in.txt")
        os.unlink("main.py")
        os.symlink("/etc/passwd", "main.py")
        """, files={"in.txt": base64.b64encode(b"in").decode()})
    assert answer["success"] and answer["files"] == {}
    assert {"shadow", "loop", "zero", "in.txt"} <= answer.skipped.keys()
    assert answer.seconds < stretched(2)


def test_a_hard_link_can_only_be_made_to_own_files(client):
    """R30"""
    found = client.find(attack("""
        report(passwd=attempt(os.link, "/etc/passwd", "hard"),
               python=attempt(os.link, "/usr/bin/python3", "hard2"),
               proc=attempt(os.link, "/proc/1/environ", "hard3"))
        """))
    assert "ok" not in found.values()


def test_pipes_sockets_and_devices_never_block_the_collector(client):
    """R34, defect 4 of the predecessor"""
    answer = client.run("""
        import os, socket
        for i in range(50):
            os.mkfifo(f"fifo{i}")
        holder = os.open("fifo0", os.O_RDWR)
        socket.socket(socket.AF_UNIX).bind("s")
        open("good", "w").write("good")
        """)
    assert answer["files"].keys() == {"good"}
    assert answer.seconds < stretched(2)
    assert client.get("/health").status == 200


def test_files_are_collected_only_when_every_process_is_dead(client):
    """R34, R40: a child that goes on writing cannot change a file under the collector."""
    answer = client.run("""
        import os, time
        if os.fork() == 0:
            os.setsid()
            n = 0
            while True:
                n += 1
                with open("swap.new", "w") as f:
                    f.write("a" * 4096)
                try:
                    os.unlink("swap")
                except OSError:
                    pass
                (os.rename if n % 2 else os.symlink)(*(("swap.new", "swap") if n % 2
                                                       else ("/etc/passwd", "swap")))
        time.sleep(0.2)
        open("done", "w").write("done")
        """)
    assert answer["success"] and "done" in answer["files"]
    data = base64.b64decode(answer["files"].get("swap", ""))
    assert data in (b"", b"a" * 4096)


def test_names_that_are_not_utf8_are_reported_and_lose_no_other_file(client):
    """R35"""
    answer = client.run(r"""
        import os
        for name in (b"\xff\xfe", b"ok\x80", b"\xed\xa0\x80", b"\xc0\xaf"):
            open(name, "w").write("x")
        open("good", "w").write("good")
        """)
    assert answer["files"].keys() == {"good"}
    assert len(answer["skipped_files"]) == 4
    assert all(entry["reason"] for entry in answer["skipped_files"])


def test_names_are_data(client):
    """R35: quotes, new lines, markup, shell words, bidi marks."""
    names = ["a\nb", 'q"uote', "<script>alert(1)<.script>", "$(id)", "-rf", "`id`", "a\\b",
             " ", "\t", "\x7f", "\u202eexe", "%00", "..x", "...", "~", "*", "nul", "é" * 127]
    answer = client.run(f"for n in {names!r}: open(n, 'w').write(n)")
    got = {name: base64.b64decode(data).decode() for name, data in answer["files"].items()}
    assert got == {name: name for name in names}


def test_a_deep_or_wide_tree_does_not_stop_the_collector(client):
    """R34: bounded depth, count and time."""
    answer = client.run("""
        import os
        for i in range(200):
            os.mkdir("d"); os.chdir("d")
            open("leaf", "w").write("x")
        os.chdir("/sandbox")
        for i in range(3000):
            os.mkdir(f"w{i}")
        """, files_mode="changed")
    assert answer["success"], answer["stderr"]
    assert answer.seconds < stretched(3)
    assert len(answer["files"]) <= 20 and answer["skipped_files"]


def test_a_sparse_file_of_a_terabyte_counts_by_its_size(client):
    """R34, R53"""
    found = client.run(attack("""
        import signal
        results = [attempt(os.truncate, "small", 5)] if not open("small", "w").close() else []
        results.append(attempt(os.truncate, "small", 1 << 40))
        report(results=results)
        """))
    assert found.seconds < stretched(3)
    assert sum(len(data) for data in found["files"].values()) < MB
    assert client.run("print(1)")["success"]


def test_a_sparse_file_below_the_workspace_limit_is_not_returned_as_zeros(client):
    """R34: a file above MAX_FILE_SIZE is skipped by its size, not by its blocks."""
    answer = client.run("open('sparse', 'wb').truncate(60 << 20)")
    assert "sparse" not in answer["files"] and "sparse" in answer.skipped


def test_the_total_of_all_files_is_bounded(client):
    """R34"""
    answer = client.run("""
        import os
        for i in range(9):
            open(f"f{i}", "wb").write(os.urandom(1 << 20) * 9)
        """, limits={"workspace_mb": 200})
    total = sum(len(base64.b64decode(data)) for data in answer["files"].values())
    assert total <= 64 * MB
    assert answer.skipped and "files" in answer["limits_hit"]


def test_a_workspace_without_permissions_is_still_collected_or_reported(client):
    """R34"""
    for mode in (0, 0o111, 0o444):
        answer = client.run(f"""
            import os
            open("secret", "w").write("x"); os.chmod("secret", 0)
            open("plain", "w").write("y")
            os.mkdir("shut"); os.chmod("shut", 0)
            os.chmod(".", {mode})
            """)
        assert answer["success"] and answer.seconds < stretched(2)
        assert client.run("print(1)")["success"]


def test_the_workspace_can_be_emptied_moved_and_replaced(client):
    """R34: nothing the code does to its own directory hurts anybody else."""
    answer = client.run("""
        import os, shutil
        for name in os.listdir("."):
            os.unlink(name)
        for step in (lambda: os.rename("/sandbox", "/tmp/moved"), lambda: os.rmdir("/sandbox"),
                     lambda: os.symlink("/etc", "/sandbox/x")):
            try:
                step()
            except OSError as error:
                print(error.errno)
        """)
    assert answer["success"] and answer["files"] == {}


@pytest.mark.parametrize("name", [
    "../../../tmp/{mark}", "/tmp/{mark}", "a/../../{mark}", "./../{mark}", "..\\{mark}", "/{mark}"])
def test_no_input_name_writes_outside_the_workspace(client, name):
    """R36"""
    mark = unique_name("dunlin-test-")
    answer = client.post({"code": "print('ran')", "files": {name.format(mark=mark): "eA=="}})
    assert answer.status in (400, 422) or (answer["success"] is False and answer["stdout"] == "")
    assert not [place for place in ("/", "/tmp", "/var/tmp") if mark in os.listdir(place)]


def test_an_input_cannot_be_written_through_an_earlier_input(client):
    """R36: names that meet as file and directory, or name the code's own file by another way."""
    for files in ({"main.py/x": "eA=="}, {"a": "eA==", "a/b/c": "eA=="},
                  {"__pycache__": "eA==", "main.pyc": "eA=="}):
        answer = client.post({"code": "print('ran')", "files": files})
        assert answer.status in (200, 400, 422)
        if answer.status == 200 and not answer["success"]:
            assert answer["stdout"] == ""
    assert client.run("print(1)")["success"]


def test_a_thousand_input_files_are_accepted_and_more_refused(client):
    """R36"""
    files = {f"f{i}": "eA==" for i in range(1000)}
    answer = client.run("import os; print(len(os.listdir('.')))", files=files,
                        files_mode="changed")
    assert answer["stdout"] in ("1000\n", "1001\n")
    answer = client.post({"code": "print('ran')", "files": {**files, "one-more": "eA=="}})
    assert answer.status in (400, 422) or answer["success"] is False


def test_base64_is_strict_before_anything_runs(client):
    """R37"""
    for data in ("====", "A", "AB=C", "QUJD\x00", "Q U J =", "-_8="):
        answer = client.post({"code": "print('ran')", "files": {"f": data}})
        assert answer.status == 422 or (answer["success"] is False and answer["stdout"] == "")


def bytes_written_by(one):
    """What a process has written so far, to sockets too (proc_pid_io(5))."""
    text = pathlib.Path(f"/proc/{one.pid}/io").read_text()
    return int(dict(line.split(": ") for line in text.splitlines())["wchar"])


def test_files_that_are_not_collected_in_time_are_not_returned_in_part(server):
    """R34: init stands still in the middle of a file."""
    told, name = [], unique_name()

    def run():
        told.append(server.client().run("""
            import time
            for i in range(6):
                with open(f"{i}.bin", "wb") as f:
                    f.write(bytes([i]) * (9 << 20))
            import ctypes
            ctypes.CDLL(None).prctl(15, b"written", 0, 0, 0)
            time.sleep(30)
            """.replace("written", name), limits={"cpu": 0.1}))

    thread = threading.Thread(target=run)
    thread.start()
    one = wait_until(lambda: host.named(name), 20, "the run has written its files")[0]
    init = next(each for each in server.children("dunlin-init")
                if host.namespace(each.pid, "pid") == host.namespace(one.pid, "pid"))
    host.kill(one)
    wait_until(lambda: bytes_written_by(init) > MB, 10, "the first file is on its way")
    host.kill(init, signal.SIGSTOP)
    thread.join()
    answer = told[0]
    sizes = {name: len(base64.b64decode(data)) for name, data in answer["files"].items()}
    assert set(sizes.values()) <= {9 * MB}
    assert "files" in answer["limits_hit"] and "incomplete" in answer.skipped.values()
