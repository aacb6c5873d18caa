"""Files of sessions over the real API, on durable and in-memory ones: every call, and whatever names,
links, races, sizes and archives a hostile program or client can come up with."""
import http.client
import io
import json
import socket
import tarfile
import time
from urllib.parse import quote

import pytest

from client import read_events, together, wait_until
from session_client import Session, session

MB = 1 << 20
LISTED = 10000  # LIMIT_FILE_ENTRIES
OUTSIDE = "/tmp/outside"  # within the sandbox, beside the workspace


class Reply:
    """An answer of http.client, read to its end or to where it broke off."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.is_whole = True
        try:
            self.body = response.read()
        except http.client.IncompleteRead as error:
            self.body, self.is_whole = error.partial, False

    @property
    def json(self):
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def detail(self):
        """The words of a refusal."""
        return self.json["detail"]


def connect(one):
    """A connection of its own to the server of a session."""
    return http.client.HTTPConnection("127.0.0.1", int(one.client.url.rsplit(":", 1)[1]), timeout=60)


def ask(one, method, target, body=None, headers=None):
    """Sends a target as it is, which `requests` would tidy up first."""
    connection = connect(one)
    try:
        connection.request(method, one.path + target, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def file_of(name):
    """The target of a file; a name is text or bytes."""
    return "/files/" + quote(name, safe="/")


def query(path, **more):
    """?path=... of a name of any bytes."""
    return "?path=" + quote(path, safe="") + "".join(f"&{k}={v}" for k, v in more.items())


def put(one, name, data=b"", **options):
    """Writes a file; the status."""
    words = "&".join(f"{k}={v}" for k, v in options.items())
    return ask(one, "PUT", file_of(name) + ("?" + words if words else ""), data)


def get(one, name, **headers):
    return ask(one, "GET", file_of(name), headers={k.replace("_", "-"): v for k, v in headers.items()})


def names(one, path="", **more):
    """Names of a listing."""
    answer = ask(one, "GET", "/ls" + query(path, **more))
    assert answer.status == 200, answer.body
    return sorted(entry["path"] for entry in answer.json["entries"])


def post(one, what, **body):
    return ask(one, "POST", "/" + what, json.dumps(body), {"Content-Type": "application/json"})


def run(one, code):
    """Runs Python that must succeed; its output."""
    answer = one.run(code)
    assert answer["exit_code"] == 0, answer.text[:2000]
    return answer["stdout"]


def no_traces(one):
    """Nothing of what was being written is seen, from inside."""
    return ".dunlin" not in one.shell("find /workspace")


@pytest.fixture(scope="module")
def both(server):
    """A durable session and one in memory."""
    client = server.client()
    made = {"durable": Session(client, size="64M"), "memory": Session(client, size="64M", ephemeral=True)}
    for one in made.values():
        one.shell(f"mkdir {OUTSIDE} && echo secret > {OUTSIDE}/file")
    yield made
    for one in made.values():
        one.delete()


@pytest.fixture(params=["durable", "memory"])
def one(request, both):
    """Both kinds, emptied."""
    what = both[request.param]
    ask(what, "POST", "/remove", json.dumps({"path": "", "recursive": True}),
        {"Content-Type": "application/json"})
    return what


@pytest.fixture
def durable(both):
    """The durable one, as it is."""
    return both["durable"]


# -- every call

def test_a_file_is_written_read_and_removed(one):
    made = put(one, "a/b/file.txt", b"0123456789", mode="0640")
    assert made.status == 201 and made.json["mode"] == "0640" and made.json["size"] == 10
    assert made.json["path"] == "a/b/file.txt" and made.json["type"] == "file"
    assert one.shell("stat -c '%u %g %a' a/b a/b/file.txt") == "1000 1000 755\n1000 1000 640\n"
    read = get(one, "a/b/file.txt")
    assert (read.status, read.body) == (200, b"0123456789")
    assert read.headers["Content-Disposition"].startswith("attachment")
    assert get(one, "a/b/file.txt", If_None_Match=read.headers["ETag"]).status == 304
    head = ask(one, "HEAD", "/files/a/b/file.txt")
    assert head.status == 200 and head.headers["Content-Length"] == "10"
    assert put(one, "a/b/file.txt", b"again").status == 200
    assert one.shell("stat -c %a a/b/file.txt; cat a/b/file.txt") == "640\nagain", "the mode stays"
    assert get(one, "a/b/file.txt").headers["ETag"] != read.headers["ETag"]
    assert put(one, "a/b/file.txt", b"x", exclusive="true").status == 409
    assert put(one, "a/b/file.txt", b" and more", append="true").status == 200
    assert put(one, "a/b/file.txt", b"AGAIN", offset=0).status == 200
    assert get(one, "a/b/file.txt").body == b"AGAIN and more"
    assert ask(one, "DELETE", "/files/a/b/file.txt").status == 204
    assert get(one, "a/b/file.txt").status == 404
    assert ask(one, "DELETE", "/files/a/b/file.txt").status == 404


def test_an_empty_file_is_one(one):
    assert put(one, "empty").status == 201
    read = get(one, "empty")
    assert (read.status, read.body, read.headers["Content-Length"]) == (200, b"", "0")
    assert get(one, "empty", Range="bytes=0-").status == 416


def test_trees_are_made_moved_copied_and_removed(one):
    assert post(one, "mkdir", path="d/e", mode="0750").status == 200
    put(one, "d/e/f", b"text")
    one.shell("ln -s e/f d/link; chmod 711 d")
    assert post(one, "copy", **{"from": "d", "to": "new/copy"}).status == 200
    assert one.shell("stat -c '%a %u %F %N' new/copy/* new/copy") == \
        "750 1000 directory 'new/copy/e'\n777 1000 symbolic link 'new/copy/link' -> 'e/f'\n" \
        "711 1000 directory 'new/copy'\n"
    assert post(one, "copy", **{"from": "d", "to": "new/copy"}).status == 409
    assert post(one, "copy", **{"from": "d", "to": "d/e/in"}).status == 400, "not into itself"
    put(one, "d/e/f", b"later")
    assert post(one, "copy", **{"from": "d", "to": "new/copy", "replace": True}).status == 200
    assert get(one, "new/copy/link").body == b"later"
    assert post(one, "move", **{"from": "new/copy", "to": "moved"}).status == 200
    assert names(one, recursive="true") == ["d", "d/e", "d/e/f", "d/link", "moved", "moved/e", "moved/e/f",
                                            "moved/link", "new"]
    assert post(one, "move", **{"from": "moved", "to": "d"}).status == 409
    assert post(one, "move", **{"from": "moved", "to": "d", "replace": True}).status == 200
    assert post(one, "move", **{"from": "d", "to": "d/x"}).status == 400
    assert post(one, "move", **{"from": "none", "to": "d/x"}).status == 404
    assert ask(one, "DELETE", "/files/d").status == 409
    assert post(one, "chmod", path="d", mode="6700", recursive=True).status == 200
    assert one.shell("stat -c %a d d/e d/e/f") == "700\n700\n700\n", "no set-user-ID"
    assert ask(one, "DELETE", "/files/d?recursive=true").status == 204
    assert names(one) == ["new"] and no_traces(one)


def test_search_usage_and_stat(one):
    put(one, "src/a.py", b"first\nneedle = 1\n")
    put(one, "src/B.txt", b"NEEDLE\n\xff\n")
    put(one, "src/binary", b"\0needle")
    found = ask(one, "GET", "/search?text=needle&path=src").json
    assert found == {"matches": [{"path": "src/a.py", "line": 2, "text": "needle = 1"}], "truncated": False}
    assert len(ask(one, "GET", "/search?text=NeedLe&ignore_case=true").json["matches"]) == 2
    named = ask(one, "GET", "/search?name=*.py").json["matches"]
    assert [match["path"] for match in named] == ["src/a.py"]
    assert ask(one, "GET", "/search?name=*&limit=2").json["truncated"]
    assert ask(one, "GET", "/search").status == 400
    told = ask(one, "GET", "/stat?path=src").json
    assert (told["type"], told["mode"], told["name"]) == ("directory", "0755", "src")
    usage = ask(one, "GET", "/usage").json
    assert 64 * MB <= usage["size"] < 65 * MB and 0 < usage["used"] < 8 * MB and usage["inodes_used"] > 3


def test_an_archive_takes_everything_along(one):
    put(one, "t/a", b"a" * 1000)
    one.shell("cd t; ln -s a link; ln a hard; mkdir -p d/empty; chmod 640 a; mkfifo fifo; truncate -s 3M sparse")
    packed = ask(one, "GET", "/tar?path=t")
    assert packed.status == 200 and packed.is_whole and packed.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(packed.body)) as archive:
        kinds = {member.name: member.type for member in archive}
    assert kinds.pop("a") != kinds.pop("hard") and kinds == {
        "link": tarfile.SYMTYPE, "d": tarfile.DIRTYPE, "d/empty": tarfile.DIRTYPE, "sparse": tarfile.REGTYPE}
    answer = ask(one, "PUT", "/tar?path=made/of/it", packed.body)
    assert (answer.status, answer.json) in [(404, answer.json), (200, {"entries": 6})]
    post(one, "mkdir", path="u")
    assert ask(one, "PUT", "/tar?path=u", packed.body).json == {"entries": 6}
    assert one.shell("cd u; stat -c '%a %h %u' a; readlink link; cmp a ../t/a; ls") == \
        "640 2 1000\na\na\nd\nhard\nlink\nsparse\n"


# -- names

@pytest.mark.parametrize("name", [b"new\nline", b"quote\"\\'", b"per%cent?#&+ ", b"a" * 255,
                                  "ümlaut-\u4e2d".encode(), b"-rf", b"\x01\x7f", b".dunlin-", b" ", b"..."])
def test_names_of_any_bytes_are_one_file(one, name):
    made = put(one, b"dir/" + name, name)
    assert made.status == 201, made.body
    assert run(one, "import os; print(os.listdir(b'dir'))") == f"{[name]}\n"
    assert get(one, b"dir/" + name).body == name
    listed = ask(one, "GET", "/ls?path=dir").json["entries"]
    assert [entry["name"] for entry in listed] == [name.decode()]
    assert ask(one, "GET", "/stat" + query(b"dir/" + name)).json["size"] == len(name)
    with tarfile.open(fileobj=io.BytesIO(ask(one, "GET", "/tar?path=dir").body)) as archive:
        assert archive.getnames() == [name.decode()]
    assert ask(one, "DELETE", file_of(b"dir/" + name)).status == 204
    assert names(one) == ["dir"]


@pytest.mark.parametrize("target", ["a" * 256, "..", "../x", "a/../../x", "a/..", "%2e%2e/x", "..%2Fx",
                                    "a%2F..%2F..%2Fx",
                                    "%00", "a%00b", "%2Fetc/passwd", "/etc/passwd", "a/" * 2100 + "x"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_names_that_cannot_be_are_refused(one, target, method):
    answer = ask(one, method, "/files/" + target, b"x" if method == "PUT" else None)
    assert answer.status == 400, answer.body
    assert names(one) == []
    assert one.shell("ls /tmp/x || true; cat /etc/passwd | wc -l") != ""


def test_a_name_that_is_no_text_is_listed_packed_and_removed(one):
    run(one, "import os; os.mkdir('d'); open(b'd/\\xff\\xfe', 'w').write('x')")
    assert [entry["name"] for entry in ask(one, "GET", "/ls?path=d").json["entries"]] == ["\ufffd\ufffd"]
    packed = ask(one, "GET", "/tar?path=d").body
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["\udcff\udcfe"]
    assert ask(one, "PUT", "/tar?path=d", packed).json == {"entries": 1}
    assert get(one, b"d/\xff\xfe").status == 400, "no client can name it"
    assert ask(one, "DELETE", "/files/d?recursive=true").status == 204 and names(one) == []


def test_an_encoded_slash_is_a_slash(one):
    assert put(one, "a/b", b"x").status == 201
    assert ask(one, "GET", "/files/a%2Fb").body == b"x"
    assert ask(one, "GET", "/files/./a//b").body == b"x"


def test_trees_of_any_depth_are_bounded_and_removed(one):
    run(one, "import os\nfor i in range(300):\n os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('x', 'w')")
    listed = ask(one, "GET", "/ls?recursive=true").json
    assert listed["truncated"] and 60 <= len(listed["entries"]) <= 70
    for what in ("/tar", "/search?text=x"):
        assert ask(one, "GET", what).status in (200, 400)
    assert post(one, "copy", **{"from": "d" * 200, "to": "copy"}).status == 400
    assert names(one) == ["d" * 200] and no_traces(one)
    assert ask(one, "DELETE", "/files/" + "d" * 200 + "?recursive=true").status == 204
    assert names(one) == [] and no_traces(one)


# -- links

LINKS = {"absolute": "/tmp/outside", "relative": "../tmp/outside", "deep": "a/../../tmp/outside",
         "proc": "/proc/1/root/tmp", "chain": "absolute", "own": "/proc/self/root/workspace", "fd": "/proc/self/fd", "up": ".."}


def test_links_that_lead_out_lead_nowhere(one):
    one.shell("mkdir a; " + "; ".join(f"ln -s {to} {name}" for name, to in LINKS.items()))
    for name in LINKS:
        for answer in (get(one, f"{name}/file"), put(one, f"{name}/file", b"bad"), put(one, f"{name}/new", b"bad"),
                       put(one, f"{name}/file", b"bad", append="true"), put(one, f"{name}/file", b"bad", offset=0),
                       ask(one, "DELETE", f"/files/{name}/file"), ask(one, "GET", f"/ls?path={name}"),
                       ask(one, "GET", f"/tar?path={name}"), ask(one, "PUT", f"/tar?path={name}", b""),
                       ask(one, "GET", f"/search?path={name}&text=secret"), ask(one, "GET", f"/watch?path={name}"),
                       post(one, "mkdir", path=f"{name}/new"), post(one, "chmod", path=f"{name}", mode="0777"),
                       post(one, "move", **{"from": "a", "to": f"{name}/new"}),
                       post(one, "move", **{"from": f"{name}/file", "to": "stolen"}),
                       post(one, "copy", **{"from": f"{name}/file", "to": "stolen"})):
            assert answer.status in (400, 403), (name, answer.status, answer.body)
            assert b"secret" not in answer.body
    assert one.shell(f"ls {OUTSIDE}; cat {OUTSIDE}/file") == "file\nsecret\n"
    assert set(names(one)) == {"a", *LINKS}
    told = ask(one, "GET", "/stat?path=absolute").json
    assert (told["type"], told["target"]) == ("link", "/tmp/outside")
    assert ask(one, "DELETE", "/files/absolute?recursive=true").status == 204
    assert one.shell(f"cat {OUTSIDE}/file") == "secret\n", "the link goes, not what it names"


def test_links_inside_are_followed_and_loops_end(one):
    put(one, "d/file", b"here")
    one.shell("ln -s d rel; ln -s /workspace/d abs; ln -s abs chain; ln -s loop2 loop1; ln -s loop1 loop2; "
              "ln -s nowhere dangling; ln -s . self")
    for name in ("rel", "abs", "chain", "self/self/abs"):
        assert get(one, f"{name}/file").body == b"here"
        assert put(one, f"{name}/file", b"here").status == 200
    for name in ("loop1", "loop1/x"):
        assert get(one, name).status == 400
        assert put(one, name, b"x").status == 400
    assert put(one, "dangling", b"made").status == 201 and get(one, "nowhere").body == b"made"
    assert names(one, "self") == ["self/" + name for name in names(one)]


SWAP = """
import ctypes, os, time
os.makedirs('d/sub'); open('d/file', 'w').write('mine'); open('d/sub/file', 'w').write('mine')
os.symlink('/tmp/outside', 'bad')
rename = ctypes.CDLL(None).renameat2
for i in range(1 << 40):
    rename(-100, b'bad', -100, b'd', 2)  # RENAME_EXCHANGE
    time.sleep(i % 7 * 0.0002)
"""


def test_a_directory_swapped_for_a_link_never_leads_out(one):
    put(one, "swap.py", SWAP.encode())
    process = one.background("python3 swap.py")
    wait_until(lambda: "bad" in one.shell("ls /workspace"), 10, "it swaps")
    end = time.monotonic() + 1.5
    counts = {}
    while time.monotonic() < end:
        for i, answer in enumerate((
                get(one, "d/file"), put(one, "d/new", b"bad"), put(one, "d/file", b"mine"),
                put(one, "d/file", b"", append="true"), ask(one, "GET", "/tar?path=d"),
                ask(one, "GET", "/ls?path=d&recursive=true"),
                post(one, "copy", **{"from": "d", "to": "copied", "replace": True}),
                post(one, "chmod", path="d", mode="0777", recursive=True), ask(one, "DELETE", "/files/d/new"),
                ask(one, "GET", "/search?path=d&text=secret"), post(one, "mkdir", path="d/made"))):
            assert b"secret" not in answer.body
            assert answer.status in (200, 201, 204, 400, 404, 409, 503), answer.body
            counts[i, answer.status] = counts.get((i, answer.status), 0) + 1
    assert any(status == 200 for _, status in counts) and any(status == 400 for _, status in counts), counts
    ask(one, "DELETE", f"/processes/{process}")
    assert one.shell(f"ls {OUTSIDE}; cat {OUTSIDE}/file; stat -c %a {OUTSIDE}/file") == "file\nsecret\n644\n"
    assert "secret" not in one.shell("find copied -type f -exec cat {} +"), "nor was it copied"


# -- what is no file

def test_what_is_no_file_is_never_waited_for(one):
    run(one, "import os, socket\nos.mkfifo('fifo'); socket.socket(socket.AF_UNIX).bind('socket'); os.mkdir('dir')\n"
             "os.symlink('/dev/zero', 'zero'); os.symlink('/proc/self/mem', 'mem'); os.symlink('fifo', 'link')")
    for name, statuses in {"fifo": [409], "socket": [409], "dir": [409], "link": [409], "zero": [400], "mem": [400]}.items():
        for answer in (get(one, name), ask(one, "HEAD", file_of(name)), get(one, name, Range="bytes=0-3"),
                       put(one, name, b"x", append="true"), put(one, name, b"x", offset=1)):
            assert answer.status in statuses, (name, answer.status, answer.body)
    kinds = {entry["name"]: entry["type"] for entry in ask(one, "GET", "/ls").json["entries"]}
    assert kinds == {"fifo": "other", "socket": "other", "dir": "directory", "zero": "link", "mem": "link", "link": "link"}
    assert post(one, "copy", **{"from": "fifo", "to": "x"}).status == 409
    assert post(one, "copy", **{"from": "socket", "to": "x"}).status == 409
    assert put(one, "fifo", b"now a file").status == 200 and get(one, "fifo").body == b"now a file"
    assert put(one, "dir", b"x").status == 409


def test_modes_do_not_hinder_the_client(one):
    one.shell("mkdir shut; echo text > shut/file; chmod 0 shut/file shut")
    assert one.exec("cat shut/file")["exit_code"] != 0
    assert get(one, "shut/file").body == b"text\n"
    assert names(one, "shut") == ["shut/file"]
    assert ask(one, "GET", "/search?text=text").json["matches"][0]["path"] == "shut/file"
    assert put(one, "shut/file", b"new").status == 200 and put(one, "shut/more", b"new").status == 201
    assert one.shell("stat -c '%a %u' shut") == "0 1000\n"
    assert ask(one, "GET", "/tar?path=shut").status == 200
    assert ask(one, "DELETE", "/files/shut?recursive=true").status == 204


def test_holes_and_hard_links_stay(one):
    one.shell("truncate -s 40M sparse; printf end | dd of=sparse bs=1 seek=41943037 conv=notrunc status=none; echo old > a; ln a b")
    assert get(one, "sparse", Range="bytes=-3").body == b"end"
    assert post(one, "copy", **{"from": "sparse", "to": "copy"}).status == 200
    assert int(one.shell("cmp sparse copy; stat -c %b copy")) < 100
    assert len(get(one, "sparse").body) == 40 * MB
    put(one, "a", b"new")
    assert one.shell("cat b") == "old\n", "a file that is written is another one"
    put(one, "b", b"er", append="true")
    assert one.shell("cat b") == "old\ner"


# -- ranges, offsets, limits

@pytest.mark.parametrize("text,status,body", [
    ("bytes=2-4", 206, b"234"), ("bytes=7-100", 206, b"789"), ("bytes=-4", 206, b"6789"), ("bytes=-100", 206, b"0123456789"),
    ("bytes=10-", 416, None), ("bytes=-0", 416, None), ("bytes=99999999999999999999-", 416, None),
    ("bytes=0-18446744073709551616", 206, b"0123456789"), ("bytes=18446744073709551615-18446744073709551616", 416, None),
    ("bytes=5-2", 200, b"0123456789"), ("bytes=0-1,4-5", 200, b"0123456789"), ("bytes=x", 200, b"0123456789"),
    ("lines=0-1", 200, b"0123456789"), ("bytes=-", 200, b"0123456789"), ("bytes=--1", 200, b"0123456789")])
def test_ranges(durable, text, status, body):
    put(durable, "digits", b"0123456789")
    answer = get(durable, "digits", Range=text)
    assert answer.status == status and (body is None or answer.body == body)
    assert status != 416 or answer.headers["Content-Range"] == "bytes */10"


def test_offsets_are_bounded(one):
    put(one, "file", b"0123")
    assert put(one, "file", b"x", offset=8).status == 200 and get(one, "file").body == b"0123\0\0\0\0x"
    assert put(one, "file", b"xx", offset=2**63 - 1).status in (400, 413)
    for offset in (2**63, 2**64, -1, "x", ""):
        assert put(one, "file", b"xx", offset=offset).status == 422
    assert put(one, "none", b"x", offset=0).status == 404
    assert put(one, "file", b"x", offset=0, append="true").status == 400
    assert ask(one, "GET", "/stat?path=file").json["size"] == 9
    assert put(one, "file", b"x", mode="8").status == 422
    assert put(one, "file", b"x", mode="7777").json["mode"] == "1777", "no set-user-ID, no set-group-ID"


def test_listings_stop_at_ten_thousand(both):
    with session(both["durable"].client, size="128M") as one:
        one.shell("mkdir many; cd many; seq -f f%.0f 10050 | xargs touch")
        listed = ask(one, "GET", "/ls?path=many").json
        assert listed["truncated"] and len(listed["entries"]) == LISTED
        assert ask(one, "GET", "/search?name=f*").json["truncated"]
        assert len(ask(one, "GET", "/ls?path=many&limit=7").json["entries"]) == 7
        assert ask(one, "GET", "/ls?path=many&limit=10001").status == 422
        with tarfile.open(fileobj=io.BytesIO(ask(one, "GET", "/tar?path=many").body)) as archive:
            assert len(archive.getnames()) == 10050
        assert post(one, "remove", path="many", recursive=True).status == 204
        assert names(one) == []


# -- files that change while they are read

def open_get(one, name):
    """A GET whose body is not read yet: the connection, and its answer."""
    connection = connect(one)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sock.settimeout(60)
    connection.sock.connect(("127.0.0.1", connection.port))
    connection.request("GET", one.path + file_of(name))
    return connection, connection.getresponse()


def test_a_file_that_shrinks_breaks_the_answer_off(one):
    one.shell("head -c 20000000 /dev/zero > file")
    connection, response = open_get(one, "file")
    assert response.status == 200 and response.headers["Content-Length"] == "20000000"
    one.shell("truncate -s 1000 file")
    reply = Reply(response)
    connection.close()
    assert not reply.is_whole and 1000 <= len(reply.body) < 20000000
    assert set(reply.body) == {0}, "nothing but bytes of the file"
    assert get(one, "file").body == bytes(1000)


@pytest.mark.parametrize("change", ["rm file", "mv file other", "head -c 5000 /dev/zero | tr '\\0' x >> file",
                                    "echo new > new; mv new file"])
def test_a_file_that_grows_or_goes_is_read_as_it_was(one, change):
    one.shell("head -c 12000000 /dev/zero > file")
    connection, response = open_get(one, "file")
    one.shell(change)
    reply = Reply(response)
    connection.close()
    assert reply.is_whole and reply.body == bytes(12000000)


# -- uploads

def start_put(one, name, length, data, **options):
    """A PUT of `length` bytes, or chunked without one, of which only `data` is sent; its connection."""
    connection = connect(one)
    words = "&".join(f"{k}={v}" for k, v in options.items())
    connection.putrequest("PUT", one.path + file_of(name) + ("?" + words if words else ""))
    connection.putheader(*(("Content-Length", str(length)) if length else ("Transfer-Encoding", "chunked")))
    connection.endheaders()
    connection.send(data if length else b"%x\r\n" % len(data) + data + b"\r\n")
    return connection


@pytest.mark.parametrize("length", [3 * MB, None])
def test_an_upload_that_is_cut_off_changes_nothing(one, length):
    put(one, "file", b"old")
    before = ask(one, "GET", "/usage").json["used"]
    for name in ("file", "new"):
        connection = start_put(one, name, length, b"x" * MB)
        wait_until(lambda: ask(one, "GET", "/usage").json["used"] > before + MB // 2, 5, "some of it is there")
        assert get(one, "file").body == b"old" and names(one) == ["file"] and no_traces(one)
        connection.close()
        wait_until(lambda: ask(one, "GET", "/usage").json["used"] < before + MB // 2, 5, "it is gone")
    assert get(one, "file").body == b"old" and names(one) == ["file"]


@pytest.mark.parametrize("ephemeral", [False, True])
def test_a_full_workspace_keeps_the_old_file(both, ephemeral):
    with session(both["memory"].client, ephemeral=ephemeral, size="4M") as one:
        put(one, "file", b"old" * 1000)
        used = ask(one, "GET", "/usage").json["used"]

        def chunks():
            for _ in range(128):
                yield b"x" * 65536

        assert put(one, "file", b"x" * (8 * MB)).status == 507, "announced"
        assert put(one, "file", chunks()).status == 507, "not announced"
        assert put(one, "new", chunks()).status == 507
        assert one.shell("fallocate -l 2500K ballast || head -c 2560000 /dev/zero > ballast; ls") == "ballast\nfile\n"
        for target in ("copy", "deep/copy"):
            answer = post(one, "copy", **{"from": "ballast", "to": target})
            assert answer.status == 507 and "full" in answer.detail
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("big")
            member.size = 3 * MB
            tar.addfile(member, io.BytesIO(b"x" * member.size))
        assert ask(one, "PUT", "/tar", archive.getvalue()).status == 507
        assert get(one, "file").body == b"old" * 1000 and no_traces(one)
        assert [name for name in names(one) if name != "deep"] == ["ballast", "file"]
        one.shell("rm ballast")
        wait_until(lambda: ask(one, "GET", "/usage").json["used"] <= used + 16384, 5, "nothing is left")
        assert put(one, "file", chunks(), append="true").status == 507
        assert get(one, "file").body.startswith(b"old" * 1000 + b"x" * MB), "each piece that is there stays"


def test_two_uploads_to_one_name_leave_one_of_them(one):
    bodies = [bytes([65 + i]) * 700000 for i in range(6)]
    answers = together([lambda body=body: put(one, "file", body) for body in bodies])
    assert {answer.status for answer in answers} <= {200, 201}
    assert get(one, "file").body in bodies and names(one) == ["file"] and no_traces(one)
    answers = together([lambda body=body: put(one, "one", body, exclusive="true") for body in bodies])
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
    together([lambda body=body: put(one, "log", body, append="true") for body in bodies])
    assert sorted(set(get(one, "log").body)) == [65 + i for i in range(6)]
    assert ask(one, "GET", "/stat?path=log").json["size"] == 6 * 700000


# -- archives

def tar_of(*members):
    """An archive of (name, type, target or bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                archive.addfile(member)
    return out.getvalue()


FILE, LINK, HARD, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize("members", [
    [("../out", FILE, b"bad")], [("a/../../out", FILE, b"bad")], [("l", LINK, "/tmp/outside"), ("l/file", FILE, b"bad")],
    [("l", LINK, ".."), ("l/out", FILE, b"bad")], [("h", HARD, "../x/secret")], [("l", LINK, "/tmp/outside"), ("h", HARD, "l/file")],
    [("l", LINK, "../x"), ("l/secret", FILE, b"bad")], [("d", DIR, ""), ("d", LINK, "/tmp/outside"), ("d/file", FILE, b"bad")]])
def test_no_member_leads_out_of_the_directory(one, members):
    put(one, "x/secret", b"kept")
    post(one, "mkdir", path="in")
    answer = ask(one, "PUT", "/tar?path=in", tar_of(*members))
    assert answer.status in (400, 404, 409), (answer.status, answer.body)
    assert one.shell(f"cat x/secret {OUTSIDE}/file; ls {OUTSIDE}") == "keptsecret\nfile\n"
    assert names(one) == ["in", "x"]


def test_an_archive_with_members_twice_takes_the_last(one):
    members = [("/etc/passwd", FILE, b"beneath"), ("f", FILE, b"one"), ("f", FILE, b"two"), ("l", FILE, b"file"), ("l", LINK, "f"),
               ("l", FILE, b"no link any more"), ("dev", tarfile.CHRTYPE, ""), ("fifo", tarfile.FIFOTYPE, "")]
    assert ask(one, "PUT", "/tar", tar_of(*members)).status == 200
    assert one.shell("cat etc/passwd f l") == "beneathtwono link any more" and names(one) == ["etc", "f", "l"]


def huge_member():
    member = tarfile.TarInfo("huge")
    member.size = 1 << 60
    return member.tobuf(tarfile.GNU_FORMAT) + b"x" * 512


@pytest.mark.parametrize("archive", [huge_member(), tar_of(("a", FILE, b"x" * 5000))[:1500], b"no archive at all" * 100, b"x",
                                     b"\x1f\x8b" + b"gzip" * 300])
def test_a_damaged_archive_is_refused_in_words(one, archive):
    answer = ask(one, "PUT", "/tar", archive)
    assert answer.status in (400, 507) and answer.detail
    assert names(one) == [] and no_traces(one)
    assert ask(one, "PUT", "/tar", b"").json == {"entries": 0}


# -- watching

class Watch:
    """The events of a watch, as they come."""

    def __init__(self, one, target):
        self.connection = connect(one)
        self.connection.request("GET", one.path + target)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.events = read_events(iter(lambda: self.response.read1(65536), b""), time.monotonic())
        assert next(self.events).name == "ready"

    def until(self, path):
        """(name, path, directory, to) of each, up to the first that speaks of this path."""
        seen = []
        for event in self.events:
            seen.append((event.name, event.data["path"], event.data["directory"], event.data.get("to")))
            if path in seen[-1]:  # or a kind
                return seen
        return seen

    def close(self):
        self.response.close()
        self.connection.close()


def test_a_watch_tells_what_changes(one):
    post(one, "mkdir", path="w/sub")
    put(one, "w/old", b"x")
    watch, flat = Watch(one, "/watch?path=w&recursive=true"), Watch(one, "/watch?path=w")
    put(one, "w/sub/new", b"x" * 100000)
    put(one, "w/old", b"y")
    post(one, "move", **{"from": "w/sub/new", "to": "w/moved"})
    one.shell("mkdir -p w/sub/a/b; touch w/sub/a/b/c; rm w/moved; touch w/end")
    seen = watch.until("w/end")
    for event in [("created", "w/sub/new", False, None), ("modified", "w/old", False, None),
                  ("moved", "w/sub/new", False, "w/moved"), ("created", "w/sub/a", True, None),
                  ("created", "w/sub/a/b/c", False, None), ("removed", "w/moved", False, None)]:
        assert event in seen, (event, seen)
    assert not any(".dunlin" in str(event) for event in seen)
    assert ("created", "w/old", False, None) not in seen, "it was there"
    told = flat.until("w/end")
    assert ("modified", "w/old", False, None) in told, told
    assert {path for _, path, _, _ in told} == {"w/old", "w/moved", "w/end", "w/sub"} - ({"w/sub"} if not any(
        path == "w/sub" for _, path, _, _ in told) else set())
    watch.close()
    flat.close()
    assert ask(one, "GET", "/watch?path=none").status == 404
    assert ask(one, "GET", "/watch?path=w/old").status in (404, 409)


def test_a_watch_that_is_not_read_says_that_it_lost_some(both):
    with session(both["memory"].client, ephemeral=True, size="64M") as one:
        watch = Watch(one, "/watch")
        run(one, "import os\nopen('a' * 250, 'w')\nfor i in range(120000): os.rename(*(x * 250 for x in ('ab', 'ba')[i % 2]))")
        assert watch.until("lost")
        one.shell("touch end")
        assert ("created", "end", False, None) in watch.until("end")
        watch.close()


# -- the end

def test_a_session_that_is_removed_ends_its_calls(both):
    client = both["memory"].client
    one = Session(client, size="64M")
    one.shell("head -c 30000000 /dev/zero > file")
    watch = Watch(one, "/watch")
    connection, response = open_get(one, "file")
    upload = start_put(one, "new", 3 * MB, b"x" * MB)
    assert one.delete() == 204
    assert not Reply(response).is_whole
    assert watch.until("never") == []
    try:
        answer = Reply(upload.getresponse())
        assert answer.status in (404, 503) and answer.detail
    except (ConnectionError, http.client.RemoteDisconnected):
        pass
    for it in (connection, upload, watch):
        it.close()
    assert get(one, "file").status == 404


def test_files_are_there_after_sleep(both):
    with session(both["durable"].client, size="8M") as one:
        put(one, "d/file", b"kept", mode="0600")
        one.sleep()
        assert get(one, "d/file").body == b"kept" and one.shell("stat -c '%a %u' d/file") == "600 1000\n"


def test_what_was_left_unfinished_is_swept_at_the_next_wake(both):
    """Names of exactly our own form, at the top, and no others."""
    form = ".dunlin-" + "0123456789abcdef" * 2
    others = [form[:-1], form + "0", form.upper(), ".dunlin-x", "d/" + form]
    with session(both["durable"].client, size="8M") as one:
        one.shell(f"mkdir -p {form}/deep/er d; touch {form}/deep/file; chmod 0 {form}/deep; touch {' '.join(others)}; "
                  f"ln -s /tmp {form[:-1]}0")
        one.sleep()
        left = one.shell("ls -A; ls -A d").split()
        assert form not in left[:left.index("d") + 1] and form[:-1] + "0" not in left
        assert {name.rsplit("/", 1)[-1] for name in others} <= set(left)


def test_processes_are_told_with_their_ids(both):
    with session(both["memory"].client, ephemeral=True, size="16M") as one:
        cold = one.background("sleep 1001 & exec -a 'odd) Z name' sleep 1002")
        one.run("pass")  # from now on a warm interpreter is kept ready
        warm = one.client.post({"code": "import time; time.sleep(1003)", "background": True}, path=one.path + "/run")["process"]
        wait_until(lambda: len(ask(one, "GET", "/processes?all=true").json["tree"]) >= 3, 10, "all of them run")
        answer = ask(one, "GET", "/processes?all=true").json
        tree = answer["tree"]
        by_id = {entry["process"]: entry for entry in tree if entry["process"]}
        assert not any(entry["pid"] == 1 for entry in tree)
        assert set(by_id) == {cold, warm} == {entry["process"] for entry in answer["processes"] if entry["running"]}
        assert by_id[cold]["command"] == "odd) Z name 1002" and by_id[cold]["state"] == "S"
        assert [entry["parent"] for entry in tree if entry["command"] == "sleep 1001"] == [by_id[cold]["pid"]]
        assert by_id[warm]["memory_mb"] > 1 and "python" in by_id[warm]["command"]
        assert {entry["process"]: entry["pid"] for entry in answer["processes"] if entry["running"]} == \
            {number: entry["pid"] for number, entry in by_id.items()}
