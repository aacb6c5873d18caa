"""Attacks of a run on the processes around its sandbox, by way of what it has from its parent."""
import pytest

from inside import attack

CLONE_PARENT = 0x8000
SIGCHLD = 17


@pytest.mark.parametrize("status", [0, 42])
def test_a_run_cannot_give_a_child_to_the_nest(server, status):
    """R43: its parent waits outside the sandbox.  A sibling would be reaped there, and the nest takes
    the exit status 42 for a sandbox whose zygote is stuck."""
    before = server.zygote
    found = server.client().find(attack(f"""
        result = raw(NR["clone"], {CLONE_PARENT | SIGCHLD}, 0, 0, 0, 0)
        if result == 0:
            os._exit({status})
        report(result=result)
        """))
    assert found["result"] < 0
    assert server.client().run("print(1)")["isolation"]["warm"]
    assert server.zygote.key == before.key


@pytest.mark.parametrize("language", ["python", "shell"])
def test_no_open_file_is_shared_with_another_run(server, language):
    """R90: flags and the signal number of fcntl(2) belong to the open file, not to the descriptor.
    One that is handed down from a zygote would carry a message from run to run."""
    prefix = "python3 -c '" if language == "shell" else ""
    suffix = "'" if prefix else ""
    look = ("import fcntl as f, json; print(json.dumps([[f.fcntl(d, f.F_GETFL), f.fcntl(d, 11)]"
            " for d in (0, 1, 2)]))")
    leave = ("import fcntl as f, os; [(f.fcntl(d, f.F_SETFL, os.O_NONBLOCK | os.O_APPEND),"
             " f.fcntl(d, 10, 37)) for d in (0, 1, 2)]")
    client = server.client()
    pristine = client.find(prefix + look + suffix, language=language)
    for _ in range(4):
        assert client.run(prefix + leave + suffix, language=language)["success"]
        assert client.find(prefix + look + suffix, language=language) == pristine


def test_no_watch_on_shared_system_files(server):
    """R1, R90: inotify, dnotify and leases on the common copy would show what other runs open."""
    found = server.client().find(attack("""
        import fcntl
        fd = os.open("/usr/lib", os.O_RDONLY)
        def refused(command, argument):
            try:
                fcntl.fcntl(fd, command, argument)
            except OSError as error:
                return error.errno
            return 0
        watch = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
        report(inotify=watch, dnotify=refused(1026, 1), lease=refused(1024, 0),
               duplicate=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10), flags=fcntl.fcntl(fd, 3))
        """))
    assert found["inotify"] == -1 and found["dnotify"] and found["lease"]
    assert found["duplicate"] >= 10 and found["flags"] >= 0
