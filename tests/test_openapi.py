"""The description of the HTTP interface and the router's table say the same."""
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Pages for people and their parts, which a description for programs leaves out.
PAGES = {"/docs", "/redoc", "/openapi.json", "/api.json", "/web/"}


def document():
    """api/openapi.yaml."""
    return yaml.safe_load((ROOT / "api/openapi.yaml").read_text(encoding="utf-8"))


def routes():
    """(method, path, flags) of each row of the table in src/api/routes.c."""
    source = (ROOT / "src/api/routes.c").read_text(encoding="utf-8")
    table = re.search(r"const struct route api_routes\[\] = \{(.*?)\n\};", source, re.S).group(1)
    rows = re.findall(r'\{"(\w+)", "([^"]+)", \w+, ([^}]+)\}', table)
    assert len(rows) == table.count('{"')
    return rows


def test_the_description_has_exactly_the_routes_of_the_table():
    described = {(method.upper(), path) for path, item in document()["paths"].items()
                 for method in item if method != "parameters"}
    served = {(method, path) for method, path, _ in routes() if path not in PAGES}
    assert described == served


def test_the_description_says_which_routes_need_no_key():
    paths = document()["paths"]
    for method, path, flags in routes():
        if path in PAGES:
            assert "ROUTE_OPEN" in flags, path
        else:
            opened = paths[path][method.lower()].get("security") == []
            assert opened == ("ROUTE_OPEN" in flags), path


def test_every_answer_of_a_run_is_described(client):
    schema = document()["components"]["schemas"]["ExecuteAnswer"]
    answer = client.run("print(1)")
    assert answer.body.keys() == set(schema["required"])
    assert answer.body.keys() <= schema["properties"].keys()
    refused = client.run("print(1)", environment="no-such")
    assert refused.body.keys() == set(schema["required"])


def test_every_environment_and_image_is_described(client):
    schemas = document()["components"]["schemas"]
    for answer in (client.get("/environments/default"),
                   client.post({"name": "openapi-1", "setup_script": "true"},
                               "/environments?wait=false")):
        assert answer.body.keys() == set(schemas["Environment"]["required"])
        assert answer.body.keys() == schemas["Environment"]["properties"].keys()
    client.request("DELETE", "/environments/openapi-1")
    for image in client.get("/images")["images"]:
        assert image.keys() == set(schemas["Image"]["required"])


def test_every_answer_of_health_is_described(client):
    schema = document()["components"]["schemas"]["Health"]
    assert client.get("/health").body.keys() == set(schema["required"])


def test_the_served_description_is_this_one(client):
    served = client.get("/openapi.json").body
    assert served["paths"].keys() == document()["paths"].keys()
    assert served["info"]["version"] == client.get("/").body["version"]
