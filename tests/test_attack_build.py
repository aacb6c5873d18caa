"""A setup script is hostile too: what it can reach, and what it cannot (R5)."""
import json
import textwrap

import pytest

import host
from client import unique_name, wait_until
from environments import create, delete, environment, log
from inside import PRELUDE
from server import ENVIRONMENT_CANARY

# Findings are printed on one line that starts with this word.
MARK = "FINDINGS "


def find(client, code, **fields):
    """Runs Python code as a setup script; returns what it reports by report()."""
    script = ("cat > /tmp/attack.py <<'ATTACK'\n" + PRELUDE + textwrap.dedent(code)
              + "\nprint('" + MARK + "' + json.dumps(found))\nATTACK\npython3 /tmp/attack.py\n")
    assert len(script) <= 10000, len(script)
    with environment(client, script, **fields) as name:
        line = next(line for line in log(client, name).splitlines() if MARK in line)
        return json.loads(line.split(MARK, 1)[1])


@pytest.mark.deadline(120)
def test_root_of_a_build_has_few_capabilities_and_no_way_to_more(client):
    """Root in a user namespace of its own, mapped to ids of nobody on the host."""
    found = find(client, """
        status = dict(l.split(":\\t", 1) for l in open("/proc/self/status").read().splitlines()
                      if ":\\t" in l)
        found = {"uid": os.getuid(), "eff": status["CapEff"], "bnd": status["CapBnd"],
                 "nnp": status["NoNewPrivs"], "seccomp": status["Seccomp"],
                 "map": open("/proc/self/uid_map").read().split()}
        """)
    assert found["uid"] == 0 and found["nnp"] == "1" and found["seccomp"] == "2"
    allowed = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31))
    for name in ("eff", "bnd"):
        assert int(found[name], 16) & ~allowed == 0, found[name]
    assert found["map"][0] == "0" and found["map"][2] == "65536"


@pytest.mark.deadline(120)
def test_a_build_can_call_nothing_dangerous(client):
    """Mounts, namespaces, tracing, keys, modules and the like are refused to root as to a run."""
    found = find(client, """
        found = {name: call(name, 0, 0, 0, 0, 0) for name in
                 ("mount umount2 pivot_root setns unshare ptrace keyctl add_key bpf io_uring_setup "
                  "perf_event_open init_module kexec_load open_by_handle_at fsopen move_mount "
                  "userfaultfd process_vm_readv swapon reboot settimeofday acct quotactl").split()
                 if name in NR and name not in ("unshare",)}
        found["userns"] = call("unshare", 0x10000000)
        found["netns"] = call("unshare", 0x40000000)
        found["mknod"] = attempt(os.mknod, "/dev/x", 0o020666, os.makedev(1, 1))
        found["raw"] = attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
        """)
    assert set(found.values()) <= {"EPERM", "ENOSYS", "EACCES", "EAFNOSUPPORT"}, found


@pytest.mark.deadline(120)
def test_a_build_sees_no_host_file_process_or_secret(client, server):
    """Nor init's memory, though init has the same uid."""
    found = find(client, f"""
        def listing(path):
            try:
                return sorted(os.listdir(path))
            except OSError as error:
                return [errno.errorcode[error.errno]]
        found = {{"pids": [p for p in listing("/proc") if p.isdigit()],
                 "environ": dict(os.environ),
                 "one": [read_file("/proc/1/" + f)[:60] for f in ("environ", "maps", "mem")],
                 "fd1": listing("/proc/1/fd"),
                 "canary": [p for p in ("/etc/shadow", "/proc/1/environ", "/proc/self/environ")
                            if {ENVIRONMENT_CANARY!r} in read_file(p)],
                 "root": listing("/"), "home": listing("/home"), "mine": listing("/root"),
                 "sys": listing("/sys"), "kill1": attempt(os.kill, 1, 9),
                 "sysrq": attempt(open, "/proc/sysrq-trigger", "w"),
                 "core": attempt(open, "/proc/sys/kernel/core_pattern", "w"),
                 "oom": attempt(lambda: open("/proc/self/oom_score_adj", "w").write("-1000")),
                 "fds": listing("/proc/self/fd")}}
        """)
    assert len(found["pids"]) <= 6, found["pids"]
    assert not found["canary"] and "DUNLIN_TEST_CANARY" not in found["environ"]
    assert all(text.startswith("<") for text in found["one"]), found["one"]
    assert found["fd1"] in (["EACCES"], ["EPERM"], ["ENOENT"]), found["fd1"]
    for name in ("sysrq", "core", "oom"):
        assert found[name] != "ok", name
    assert found["home"] == [] or found["home"] == ["ENOENT"]
    assert server.popen.poll() is None


@pytest.mark.deadline(120)
def test_files_of_a_build_are_plain_on_the_disk_and_never_setuid_in_runs(client):
    """Ids inside are ordinary; a set-user-id program of an environment gives a run nothing."""
    script = ("cp /usr/bin/id /opt/id && chmod 4755 /opt/id && cp /bin/cat /opt/cat && "
              "{ setcap cap_dac_override+ep /opt/cat || true; } 2>/dev/null; "
              "mkdir /opt/private && echo secret > /opt/private/x && chmod 700 /opt/private")
    with environment(client, script) as name:
        answer = client.run("""
            import subprocess, os
            print(subprocess.run(["/opt/id", "-u"], capture_output=True, text=True).stdout.strip())
            print(os.access("/opt/private/x", os.R_OK))
            print(subprocess.run(["/opt/cat", "/opt/private/x"], capture_output=True).returncode != 0)
            """, environment=name)
        assert answer["stdout"] == "1000\nFalse\nTrue\n", answer.text


@pytest.mark.deadline(180)
def test_links_of_an_image_lead_no_mount_of_ours_astray(client):
    """R32: /dev, /proc, /tmp, /opt/dunlin, /etc/resolv.conf made links, files or nothing."""
    script = textwrap.dedent("""
        rmdir /var/tmp; ln -s /etc /var/tmp
        rm -f /etc/resolv.conf 2>/dev/null; ln -sf /usr/bin/python3 /etc/hosts 2>/dev/null
        rmdir /srv; ln -s /proc /srv
        mv /opt /opt2 2>/dev/null && ln -s /etc /opt || true
        mkdir -p /sandbox2; ln -sfn /etc /run2
        echo done
        """)
    with environment(client, script) as name:
        answer = client.run("""
            import os
            open("made", "w").write("x")
            open("/tmp/made", "w").write("x")
            print(os.getcwd(), os.path.isdir("/proc/self"), os.path.exists("/dev/null"))
            print(sorted(os.listdir("/opt/dunlin"))[:1] != [])
            """, environment=name)
        assert answer["success"], answer.text
        assert answer["stdout"].startswith("/sandbox True True\nTrue"), answer.text


@pytest.mark.deadline(120)
def test_a_hostile_environment_reaches_no_other_one(client, server):
    """Its zygote may be hostile: a module that is imported ahead tries to get out."""
    script = textwrap.dedent("""
        d=$(python3 -c 'import site; print(site.getsitepackages()[0])'); mkdir -p $d
        cat > $d/evil.py <<'P'
        import os, socket
        found = []
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                for what in ("environ", "maps"):
                    try:
                        found.append((pid, what, len(open(f"/proc/{pid}/{what}").read())))
                    except OSError:
                        pass
        for path in ("/etc/x", "/opt/dunlin/x", "/x"):
            try:
                open(path, "w"); found.append(path)
            except OSError:
                pass
        # Its own sandboxes are its own; the builder, pid 1, and every file are not.
        FOUND = [f for f in found if not isinstance(f, tuple) or f[0] == "1"]
        NETS = os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else []
        CAPS = [l for l in open("/proc/self/status") if l.startswith("CapEff")]
        P
        """)
    with environment(client, script, warm=["evil"]) as name:
        answer = client.run("import evil; print(evil.FOUND, evil.NETS, evil.CAPS[0].split()[1])",
                            environment=name)
        assert answer["stdout"].strip() == "[] [] 0000000000000000", answer.text
        assert client.run("print('fine')")["stdout"] == "fine\n"


@pytest.mark.deadline(120)
def test_a_module_that_kills_the_zygote_leaves_the_environment_usable(client):
    """Runs then start without it, or cold; they never hang."""
    script = ("d=$(python3 -c 'import site; print(site.getsitepackages()[0])'); mkdir -p $d; "
              "echo 'import os; os._exit(3)' > $d/deadly.py; "
              "echo 'while True: pass' > $d/endless.py")
    with environment(client, script, warm=["deadly"]) as name:
        assert client.run("print('alive')", environment=name)["stdout"] == "alive\n"
    with environment(client, script, warm=["endless"]) as name:
        answer = client.run("print('alive')", environment=name, timeout=60)
        assert answer["stdout"] == "alive\n", answer.text


@pytest.mark.deadline(120)
def test_two_builds_side_by_side_share_no_id_on_the_host(make_server):
    """R15 for builds: root of each is another uid."""
    server = make_server(BUILD_CONCURRENCY=2)
    client = server.client()
    create(client)
    names = [unique_name("b") for _ in range(2)]
    marks = [unique_name("m") for _ in range(2)]
    for name, mark in zip(names, marks):
        client.post({"name": name, "setup_script": f"cp /usr/bin/sleep /usr/bin/{mark}; {mark} 3"},
                    path="/environments?wait=false")
    uids = [host.host_uid(wait_until(lambda m=mark: host.named(m), 30, "the build runs")[0].pid)[0]
            for mark in marks]
    assert uids[0] != uids[1] and all(uid >= 0x70010000 for uid in uids), uids
    for name in names:
        delete(client, name)
