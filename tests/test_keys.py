"""Keys: who may call what, and that the server never listens to strangers by accident (R96)."""
import subprocess

import pytest

from server import DUNLIN, clean_environment, dunlin, free_port

FIRST, SECOND, FILED = "key-one-8d1f", "key-two-77aa", "key-from-a-file-31c9"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """A file with one key on a line, a comment-free format with a blank line."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"{FILED}\n\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def guarded(make_server, key_file):
    """A server with two keys in a setting and one in a file."""
    return make_server(API_KEYS=f"{FIRST},{SECOND}", API_KEY_FILE=key_file)


def test_keys_guard_everything_but_health_and_the_docs(guarded):
    stranger = guarded.client()
    for path in ("/health", "/docs", "/redoc"):
        assert stranger.get(path).status == 200, path
    body = {"code": "print(1)"}
    wrong = ({}, {"Authorization": "Bearer nope"}, {"Authorization": f"Bearer {FIRST}x"},
             {"Authorization": f"Bearer {FIRST[:-1]}"}, {"Authorization": f"Basic {FIRST}"},
             {"Authorization": FIRST}, {"Authorization": "Bearer "}, {"X-Api-Key": ""},
             {"X-Api-Key": f"{FIRST},{SECOND}"}, {"X-Api-Key": FIRST.upper()},
             {"Authorization": f"Bearer {FIRST}\t x"}, {"Cookie": f"key={FIRST}"})
    for headers in wrong:
        answer = stranger.post(body, headers=headers)
        assert answer.status == 401, headers
        assert answer["detail"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("/policy/check", "/execute"):
        assert stranger.post({}, path=path).status == 401, path
    assert stranger.get(f"/version?key={FIRST}").status == 401

    for key in (FIRST, SECOND, FILED):
        for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"},
                        {"X-Api-Key": key}):
            answer = stranger.post(body, headers=headers)
            assert (answer.status, answer["stdout"]) == (200, "1\n"), headers

    preflight = stranger.request("OPTIONS", "/execute", headers={
        "Origin": "http://a.example", "Access-Control-Request-Method": "POST"})
    assert preflight.status == 200


def test_keys_are_neither_logged_nor_kept_nor_shown_inside(guarded):
    one = guarded.client(FIRST)
    found = one.find("""
        import json, os
        print(json.dumps(sorted(os.environ.items())))
        """)
    guarded.client("key-wrong-5150").get("/version")
    assert FIRST not in str(found)
    log = guarded.log_text()
    assert not [key for key in (FIRST, SECOND, FILED, "key-wrong-5150") if key in log]
    kept = subprocess.run(["grep", "-rl", "--exclude-dir=store", FIRST, guarded.data],
                          capture_output=True, text=True, check=False).stdout
    assert kept == ""


def test_the_server_refuses_to_listen_beyond_loopback_without_keys(spare_directory):
    for address in ("0.0.0.0", "::", "127.0.0.1,0.0.0.0"):
        ended = dunlin("serve", "--host", address, "--port", free_port(), "--data",
                       spare_directory, seconds=20)
        assert ended.returncode != 0, address
        assert "--allow-anonymous" in ended.stderr, ended.stderr


@pytest.mark.parametrize("settings", [{"API_KEYS": FIRST}, {"ALLOW_ANONYMOUS": "true"}])
def test_the_server_listens_beyond_loopback_with_keys_or_when_told_to(make_server, settings):
    one = make_server(args=["--host", "0.0.0.0"], **settings)
    answer = one.client(FIRST).run("print(1)")
    assert answer["stdout"] == "1\n"


def test_there_is_no_default_key(make_server):
    one = make_server(API_KEYS="")
    assert one.client().run("print(1)")["success"]


def test_help_does_not_need_a_key():
    ended = subprocess.run([DUNLIN, "serve", "--help"], env=clean_environment(), timeout=10,
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "API_KEYS" in ended.stdout
