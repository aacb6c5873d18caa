"""runtime/fetch/fetch.py by itself, against web servers of its own on this machine.

What it refuses is checked here in words; that nothing private is reached is the packet filter's doing
(tests/test_fetch.py).
"""
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

import pytest
import requests

from server import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "runtime/fetch/fetch.py"
SPEC = importlib.util.spec_from_file_location("fetch_program", PROGRAM)
fetch_program = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fetch_program)
HERE = {"hosts": ["127.0.0.1", "localhost"], "networks": ["127.0.0.0/8", "::1/128"]}


def start(*arguments):
    """A web server; its process and its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, ROOT / "tests/network/files.py", str(port),
                                *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process, port


def end(process):
    """Ends a server."""
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module", name="web")
def a_server():
    """The address of a server."""
    process, port = start()
    yield f"http://127.0.0.1:{port}"
    end(process)


@pytest.fixture(scope="module", name="secure")
def a_secure_server(tmp_path_factory):
    """The port of one with TLS, and its certificate, which is for localhost."""
    place = tmp_path_factory.mktemp("tls")
    both = place / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", place / "key",
                    "-out", place / "cert"], check=True, capture_output=True)
    both.write_bytes((place / "key").read_bytes() + (place / "cert").read_bytes())
    process, port = start(both)
    yield port, place / "cert"
    end(process)


def run(env=None, **job):
    """What the program prints for a job; it runs in here unless it needs an environment."""
    job = json.dumps({**HERE, "max_bytes": 1 << 20, "seconds": 5, **job})
    if env is None:
        out = io.BytesIO()
        with mock.patch("sys.stdin", io.StringIO(job)), \
                mock.patch("sys.stdout", mock.Mock(buffer=out)):
            fetch_program.main()
        return out.getvalue()
    ended = subprocess.run([sys.executable, "-I", PROGRAM], input=job.encode(), timeout=30,
                           capture_output=True, env={**os.environ, **env}, check=True)
    assert ended.stderr == b"", ended.stderr
    return ended.stdout


def fetch(**job):
    """(head, body, tail); the last two are None when the head says why there is no body."""
    head, _, rest = run(**job).partition(b"\n")
    head, body = json.loads(head), b""
    if "error" in head:
        assert rest == b""
        return head, None, None
    while True:
        n, rest = int.from_bytes(rest[:4], "big"), rest[4:]
        if n == 0:
            assert rest.endswith(b"\n") and rest.count(b"\n") == 1
            return head, body, json.loads(rest)
        body, rest = body + rest[:n], rest[n:]


def why_not(**job):
    """The error at the head."""
    return fetch(**job)[0]["error"]


def asked(web):
    """What the server has been asked since the last call."""
    return requests.get(web + "/asked", timeout=5).json()


def test_a_file_and_an_empty_one(web):
    assert fetch(url=web + "/a.txt") == ({"status": 200, "size": 5}, b"a.txt", {"error": None})
    assert fetch(url=web) == ({"status": 200, "size": 0}, b"", {"error": None})


def test_chunks_have_no_size_ahead(web):
    assert fetch(url=web + "/chunked") == ({"status": 200, "size": None}, b"abcde", {"error": None})
    assert fetch(url=web + "/chunked?cut=1")[2]["error"].startswith("cut off")


def test_what_is_cut_off_is_told(web):
    assert fetch(url=web + "/cut") == \
        ({"status": 200, "size": 10}, b"four", {"error": "cut off after 4 bytes"})


def test_a_file_may_be_as_large_as_allowed(web):
    head, body, tail = fetch(url=web + "/size?n=1048576")
    assert (head["size"], len(body), tail["error"]) == (1 << 20, 1 << 20, None)
    assert "larger than 1048576 bytes" in why_not(url=web + "/size?n=1048577")
    assert "larger than 4 bytes" in fetch(url=web + "/chunked", max_bytes=4)[2]["error"]


def test_it_does_not_take_for_ever(web):
    assert fetch(url=web + "/endless", seconds=1)[2]["error"] == "not complete after 1 s"
    assert why_not(url=web + "/silent", seconds=1) == "no answer in time"


def test_an_error_has_its_status_and_words(web):
    assert fetch(url=web + "/missing")[0] == \
        {"error": "404 Not Found: there is no such file", "status": 404}
    assert why_not(url=f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize("path, got", [("/é/ü?q=ö", "/%C3%A9/%C3%BC?q=%C3%B6"), ("/a%20b", "/a%20b"),
                                       ("?x", "/?x"), ("/a#fragment", "/a"), ("//b", "//b")])
def test_odd_paths_arrive(web, path, got):
    asked(web)
    assert fetch(url=web + path)[2] == {"error": None}
    assert asked(web)[0][1].replace("//b", "/b") == got.replace("//b", "/b")


@pytest.mark.parametrize("url", [
    "", "x", "/etc/passwd", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http:///x",
    "http://127.0.0.1:0/", "http://127.0.0.1:x/", "http://127.0.0.1:70000/", "http://a@127.0.0.1/",
    "http://127.0.0.1/a b", "http://127.0.0.1/a\r\nHost: b", "http://[::1", "http://127.0.0.1\\@x/",
    "http://" + "x" * 300 + "/", "http://\ud800/", "http://..../"])
def test_odd_urls_are_refused_in_words(url):
    assert why_not(url=url, hosts=["*"])


@pytest.mark.parametrize("host, patterns, allowed", [
    ("a.example", ["a.example"], True), ("A.EXAMPLE.", ["a.example"], True),
    ("b.a.example", ["a.example"], False), ("b.a.example", ["*.a.example"], True),
    ("c.b.a.example", ["*.A.example"], True), ("a.example", ["*.a.example"], False),
    ("xa.example", ["*.a.example"], False), ("a.example.evil", ["a.example"], False),
    ("anything", ["*"], True), ("a.example", [], False), ("a.example", [""], False),
    ("ａ.example", ["a.example"], False)])
def test_hosts_must_fit_a_pattern(host, patterns, allowed):
    assert fetch_program.host_is_allowed(host, patterns) == allowed


def test_a_host_that_fits_no_pattern_is_not_even_looked_up():
    assert "is not among" in why_not(url="http://other.example/")


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0.0.0.0", "10.1.2.3", "172.16.0.1",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]",
    "[::ffff:10.1.2.3]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "localhost"])
def test_private_addresses_are_refused_however_they_are_written(address):
    words = why_not(url=f"http://{address}/", hosts=["*"], networks=[])
    assert "private or reserved" in words, words


def test_a_private_network_may_be_allowed(web):
    assert "private or reserved" in why_not(url=web + "/x", networks=["10.0.0.0/8"])
    assert fetch(url=web + "/x", networks=["127.0.0.1/32"])[1] == b"x"


def test_redirects_are_checked_anew(web):
    for status in (301, 302, 303, 307, 308):
        assert fetch(url=f"{web}/redirect?status={status}&to=/there")[1] == b"there"
    for there, words in (("http://other.example/", "is not among"),
                         ("http://10.1.2.3/", "is not among"), ("file:///etc/passwd", "only http"),
                         ("http://a@127.0.0.1/", "user name"), ("http://[bad", "URL")):
        assert words in why_not(url=f"{web}/redirect?to={there}")
    assert "private" in why_not(url=f"{web}/redirect?to=http://10.1.2.3/",
                                hosts=["127.0.0.1", "10.1.2.3"])
    assert why_not(url=web + "/loop") == "more than 5 redirects"


def test_headers_stay_with_their_origin(web):
    asked(web)
    headers = {"Authorization": "secret", "X-Key": "secret", "Host": "evil", "Content-Length": "9",
               "Accept-Encoding": "gzip"}
    fetch(url=web + "/redirect?to=/near", headers=headers)
    fetch(url=f"{web}/redirect?to={web.replace('127.0.0.1', 'localhost')}/far", headers=headers)
    told = {path: sent for _, path, sent, _ in asked(web)}
    assert told["/near"]["Authorization"] == told["/near"]["X-Key"] == "secret"
    assert told["/near"]["Host"] == web[7:] and told["/near"]["Accept-Encoding"] == "identity"
    assert "Content-Length" not in told["/near"]
    assert "secret" not in json.dumps(told["/far"])


def test_headers_cannot_break_out_and_are_not_shown(web):
    words = why_not(url=web + "/x", headers={"X": "secret\r\nY: z"})
    assert "header" in words and "secret" not in words


def test_certificates_are_checked(secure):
    port, certificate = secure
    url = f"https://localhost:{port}/x"
    assert "the certificate is not valid" in why_not(url=url)
    trusted = {"SSL_CERT_FILE": str(certificate)}
    assert b'"error": null' in run(env=trusted, url=url)
    assert b"the certificate is not valid" in run(env=trusted, url=url.replace("localhost",
                                                                               "127.0.0.1"))


def test_https_does_not_become_http(web, secure):
    port, certificate = secure
    told = run(env={"SSL_CERT_FILE": str(certificate)},
               url=f"https://localhost:{port}/redirect?to={web}/x")
    assert b"redirects from https to http" in told


def store(web, **document):
    """The job for a document."""
    return {"efast": {"url": web, "token": "t", "docid": "", "savename": "s", "rev": "", **document}}


def test_a_document_comes_in_two_steps(web):
    asked(web)
    head, body, tail = fetch(**store(web + "/", docid=f"where={web}/d", rev="2"))
    assert head == {"status": 200, "size": 1, "document": {"name": "name in the store",
                                                           "rev": "rev1"}}
    assert body == b"d" and tail == {"error": None}
    first, second = asked(web)
    assert first[:2] == ["POST", "/api/efast/v1/file/osdownload/"]
    assert first[2]["Authorization"] == "Bearer t"
    assert json.loads(first[3]) == {"docid": f"where={web}/d", "savename": "s", "rev": "2"}
    assert second[2]["Authorization"] == "AWS signed" and second[2]["x-amz-date"] == "today"


def test_a_store_is_not_believed(web):
    assert why_not(**store(web, docid="none")) == \
        "the document store answers 403: no access to this document"
    for odd in ("", "{}", "[]", "7", '{"authrequest":7}', '{"authrequest":["GET"]}',
                '{"authrequest":["PUT","http://x/","a: b","c: d"]}',
                '{"authrequest":["GET",7,"a: b","c: d"]}', "[" * 3000):
        assert "authrequest" in why_not(**store(web, docid="odd " + odd)), odd[:40]
    assert "is not among" in why_not(**store(web, docid="where=http://other.example/"))
    assert "only http" in why_not(**store(web, docid="where=file:///etc/passwd"))
    assert "the document store answers 404" in why_not(**store(web + "/elsewhere", docid="x"))
