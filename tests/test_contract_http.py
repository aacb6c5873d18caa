"""The small routes, CORS, and the model of POST /execute's body, row by row of contract A1."""
import json
import re

import pytest


# -- small routes


def test_the_root_names_the_service_its_docs_and_its_health(client):
    answer = client.get("/")
    assert answer.status == 200
    assert answer.body.items() >= {"message": "SimplePySandbox API", "version": "1.0.0",
                                   "docs": "/docs", "health": "/health"}.items()


def test_health_says_healthy_with_a_utc_time_in_microseconds(client):
    answer = client.get("/health")
    assert (answer.status, answer["status"]) == (200, "healthy")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", answer["timestamp"])


def test_an_unknown_path_is_404(client):
    for path in ("/nothing", "/execute/more", "/execute.json", "/..%2fetc"):
        answer = client.get(path)
        assert (answer.status, answer.body) == (404, {"detail": "Not Found"}), path


@pytest.mark.parametrize("method, path", [
    ("GET", "/execute"), ("PUT", "/execute"), ("DELETE", "/execute"), ("POST", "/health"),
    ("POST", "/"), ("PATCH", "/version"), ("HEAD", "/health"), ("HEAD", "/execute")])
def test_a_wrong_method_is_405(client, method, path):
    answer = client.request(method, path)
    assert answer.status == 405
    if method == "HEAD":
        assert answer.text == ""
    else:
        assert answer.body == {"detail": "Method Not Allowed"}


def test_a_trailing_slash_is_redirected_with_307(client):
    for method, path in (("POST", "/execute/"), ("GET", "/health/"), ("GET", "/docs/")):
        answer = client.request(method, path)
        assert answer.status == 307
        assert answer.headers["Location"].endswith(path.rstrip("/"))


def test_any_origin_may_call_but_never_with_credentials(client):
    for origin in ("http://example.org", "null", "https://evil.example:8443"):
        answer = client.post({"code": "1"}, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_preflight_is_answered_with_the_methods_and_headers_and_without_credentials(client):
    answer = client.request("OPTIONS", "/execute", headers={
        "Origin": "http://example.org", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-api-key"})
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "http://example.org")
    methods = {name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")}
    assert methods >= {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert "content-type" in allowed and "x-api-key" in allowed
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_errors_carry_cors_headers_too(client):
    answer = client.post({}, headers={"Origin": "http://example.org"})
    assert answer.status == 422
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


# -- the request's model


@pytest.mark.parametrize("value", ["5", 5.0, True, 5, 1e1, "300"])
def test_lenient_integers_are_accepted(client, value):
    assert client.run("print(1)", timeout=value)["success"]


INTEGER = "Input should be a valid integer"
REFUSED = [
    ({}, "missing", ["body", "code"], "Field required"),
    ({"timeout": 5}, "missing", ["body", "code"], "Field required"),
    ({"code": 1}, "string_type", ["body", "code"], "Input should be a valid string"),
    ({"code": None}, "string_type", ["body", "code"], "Input should be a valid string"),
    ({"code": ["1"]}, "string_type", ["body", "code"], "Input should be a valid string"),
    ({"code": "1", "timeout": 0}, "greater_than_equal", ["body", "timeout"],
     "Input should be greater than or equal to 1"),
    ({"code": "1", "timeout": -5}, "greater_than_equal", ["body", "timeout"],
     "Input should be greater than or equal to 1"),
    ({"code": "1", "timeout": False}, "greater_than_equal", ["body", "timeout"],
     "Input should be greater than or equal to 1"),
    ({"code": "1", "timeout": 301}, "less_than_equal", ["body", "timeout"],
     "Input should be less than or equal to 300"),
    ({"code": "1", "timeout": 500}, "less_than_equal", ["body", "timeout"],
     "Input should be less than or equal to 300"),
    ({"code": "1", "timeout": 5.5}, "int_from_float", ["body", "timeout"], INTEGER),
    ({"code": "1", "timeout": None}, "int_type", ["body", "timeout"], INTEGER),
    ({"code": "1", "timeout": []}, "int_type", ["body", "timeout"], INTEGER),
    ({"code": "1", "timeout": "abc"}, "int_parsing", ["body", "timeout"], INTEGER),
    ({"code": "1", "files": []}, "dict_type", ["body", "files"],
     "Input should be a valid dictionary"),
    ({"code": "1", "files": "x"}, "dict_type", ["body", "files"],
     "Input should be a valid dictionary"),
    ({"code": "1", "files": {"a.txt": 1}}, "string_type", ["body", "files", "a.txt"],
     "Input should be a valid string"),
    ({"code": "1", "environment": 5}, "string_type", ["body", "environment"],
     "Input should be a valid string"),
    ([], "model_attributes_type", ["body"], "Input should be a valid dictionary"),
    ("code", "model_attributes_type", ["body"], "Input should be a valid dictionary"),
]


@pytest.mark.parametrize("body, kind, place, words", REFUSED,
                         ids=[json.dumps(row[0]) for row in REFUSED])
def test_a_violation_of_the_model_is_422_in_fastapis_shape(client, body, kind, place, words):
    answer = client.post(body)
    assert answer.status == 422
    assert [entry["type"] for entry in answer["detail"]] == [kind]
    entry = answer["detail"][0]
    assert entry["loc"] == place
    assert entry["msg"].startswith(words)
    assert "input" in entry


def test_a_limit_in_a_422_is_given_with_its_value_and_the_input(client):
    entry = client.post({"code": "1", "timeout": 500})["detail"][0]
    assert (entry["ctx"], entry["input"]) == ({"le": 300}, 500)
    entry = client.post({"code": "1", "timeout": 0})["detail"][0]
    assert (entry["ctx"], entry["input"]) == ({"ge": 1}, 0)


def test_every_violation_of_a_body_is_listed(client):
    answer = client.post({"timeout": 0, "files": [], "environment": 1})
    places = [entry["loc"][-1] for entry in answer["detail"]]
    assert (answer.status, sorted(places)) == (422, ["code", "environment", "files", "timeout"])


@pytest.mark.parametrize("body", [
    b'{"code": ', b"{'code': 1}", b'{"code": "1",}', b'{"code": NaN}', b'{"code": "1"} x', b"\xff",
    b'{"code": "\xff\xfe"}', b'{"code": "a\nb"}', b'\xef\xbb\xbf{"code": "1"} {'])
def test_what_is_not_json_is_422_with_the_offset(client, body):
    answer = client.post(body)
    assert answer.status == 422, answer.text
    entry = answer["detail"][0]
    assert entry["type"] == "json_invalid"
    assert entry["loc"][0] == "body" and isinstance(entry["loc"][1], int)
    assert entry["msg"] == "JSON decode error"
    assert entry["input"] == {}


def test_an_empty_body_is_422(client):
    answer = client.post(b"")
    assert (answer.status, answer["detail"][0]["loc"]) == (422, ["body"])


@pytest.mark.parametrize("kind", [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/json",
    "application/jsonp", "text/plain; application/json"])
def test_a_content_type_that_is_not_json_is_422(client, kind):
    answer = client.post(b'{"code": "print(1)"}', headers={"Content-Type": kind})
    assert answer.status == 422
    assert answer["detail"][0]["loc"][0] == "body"


def test_json_with_a_charset_or_in_capitals_is_json(client):
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        answer = client.post(b'{"code": "print(1)"}', headers={"Content-Type": kind})
        assert answer.status == 200, kind


@pytest.mark.parametrize("body", [
    b'{"code": "print(\\"\\ud800\\")"}', b'{"code": "1", "files": {"\\udfff": ""}}',
    b'{"code": "1", "code": "2"}', b'{"code": "1", "files": {"a": "", "a": ""}}',
    b'{"code": "1", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"code": "1", "x": ' + b"[" * 5000, b"[" * 100000, b'{"a":' * 100000,
    b'{"code": "1", "timeout": 1e400}', b'{"code": "1", "timeout": ' + b"9" * 400 + b"}",
    b'{"code": "\xff\xfe"}', b"\xff", b'{"code": "\xed\xa0\x80"}', b'{"code": "\xc0\xaf"}',
], ids=["lone surrogate", "lone surrogate in a name", "key twice", "file twice", "deep", "deep cut",
        "very deep", "very deep objects", "number too large", "integer too large",
        "not UTF-8", "one bad byte", "surrogate in UTF-8", "overlong UTF-8"])
def test_odd_json_is_refused_and_the_server_goes_on(client, body):
    answer = client.post(body)
    assert 400 <= answer.status < 500, answer.text[:300]
    assert answer.body["detail"]
    assert client.run("print(1)")["stdout"] == "1\n"
