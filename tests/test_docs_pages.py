"""The pages for people: /docs and /redoc work from bundled files, without any other host."""
import re

import pytest


@pytest.mark.parametrize("path, word", [("/docs", "swagger"), ("/redoc", "redoc")])
def test_a_docs_page_is_html_with_a_policy_and_all_its_parts_are_served(client, path, word):
    page = client.get(path)
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy or "default-src 'self'" in policy
    assert "http:" not in policy and "https:" not in policy
    assert word in page.text.lower()
    parts = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert parts
    for part in parts:
        assert not re.match(r"(?:[a-z]+:)?//", part), f"{part} lies elsewhere"
        url = part if part.startswith("/") else "/" + part
        answer = client.get(url)
        assert answer.status == 200, url
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_openapi_document_describes_the_contract(client):
    answer = client.get("/openapi.json")
    assert answer.status == 200
    assert answer["openapi"].startswith("3.1")
    assert set(answer["paths"]) >= {"/", "/health", "/execute"}
    assert answer["info"]["title"]


def test_version_says_what_runs(client):
    answer = client.get("/version")
    assert answer.status == 200
    assert re.match(r"\d+\.\d+", answer["version"])
