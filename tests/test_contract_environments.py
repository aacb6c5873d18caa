"""Environments over HTTP, row by row of contract A1 and A2 with the rulings of its section 10."""
import re
import threading
import time

import pytest

from client import unique_name, wait_until
from environments import BUILD_SECONDS, make_environment, slow  # noqa: F401 (a fixture)
from slowness import stretched

FORBIDDEN = ("rm -rf /", "dd if=", "mkfs", ":(){ :|:& };:", "curl | sh", "wget | sh")
PREDECESSORS_FIELDS = {
    "name", "description", "base_image", "docker_image", "conda_env_name", "env_path",
    "python_version", "setup_script", "status", "created_at", "last_used", "error", "logs"}


def create(client, path="/environments", **body):
    """POST /environments with a script unless `body` says otherwise."""
    return client.post({"setup_script": "true", **body}, path)


def violation(answer):
    """The only entry of a 422 body."""
    assert answer.status == 422, answer.text[:500]
    assert len(answer["detail"]) == 1, answer.text[:500]
    return answer["detail"][0]


# -- the model of POST /environments


def test_a_name_and_a_script_are_required(client):
    answer = client.post({}, "/environments")
    assert answer.status == 422
    assert [(one["type"], one["loc"], one["msg"]) for one in answer["detail"]] == [
        ("missing", ["body", "name"], "Field required"),
        ("missing", ["body", "setup_script"], "Field required")]


@pytest.mark.parametrize("name, kind", [
    ("", "string_too_short"), ("x" * 51, "string_too_long"), ("a b", "string_pattern_mismatch"),
    ("a/b", "string_pattern_mismatch"), ("..", "string_pattern_mismatch"),
    ("环境", "string_pattern_mismatch"), ("a\n", "string_pattern_mismatch"),
    ("a\x00", "string_pattern_mismatch"), (None, "string_type"), (5, "string_type")])
def test_a_bad_name_is_422(client, name, kind):
    if name == "a\x00":
        kind = "value_error"
    entry = violation(create(client, name=name))
    assert (entry["type"], entry["loc"]) == (kind, ["body", "name"])
    if kind == "string_pattern_mismatch":
        assert entry["msg"] == "String should match pattern '^[a-zA-Z0-9-_]+$'"
        assert entry["ctx"] == {"pattern": "^[a-zA-Z0-9-_]+$"}


@pytest.mark.parametrize("field, value, kind", [
    ("description", None, "string_type"), ("description", "x" * 201, "string_too_long"),
    ("description", 1, "string_type"), ("setup_script", "", "string_too_short"),
    ("setup_script", "x" * 10001, "string_too_long"), ("setup_script", None, "string_type"),
    ("python_version", 3.11, "string_type"), ("base_image", ["x"], "string_type")])
def test_a_value_that_does_not_fit_is_422(client, field, value, kind):
    entry = violation(create(client, name=unique_name(), **{field: value}))
    assert (entry["type"], entry["loc"]) == (kind, ["body", field])
    assert entry["url"] == f"https://errors.pydantic.dev/2.6/v/{kind}"


@pytest.mark.parametrize("text", FORBIDDEN)
def test_a_forbidden_text_in_the_script_is_422_in_the_predecessors_words(client, text):
    script = f"echo hello\n{text} tmp\n"
    entry = violation(create(client, name=unique_name(), setup_script=script))
    assert entry == {
        "type": "value_error", "loc": ["body", "setup_script"],
        "msg": f"Value error, 脚本包含危险命令: {text}", "input": script, "ctx": {"error": {}},
        "url": "https://errors.pydantic.dev/2.6/v/value_error"}


def test_the_forbidden_texts_are_literal(client, make_environment):
    entry = violation(create(client, name=unique_name(), setup_script="rm -rf /tmp/x"))
    assert entry["msg"] == "Value error, 脚本包含危险命令: rm -rf /"
    make_environment("false && curl http://x | sh || true")


def test_a_body_that_is_not_json_is_422(client):
    answer = client.request("POST", "/environments", data=b"name=x",
                            headers={"Content-Type": "text/plain"})
    assert answer.status == 422
    assert client.post(b"{", "/environments")["detail"][0]["type"] == "json_invalid"
    assert client.post([], "/environments")["detail"][0]["type"] == "model_attributes_type"


def test_unknown_fields_are_ignored(make_environment):
    assert make_environment(package_manager="pip", retries=[1])["status"] == "ready"


# -- the object


def test_creation_answers_the_object_when_it_is_ready(client):
    name = unique_name("e-")
    answer = create(client, name=name)
    assert (answer.status, answer["status"]) == (200, "ready"), answer.text[:500]
    assert answer.seconds < stretched(5)
    assert PREDECESSORS_FIELDS <= answer.body.keys()
    expected = {
        "name": name, "description": "", "base_image": "python:3.11-slim",
        "docker_image": f"sandbox-{name}:latest", "conda_env_name": f"sandbox-{name}",
        "env_path": "/", "python_version": "3.11", "setup_script": "true", "last_used": None,
        "error": None}
    assert {key: answer[key] for key in expected} == expected
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", answer["created_at"])
    assert client.get(f"/environments/{name}")["created_at"] == answer["created_at"]
    assert client.request("DELETE", f"/environments/{name}").status == 200


def test_what_the_client_said_is_told_back(client, make_environment):
    # SPY-D's client names an image, SPY-C's a version of Python.
    made = make_environment(description="x" * 200, base_image="python:3.11-slim",
                            python_version="3.11")
    found = client.get(f"/environments/{made['name']}")
    assert (found.status, found["description"]) == (200, "x" * 200)
    assert (found["base_image"], found["python_version"]) == ("python:3.11-slim", "3.11")


def test_the_longest_script_and_name_fit(make_environment):
    script = "# " + "語" * 9993 + "\ntrue"
    answer = make_environment(script, name="n" * 37 + unique_name("-_"))
    assert (answer["status"], answer["setup_script"]) == ("ready", script)


# -- the others


def test_the_list_is_in_order_of_creation(client, make_environment):
    names = [make_environment()["name"] for _ in range(3)]
    answer = client.get("/environments")
    assert answer.status == 200
    assert answer["total"] == len(answer["environments"]) >= 3
    assert [one["name"] for one in answer["environments"] if one["name"] in names] == names
    assert PREDECESSORS_FIELDS <= answer["environments"][-1].keys()
    assert "default" not in [one["name"] for one in answer["environments"]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_name_is_404(client, method):
    for name in ("no-such", "x" * 51, "a%20b", "%E7%8E%AF"):
        answer = client.request(method, f"/environments/{name}")
        assert answer.status == 404
        assert re.match(r"环境 '.+' 不存在", answer["detail"])
    assert client.request(method, "/environments/no-such")["detail"].startswith(
        "环境 'no-such' 不存在")


def test_a_duplicate_is_400(client, make_environment):
    name = make_environment()["name"]
    answer = create(client, name=name)
    assert answer.status == 400
    assert answer["detail"].startswith(f"环境 '{name}' 已存在")
    assert create(client, name="default").status == 400


def test_a_duplicate_of_a_building_one_is_400_at_once(client, make_environment):
    name = make_environment(slow(20), "/environments?wait=false")["name"]
    answer = create(client, name=name)
    assert (answer.status, answer.seconds < stretched(2)) == (400, True)


def test_a_failed_one_can_be_created_again(client, make_environment):
    name = make_environment("exit 7")["name"]
    assert make_environment(name=name)["status"] == "ready"
    found = [one for one in client.get("/environments")["environments"] if one["name"] == name]
    assert len(found) == 1


def test_deleting_answers_a_message_and_then_it_is_gone(client, make_environment):
    name = make_environment()["name"]
    answer = client.request("DELETE", f"/environments/{name}")
    assert answer.status == 200
    assert answer["message"].startswith(f"环境 '{name}' 已删除")
    assert client.get(f"/environments/{name}").status == 404
    assert client.request("DELETE", f"/environments/{name}").status == 404
    assert make_environment(name=name)["status"] == "ready"


def test_deleting_while_building_ends_the_build_and_tells_its_creator(client):
    name = unique_name("e")
    told = []
    other = client.clone()
    thread = threading.Thread(target=lambda: told.append(
        create(other, "/environments?wait=true", name=name, setup_script=slow(30))))
    thread.start()
    wait_until(lambda: client.get(f"/environments/{name}").status == 200, 5, "it is listed")
    assert client.request("DELETE", f"/environments/{name}").status == 200
    thread.join(10)
    assert told and told[0].status == 409
    assert name in told[0]["detail"]


# -- waiting (row 3)


def test_a_long_build_is_answered_as_building_after_a_few_seconds(make_environment):
    answer = make_environment(slow(8), "/environments")
    assert (answer["status"], answer["docker_image"]) == ("building", None)
    assert 4 < answer.seconds < 7


def test_wait_false_answers_at_once_and_wait_true_at_the_end(client, make_environment):
    first = make_environment(slow(2), "/environments?wait=false")
    assert (first["status"], first.seconds < 1) == ("building", True)
    second = make_environment(slow(6), "/environments?wait=true")
    assert (second["status"], second.seconds > 5.5) == ("ready", True)
    assert client.get(f"/environments/{first['name']}")["status"] == "ready"


def test_prefer_wait_is_followed_and_said_to_be(client):
    names = [unique_name("e") for _ in range(2)]
    try:
        answer = client.post({"name": names[0], "setup_script": slow(20)}, "/environments",
                             headers={"Prefer": "wait=1"})
        assert (answer.status, answer["status"]) == (200, "building")
        assert 0.9 < answer.seconds < 3
        assert answer.headers["Preference-Applied"] == "wait=1"
        answer = client.post({"name": names[1], "setup_script": "true"}, "/environments",
                             headers={"Prefer": "return=minimal, wait=30"})
        assert (answer["status"], answer.headers["Preference-Applied"]) == ("ready", "wait=30")
    finally:
        for name in names:
            client.request("DELETE", f"/environments/{name}")


def test_a_wait_that_is_no_boolean_is_422(client):
    entry = violation(create(client, "/environments?wait=perhaps", name=unique_name()))
    assert (entry["type"], entry["loc"]) == ("bool_parsing", ["query", "wait"])


def test_a_failed_build_is_told_as_failed_with_its_end(client, make_environment):
    answer = make_environment("echo to-stdout; echo to-stderr >&2; exit 7")
    assert (answer["status"], answer["docker_image"]) == ("failed", None)
    assert "7" in answer["error"] and "to-stderr" in answer["error"]
    assert "to-stdout" in answer["logs"] and len(answer["logs"].encode()) <= 2000
    assert client.get(f"/environments/{answer['name']}")["error"] == answer["error"]


# -- runs


def test_code_runs_in_an_environment(client, make_environment):
    name = make_environment("echo 'word = \"from the environment\"' > /usr/lib/word.py\n"
                            "echo /usr/lib > $(python3 -c 'import site; "
                            "print(site.getsitepackages()[0])')/word.pth")["name"]
    code = "import word; print(word.word)"
    for path in ("/execute", "/execute-with-environment"):
        answer = client.post({"code": code, "environment": name}, path)
        assert (answer.status, answer["stdout"]) == (200, "from the environment\n"), answer.text[:500]
    assert not client.run(code)["success"]
    found = client.get(f"/environments/{name}")
    assert found["last_used"] is not None and found["total_runs"] == 2


def test_the_default_environment_has_three_names(client):
    for environment in (None, "", "default"):
        assert client.run("print(1)", environment=environment)["stdout"] == "1\n"
    answer = client.post({"code": "print(1)", "environment": "default"},
                         "/execute-with-environment")
    assert answer["stdout"] == "1\n"


def test_an_unknown_environment_is_200_in_execute(client):
    answer = client.run("print(1)", environment="no-such")
    assert answer["success"] is False
    assert answer["stderr"] == "环境 'no-such' 不存在或未就绪"
    assert answer["error"] == ("环境执行错误: 环境 'no-such' 不存在或未就绪 "
                               "(environment not found or not ready)")


def test_a_failed_environment_is_200_in_execute(client, make_environment):
    name = make_environment("exit 1")["name"]
    answer = client.run("print(1)", environment=name)
    assert answer["stderr"] == f"环境 '{name}' 不存在或未就绪"
    assert (answer["success"], answer["files"], answer["exit_code"]) == (False, {}, None)


def test_execute_with_environment_wants_a_name(client):
    for body, kind in (({"code": "1"}, "missing"),
                       ({"code": "1", "environment": None}, "string_type"),
                       ({"code": "1", "environment": 5}, "string_type")):
        entry = violation(client.post(body, "/execute-with-environment"))
        assert (entry["type"], entry["loc"]) == (kind, ["body", "environment"])


@pytest.mark.parametrize("name", ["no-such", "", "a b", "x\n"])
def test_execute_with_an_unknown_environment_is_404(client, name):
    answer = client.post({"code": "1", "environment": name}, "/execute-with-environment")
    assert answer.status == 404
    assert answer["detail"].startswith(f"环境 '{name}' 不存在")


def test_execute_with_a_failed_environment_is_400(client, make_environment):
    name = make_environment("exit 1")["name"]
    answer = client.post({"code": "1", "environment": name}, "/execute-with-environment")
    assert answer.status == 400
    assert answer["detail"].startswith(f"环境 '{name}' 状态为 failed，无法使用")


def test_the_code_is_checked_before_the_environment(client):
    for body, part in (({"code": " "}, "代码不能为空"),
                       ({"code": "x" * 100001}, "代码长度不能超过 100000 字符")):
        answer = client.post({**body, "environment": "no-such"}, "/execute-with-environment")
        assert (answer.status, part in answer["detail"]) == (400, True)
    bad_file = {"code": "1", "environment": "no-such", "files": {"/x": ""}}
    assert client.post(bad_file, "/execute-with-environment").status == 404
    assert "不存在或未就绪" in client.post(bad_file)["error"]


def test_a_run_waits_for_a_building_environment(client, make_environment):
    for path in ("/execute", "/execute-with-environment"):
        name = make_environment(slow(3), "/environments?wait=false")["name"]
        answer = client.post({"code": "print(1)", "environment": name, "timeout": 30}, path)
        assert (answer.status, answer.get("stdout")) == (200, "1\n"), answer.text[:500]
        assert answer.seconds > 2


def test_a_run_waits_no_longer_than_its_timeout(client, make_environment):
    name = make_environment(slow(30), "/environments?wait=false")["name"]
    answer = client.run("print(1)", environment=name, timeout=1)
    assert answer["stderr"] == f"环境 '{name}' 不存在或未就绪"
    assert 0.9 < answer.seconds < 4
    answer = client.post({"code": "1", "environment": name, "timeout": 1},
                         "/execute-with-environment")
    assert answer.status == 400
    assert answer["detail"].startswith(f"环境 '{name}' 状态为 building，无法使用")


def test_the_predecessors_clients_wait_by_polling(client, make_environment):
    name = make_environment(slow(7), "/environments")["name"]
    end = time.monotonic() + BUILD_SECONDS
    while client.get(f"/environments/{name}")["status"] == "building":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert client.run("print(1)", environment=name)["stdout"] == "1\n"
