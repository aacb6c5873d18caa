"""Builds with the real kernel: scripts as root in a sandbox, layers, limits, reuse, cancelling."""
import re
import textwrap
import threading
import time

import pytest

import host
from client import together, unique_name, wait_until
from environments import create, delete, environment, layers, log, wait_for
from server import HelloWatch
from slowness import stretched

TIME_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z ", re.M)


@pytest.mark.deadline(240)
def test_what_a_script_installs_is_there_in_runs_and_only_there(client):
    """The script writes as root; runs of this environment see it read-only, others never."""
    script = textwrap.dedent("""
        echo hello from $(id -u)
        mkdir -p /opt/tool && echo 42 > /opt/tool/answer
        python3 - <<'P'
        import sysconfig, pathlib
        place = pathlib.Path(sysconfig.get_path("purelib", "posix_prefix"))
        local = pathlib.Path("/usr/local/lib/python3.11/dist-packages")
        local.mkdir(parents=True, exist_ok=True)
        (local / "made_by_setup.py").write_text("VALUE = 7\\n")
        P
        """)
    with environment(client, script) as name:
        code = """
            import made_by_setup, os
            print(made_by_setup.VALUE, open('/opt/tool/answer').read().strip(), os.getuid())
            try:
                open('/opt/tool/answer', 'w')
            except OSError as error:
                print(error.errno)
            """
        answer = client.run(code, environment=name)
        assert answer["stdout"] == "7 42 1000\n30\n", answer.text
        assert answer["isolation"]["warm"]
        fresh = client.run(code, environment=name, fresh=True)
        assert fresh["stdout"] == answer["stdout"] and not fresh["isolation"]["warm"]
        assert not client.run("import made_by_setup")["success"]
        text = log(client, name)
        assert "hello from 0" in text
        assert all(TIME_STAMP.match(line) for line in text.splitlines()), text


@pytest.mark.deadline(120)
def test_a_failing_script_leaves_a_failed_record_with_its_last_words_and_no_layer(client, server):
    """Its exit status and last lines are in `error`; the name can be used again (complaint 10)."""
    name = unique_name("e")
    create(client).body  # the base layer is there
    before = layers(server.data)
    failed = create(client, "echo first; echo the reason >&2; exit 7", name=name, status="failed")
    assert "7" in failed["error"] and "the reason" in failed["error"]
    wait_until(lambda: layers(server.data) <= before, 5, "the failed layer is gone")
    answer = client.run("print(1)", environment=name)
    assert not answer["success"] and "不存在或未就绪" in answer["error"]
    assert create(client, "true", name=name)["status"] == "ready"
    delete(client, name)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("script, word", [
    ("sleep 1000", "BUILD_TIMEOUT"),
    ("head -c 900M /dev/zero > /big", "space"),
    (":; f() { f | f & }; f; wait; sleep 60", None),
    ("python3 -c 'x = bytearray(3 << 30)'", None),
    ("yes", "printed more than"),
])
def test_a_script_that_hangs_fills_or_forks_without_end_fails_and_hurts_nobody(
        make_server, script, word):
    """Limits of builds hold; hello world goes on meanwhile; space comes back."""
    seconds = 40 if script == "yes" else 8  # a busy machine takes its time to print so much
    server = make_server(BUILD_TIMEOUT=seconds, BUILD_DISK="256m", BUILD_MEMORY="256m",
                         BUILD_PROCESSES=64, BUILD_LOG_LIMIT="1m")
    client = server.client()
    create(client)
    before = layers(server.data)
    with HelloWatch(server) as watch:
        failed = create(client, script, status="failed")
    watch.check()
    assert word is None or word.lower() in failed["error"].lower(), failed["error"]
    assert len(log(client, failed["name"])) < 3 << 20
    wait_until(lambda: layers(server.data) <= before, 5, "disk space is back")


@pytest.mark.deadline(120)
def test_daemons_that_a_script_leaves_behind_die_with_the_build(client, server):
    """Nothing of a build lives on."""
    mark = unique_name("d")
    script = f"cp /usr/bin/sleep /usr/bin/{mark}; setsid /usr/bin/{mark} 1000 & sleep 0.2; echo ok"
    with environment(client, script):
        wait_until(lambda: not host.named(mark), 5, "the daemon is dead")


@pytest.mark.deadline(120)
def test_equal_input_reuses_the_layer_and_a_rebuild_does_not(client):
    """And says so in the log."""
    script = f"echo {unique_name()} > /stamp; date +%s%N > /when"
    with environment(client, script) as one, environment(client, script) as two:
        assert re.search("reus|same", log(client, two), re.I), log(client, two)
        when = "print(open('/when').read())"
        first = client.run(when, environment=one)["stdout"]
        assert client.run(when, environment=two)["stdout"] == first
        answer = client.request("POST", f"/environments/{two}/rebuild", params={"wait": "true"})
        assert answer.status == 200 and answer["status"] == "ready", answer.text
        assert client.run(when, environment=two)["stdout"] != first
        assert client.run(when, environment=one)["stdout"] == first


@pytest.mark.deadline(120)
def test_deleting_cancels_a_build_and_frees_its_layer(client, server):
    """At once; and a run in an environment that is being deleted ends properly."""
    create(client)
    before = layers(server.data)
    name = unique_name("e")
    answer = client.post({"name": name, "setup_script": "echo on; sleep 500"},
                         path="/environments?wait=false")
    assert answer["status"] == "building"
    wait_until(lambda: "on" in log(client, name), 30, "the script runs")
    start = time.monotonic()
    assert client.request("DELETE", f"/environments/{name}").body == {"message": f"环境 '{name}' 已删除"}
    assert time.monotonic() - start < stretched(2)
    assert client.get(f"/environments/{name}").status == 404
    wait_until(lambda: layers(server.data) <= before, 10, "the layer of the cancelled build is gone")

    with environment(client, f"echo {name} > /mine") as used:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.client().run(
            "import time; print('begun', flush=True); time.sleep(1.5); print(open('/mine').read())",
            environment=used)))
        thread.start()
        time.sleep(0.7)
        delete(client, used)
        thread.join()
        assert answers[0]["success"] and name in answers[0]["stdout"], answers[0].text
    wait_until(lambda: layers(server.data) <= before, 10, "and so is that of the deleted one")


@pytest.mark.deadline(180)
def test_builds_beyond_the_limit_are_queued_and_shown_so(make_server):
    """BUILD_CONCURRENCY at once, in order."""
    server = make_server(BUILD_CONCURRENCY=1)
    client = server.client()
    create(client)
    names = [unique_name("q") for _ in range(3)]
    for name in names:
        client.post({"name": name, "setup_script": f"sleep 1.5 # {name}"},
                    path="/environments?wait=false")
    seen = [client.get(f"/environments/{name}").body for name in names]
    assert [one["status"] for one in seen] == ["building"] * 3
    assert [one["queued"] for one in seen] == [False, True, True]
    assert [one["queue_place"] for one in seen[1:]] == [1, 2]
    built = [wait_for(client, name, lambda e: e["status"] != "building") for name in names]
    assert [one["status"] for one in built] == ["ready"] * 3
    assert sorted(one["built_at"] for one in built) == [one["built_at"] for one in built]


@pytest.mark.deadline(120)
def test_a_run_that_names_a_building_environment_waits_for_it(client):
    """Within its timeout; beyond, it is told so."""
    name = unique_name("e")
    client.post({"name": name, "setup_script": f"sleep 2; echo {name} > /x"},
                path="/environments?wait=false")
    early = client.run("print(1)", environment=name, timeout=1)
    assert not early["success"] and "未就绪" in early["error"]
    late = client.run("print(open('/x').read())", environment=name, timeout=30)
    assert late["stdout"].strip() == name
    delete(client, name)


@pytest.mark.deadline(120)
def test_the_base_is_a_debian_with_apt_pip_and_a_package_database(client):
    """What apt and pip need is there, and nothing private of the host is."""
    script = ("dpkg -l | grep -c ^ii; apt-get --version | head -1; pip --version; "
              "test ! -e /etc/shadow- ; ! grep -q '[$]' /etc/shadow; ls -A /root /home | wc -l")
    with environment(client, script) as name:
        packages = client.get(f"/environments/{name}/packages").body
        names = {one["name"] for one in packages["packages"]}
        assert {"python3", "apt", "dpkg"} <= names, sorted(names)[:50]
        assert packages["total"] == len(packages["packages"])


@pytest.mark.deadline(240)
def test_many_environments_at_once_stay_apart(make_server):
    """Each sees its own files only, warm and side by side; more than may be open at once."""
    server = make_server(ENVIRONMENTS_WARM=3)
    client = server.client()
    names = [create(client, f"echo {i} > /number")["name"] for i in range(6)]

    def ask(i):
        one = server.client()
        for _ in range(5):
            answer = one.run("print(open('/number').read())", environment=names[i])
            assert answer["stdout"].strip() == str(i), answer.text

    together([lambda i=i: ask(i) for i in range(6)])
    for name in names:
        delete(client, name)


@pytest.mark.deadline(120)
def test_warm_modules_of_an_environment_are_imported_ahead(client):
    """The list of the environment, changed by PATCH; learned ones come from its own runs."""
    with environment(client, "true", warm=["decimal"]) as name:
        code = "import sys; print('decimal' in sys.modules, 'fractions' in sys.modules)"
        assert client.run(code, environment=name)["stdout"] == "True False\n"
        answer = client.request("PATCH", f"/environments/{name}",
                                json={"warm": ["fractions"], "description": "changed"})
        assert answer.status == 200 and answer["description"] == "changed"
        wait_until(lambda: client.run(code, environment=name)["stdout"].endswith("True\n"), 20,
                   "the new list is warm")


@pytest.mark.deadline(120)
def test_records_survive_a_restart_and_layers_are_found_again(make_server):
    """Everything is there after SIGTERM and a new start, without building anew."""
    server = make_server()
    client = server.client()
    name = unique_name("e")
    made = create(client, f"echo {name} > /x", name=name, description="kept")
    server.stop()
    server.start()
    again = server.client()
    found = again.get(f"/environments/{name}").body
    assert {k: found[k] for k in ("status", "created_at", "description", "setup_script")} == \
        {k: made[k] for k in ("status", "created_at", "description", "setup_script")}
    assert again.run("print(open('/x').read())", environment=name)["stdout"].strip() == name
    delete(again, name)
