"""Files of sessions over HTTP: bytes in and out, entries, archives, and bad input."""
import hashlib
import io
import os
import socket
import tarfile
import time

import pytest
import requests

import host
from client import together
from session_client import eventually, session


@pytest.fixture(scope="module", name="one")
def a_session(server):
    with session(server.client(), size="300M") as it:
        yield it


@pytest.fixture(scope="module", name="small")
def a_small_session(server):
    with session(server.client(), size="1M") as it:
        yield it


def remove(s, path, query=""):
    """DELETE; its status."""
    return s.client.request("DELETE", f"{s.path}/files/{path}{query}").status


# -- bytes

def test_bytes_come_back_as_they_went(one):
    data = os.urandom(1 << 20)
    answer = one.write("deep/er/f.bin", data)
    assert answer.status == 201 and answer["size"] == 1 << 20 and answer["mode"] == "0644"
    assert answer["name"] == "f.bin" and answer["path"] == "deep/er/f.bin"
    assert one.write("deep/er/f.bin", data).status == 200
    assert one.read("deep/er/f.bin") == data
    assert one.shell("stat -c '%u %a' deep/er/f.bin") == "1000 644\n"


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 70000])
def test_chunked_uploads_are_files_too(one, data):
    pieces = [piece for piece in (data[:10], data[10:]) if piece]  # an empty one would end the body
    assert one.write("chunked", iter(pieces)).status in (200, 201)
    assert one.read("chunked") == data


def test_what_a_download_says_about_itself(one):
    one.write('q"ü.txt', b"0123456789")
    answer = one.get('/files/q"ü.txt')
    headers = answer.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Length"] == "10" and headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"].endswith("filename*=UTF-8''q%22%C3%BC.txt")
    assert headers["X-Content-Type-Options"] == "nosniff"
    head = one.client.request("HEAD", one.path + '/files/q"ü.txt')
    for name in ("ETag", "Last-Modified", "Content-Length", "Content-Disposition"):
        assert head.headers[name] == headers[name]
    assert head.text == ""


def test_names_of_any_bytes_never_break_a_header(one):
    name = "a%0D%0AX-Evil%3A%20y"
    assert one.write(name, b"1").status == 201
    answer = one.get("/files/" + name)
    assert answer.status == 200 and "X-Evil" not in answer.headers
    assert "%0D%0A" in answer.headers["Content-Disposition"]
    one.shell("printf x > \"$(printf 'n\\377')\"")
    listed = one.get("/ls").text
    assert "n\ufffd" in listed


@pytest.mark.parametrize("header, status, body, content_range", [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"), ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=-2", 206, b"89", "bytes 8-9/10"), ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=5-999999999999999999999", 206, b"56789", "bytes 5-9/10"),
    ("bytes=10-", 416, None, "bytes */10"), ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=99999999999999999999-", 416, None, "bytes */10"),
    ("bytes=5-1", 200, b"0123456789", None), ("bytes=a-b", 200, b"0123456789", None),
    ("items=0-1", 200, b"0123456789", None), ("bytes=0-1,3-4", 200, b"0123456789", None)])
def test_ranges(one, header, status, body, content_range):
    one.write("ranged", b"0123456789")
    response = requests.get(f"{one.client.url}{one.path}/files/ranged", headers={"Range": header},
                            timeout=30)
    assert response.status_code == status
    assert response.headers.get("Content-Range") == content_range
    assert body is None or response.content == body


def test_conditions(one):
    one.write("tagged", b"0123456789")
    tag = one.get("/files/tagged").headers["ETag"]
    date = one.get("/files/tagged").headers["Last-Modified"]
    def ask(**headers):
        return one.get("/files/tagged", headers={k.replace("_", "-"): v
                                                 for k, v in headers.items()})
    assert ask(If_None_Match=tag).status == ask(If_None_Match="*").status == 304
    assert ask(If_None_Match=f'"x", W/{tag}').status == 304
    assert ask(If_None_Match=tag).text == "" and ask(If_None_Match=tag).headers["ETag"] == tag
    assert ask(If_None_Match='"x"').status == 200
    assert ask(If_Modified_Since=date).status == 304
    assert ask(If_Range=tag, Range="bytes=0-1").status == 206
    assert ask(If_Range='"x"', Range="bytes=0-1").status == 200
    one.shell("sleep 0.01; echo changed > tagged")
    assert ask(If_None_Match=tag).status == 200
    assert ask(If_Range=tag, Range="bytes=0-1").status == 200


def test_ways_to_write(one):
    def put(query, data):
        return one.write("ways" + query, data)
    assert put("?exclusive=true&mode=0600", b"abc").status == 201
    assert put("?exclusive=true", b"xyz").status == 409
    assert one.get("/stat?path=ways")["mode"] == "0600"
    assert put("?append=true", b"def")["size"] == 6
    assert put("?offset=1", b"XY").status == 200
    assert one.read("ways") == b"aXYdef"
    assert one.write("not-there?offset=0", b"x").status == 404
    for query in ("?offset=-1", "?offset=x", "?mode=888", "?mode=77777", "?append=maybe"):
        assert put(query, b"x").status == 422
    assert put("?append=true&offset=1", b"x").status == 400
    assert one.read("ways") == b"aXYdef"


def test_a_large_file_passes_in_constant_memory(one, server):
    pid = server.http_process.pid
    piece = os.urandom(1 << 20)
    size, digest = 150, hashlib.sha256()
    for _ in range(size):
        digest.update(piece)
    before, most = host.resident_kb(pid), 0
    start = time.monotonic()
    assert one.write("big", (piece for _ in range(size))).status == 201
    up = time.monotonic() - start
    start, found = time.monotonic(), hashlib.sha256()
    with requests.get(f"{one.client.url}{one.path}/files/big", stream=True, timeout=60) as r:
        for chunk in r.iter_content(1 << 20):
            found.update(chunk)
            most = max(most, host.resident_kb(pid))
    down = time.monotonic() - start
    assert found.digest() == digest.digest()
    assert most - before < 20000, "KiB of memory for 150 MiB"
    print(f"up {size / up:.0f} MiB/s, down {size / down:.0f} MiB/s")
    assert remove(one, "big") == 204


# -- uploads that come to nothing

def test_a_full_workspace_keeps_nothing_half_written(small):
    small.write("old", b"old")
    answer = small.write("old", b"x" * (3 << 20))
    assert answer.status == 507 and answer["detail"]
    assert small.read("old") == b"old"
    assert [e["name"] for e in small.get("/ls")["entries"] if e["name"] != "lost+found"] == ["old"]
    assert small.write("fits", b"x" * 500000).status == 201
    assert remove(small, "fits") == 204


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_an_upload_that_is_cut_off_changes_nothing(small, server, framing):
    small.write("cut", b"whole")
    before = small.get("/usage")["inodes_used"]
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    body = b"x" * 5000 if "Length" in framing else b"1388\r\n" + b"x" * 5000 + b"\r\n"
    sock.sendall(f"PUT {small.path}/files/cut HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
                 + body)
    time.sleep(0.2)
    sock.close()
    eventually(lambda: small.get("/usage")["inodes_used"] == before)
    assert small.read("cut") == b"whole"


def test_two_uploads_to_one_name_leave_one_of_them_whole(one):
    ports = [one.client.clone() for _ in range(2)]
    def slowly(data):
        for i in range(0, len(data), 1 << 16):
            time.sleep(0.01)
            yield data[i:i + (1 << 16)]
    contents = [b"a" * (1 << 20), b"b" * (1 << 20)]
    together([lambda c=c, d=d: c.request("PUT", one.path + "/files/race", data=slowly(d))
              for c, d in zip(ports, contents)])
    assert one.read("race") in contents


def test_a_file_that_shrinks_while_it_is_read_breaks_off(one):
    one.shell("head -c 100000000 /dev/zero > shrinks")
    with requests.get(f"{one.client.url}{one.path}/files/shrinks", stream=True, timeout=30) as r:
        size = len(r.raw.read(1 << 16))
        one.shell("truncate -s 1000 shrinks")
        while part := r.raw.read(1 << 16):
            size += len(part)
    assert size < int(r.headers["Content-Length"]) == 100000000


# -- paths

@pytest.mark.parametrize("path, status", [
    ("../x", 400), ("a/../../x", 400), ("%2e%2e/x", 400), ("..%2fx", 400), ("%2fetc/passwd", 400),
    ("a%00b", 400), ("%ff", 400), ("no/such", 404), ("a" * 256, 400), ("a/" * 2000 + "b", 404),
    ("a/" * 3000, 400)])
def test_paths_that_are_none(one, path, status):
    url = f"{one.client.url}{one.path}/files/{path}"
    request = requests.Request("GET", url).prepare()
    request.url = url  # as it is, dots and all
    assert one.client.session.send(request).status_code == status


def test_what_is_no_file_is_told(one):
    one.shell("mkdir -p d; mkfifo pipe; ln -sf /etc/passwd out; ln -sf nowhere dangling;"
              "ln -sf round round; ln -sf ../../etc up; echo hi > real; ln -sf real within;"
              "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'")
    for name, status in (("d", 409), ("pipe", 409), ("sock", 409), ("out", 400), ("up/passwd", 400),
                         ("round", 400), ("dangling", 404), ("real/x", 404), ("within", 200)):
        answer = one.get("/files/" + name)
        assert answer.status == status, (name, answer.text)
        assert "root:" not in answer.text
    for name, status in (("d", 409), ("out", 400), ("up/x", 400), ("round", 400), ("real/x", 404)):
        assert one.write(name, b"x").status == status, name
    assert one.read("real") == b"hi\n"


# -- entries

def test_entries_are_listed_and_told(one):
    one.shell("mkdir -p l/sub; printf 12345 > l/f; chmod 640 l/f; ln -s f l/link; mkfifo l/p;"
              "touch l/sub/deep")
    listed = one.get("/ls?path=l").body
    assert listed["path"] == "l" and not listed["truncated"]
    entries = {e["name"]: e for e in listed["entries"]}
    assert {n: e["type"] for n, e in entries.items()} == {
        "sub": "directory", "f": "file", "link": "link", "p": "other"}
    assert entries["f"]["size"] == 5 and entries["f"]["mode"] == "0640"
    assert entries["f"]["path"] == "l/f" and entries["link"]["target"] == "f"
    paths = {e["path"] for e in one.get("/ls?path=l&recursive=true")["entries"]}
    assert paths == {"l/sub", "l/sub/deep", "l/f", "l/link", "l/p"}
    cut = one.get("/ls?path=l&limit=2").body
    assert cut["truncated"] and len(cut["entries"]) == 2
    assert one.get("/stat?path=l/link").body == entries["link"]
    assert one.get("/stat?path=l/f").body == entries["f"]
    assert one.get("/stat").body["type"] == "directory"
    for path in ("/ls?path=no", "/ls?path=l/f", "/stat?path=no"):
        assert one.get(path).status == 404
    for path in ("/ls?limit=0", "/ls?limit=10001", "/ls?limit=x", "/ls?recursive=x"):
        assert one.get(path).status == 422
    assert one.get("/ls?path=../x").status == one.get("/stat?path=/etc").status == 400


def test_entries_are_moved_copied_and_removed(one):
    assert one.post("/mkdir", path="t/a/b", mode="0700")["mode"] == "0700"
    assert one.post("/mkdir", path="t/a/b").status == 200
    assert one.post("/mkdir", path="t/a/b", parents=False).status == 409
    assert one.post("/mkdir", path="t/no/b", parents=False).status == 404
    one.write("t/f", b"1")
    assert one.post("/move", **{"from": "t/f", "to": "t/new/g"})["path"] == "t/new/g"
    assert one.get("/files/t/f").status == 404
    one.write("t/f", b"2")
    assert one.post("/move", **{"from": "t/f", "to": "t/new/g"}).status == 409
    assert one.post("/copy", **{"from": "t/new", "to": "t/copy"})["type"] == "directory"
    assert one.read("t/copy/g") == b"1"
    assert one.post("/move", **{"from": "t/f", "to": "t/new/g", "replace": True}).status == 200
    assert one.read("t/new/g") == b"2" and one.read("t/copy/g") == b"1"
    assert one.post("/copy", **{"from": "t", "to": "t/a/inside"}).status in (400, 409)
    assert one.post("/move", **{"from": "t", "to": "t/a/inside"}).status in (400, 409)
    assert one.post("/chmod", path="t/new/g", mode="0755")["mode"] == "0755"
    assert one.post("/chmod", path="t", mode=0o500, recursive=True).status == 200
    assert one.post("/chmod", path="t", mode="0755", recursive=True).status == 200
    assert one.post("/remove", path="t").status == 409
    assert one.post("/remove", path="t", recursive=True).status == 204
    assert one.post("/remove", path="t", recursive=True).status == 404
    one.write("u/x", b"")
    assert remove(one, "u") == 409 and remove(one, "u", "?recursive=true") == 204


@pytest.mark.parametrize("path, body, status", [
    ("/mkdir", {}, 422), ("/mkdir", {"path": "../x"}, 400), ("/mkdir", {"path": "/x"}, 400),
    ("/mkdir", {"path": "x", "mode": "9"}, 422), ("/mkdir", {"path": "x\0"}, 422),
    ("/move", {"from": "x"}, 422), ("/move", {"from": "no", "to": "y"}, 404),
    ("/copy", {"from": "../x", "to": "y"}, 400), ("/copy", {"from": "x", "to": "../y"}, 400),
    ("/chmod", {"path": "x"}, 422), ("/chmod", {"path": "no", "mode": "0644"}, 404),
    ("/remove", {"path": 1}, 422), ("/remove", {"path": "no"}, 404)])
def test_changes_that_are_none(one, path, body, status):
    assert one.post(path, **body).status == status


def test_files_are_searched(one):
    one.shell("mkdir -p s/t; printf 'one\\nNeedle here\\n' > s/a.txt; echo needle > s/t/b.csv")
    found = one.get("/search?path=s&text=needle").body
    assert found == {"matches": [{"path": "s/t/b.csv", "line": 1, "text": "needle"}],
                     "truncated": False}
    both = one.get("/search?path=s&text=needle&ignore_case=true")["matches"]
    assert {(m["path"], m["line"]) for m in both} == {("s/a.txt", 2), ("s/t/b.csv", 1)}
    named = one.get("/search?path=s&name=*.csv")["matches"]
    assert named == [{"path": "s/t/b.csv", "line": None, "text": None}]
    assert one.get("/search?path=s&text=e&limit=1")["truncated"]
    for query in ("", "?text=", "?text=a&name=b", "?text=" + "x" * 2000):
        assert one.get("/search" + query).status == 400


# -- archives

def test_archives_go_out_and_in(one):
    one.shell("mkdir -p arch/sub; echo 1 > arch/f; ln -s f arch/l; head -c 100000 /dev/urandom"
              " > arch/sub/r")
    response = requests.get(f"{one.client.url}{one.path}/tar?path=arch", timeout=30)
    assert response.headers["Content-Type"] == "application/x-tar"
    assert "arch.tar" in response.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(response.content)) as archive:
        assert any(name.endswith("sub/r") for name in archive.getnames())
    answer = one.client.request("PUT", one.path + "/tar?path=copied", data=response.content)
    if answer.status == 404:  # it is unpacked into what is there
        one.post("/mkdir", path="copied")
        answer = one.client.request("PUT", one.path + "/tar?path=copied", data=response.content)
    assert answer.status == 200 and answer["entries"] >= 4
    assert one.shell("diff -r arch copied || diff -r arch copied/arch") == ""
    assert one.get("/tar?path=no").status == 404


def test_archives_that_break_off_leave_no_descriptor_behind(client, server):
    """Each left three in the server for good: whoever made a deep tree could use them up."""
    with session(client, size="4M") as deep:
        deep.shell("for i in $(seq 80); do mkdir d; cd d; done")
        before = host.descriptor_count(server.http_process.pid)
        for _ in range(12):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                sock.sendall(f"GET {deep.path}/tar?path=d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                answer = sock.recv(1000)
                time.sleep(0.3)  # it has ended, and nothing more comes of us
                answer += b"".join(iter(lambda: sock.recv(1 << 16), b""))
            assert len(answer) > 10000 and not answer.endswith(b"0\r\n\r\n")
        eventually(lambda: host.descriptor_count(server.http_process.pid) <= before + 3)


def test_archives_that_lead_out_or_are_none_are_refused(one):
    def pack(name, **what):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            member = tarfile.TarInfo(name)
            for key, value in what.items():
                setattr(member, key, value)
            archive.addfile(member)
        return out.getvalue()
    one.post("/mkdir", path="in")
    for data in (pack("../evil"), pack("/etc/evil"), pack("dev", type=tarfile.CHRTYPE),
                 b"this is no archive" * 100):
        answer = one.client.request("PUT", one.path + "/tar?path=in", data=data)
        assert answer.status < 500 and answer.status != 201, answer.text
    assert one.shell("find / -name evil -not -path '/proc/*' -not -path '/workspace/*' 2>/dev/null"
                     " | head -1") == ""
    assert one.shell("find in -type c") == ""
