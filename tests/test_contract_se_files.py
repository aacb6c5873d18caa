"""The session routes of sandbox_runtime: files (contract B1)."""
import base64

import pytest

from se import PREFIX, Workspace, refusal, se_client, shared, value, workspace  # noqa: F401 (fixtures)
from slowness import stretched

ESCAPES = "child path would escape parent directory"
STARTS = "child path cannot start with '.' or '..'"
CLIMBS = "child path cannot contain '..'"


def test_create_writes_text_and_makes_folders(shared):
    assert shared.write("c/d/名.txt", "héllo") == {
        "filename": "c/d/名.txt", "name": "c/d/名.txt", "size": 6}
    assert shared.execute("cat c/d/*; stat -c %a c/d/*")["stdout"] == "héllo644\n"


@pytest.mark.parametrize("mode, shown", [(0o755, "755"), (0, "644"), (None, "644"), (0o600, "600")])
def test_create_sets_the_mode(shared, mode, shown):
    shared.write("m", "x", mode=mode)
    assert shared.execute("stat -c %a m")["stdout"] == shown + "\n"


def test_create_takes_code_for_content_and_replaces(shared):
    shared.write("r", "long text")
    assert value(shared.post("create", {"filename": "r", "code": "x"}))["size"] == 1
    assert shared.execute("cat r")["stdout"] == "x"


def test_create_takes_large_texts(shared):
    text = "é" * (2 << 20)
    assert shared.write("large", text)["size"] == 4 << 20
    assert shared.execute("sha256sum large | cut -c1-16")["stdout"].strip() == \
        __import__("hashlib").sha256(text.encode()).hexdigest()[:16]


def test_absolute_names_are_relative_to_the_session(shared):
    assert shared.write("/abs/x", "1")["filename"] == "/abs/x"
    assert shared.execute("cat abs/x")["stdout"] == "1"


@pytest.mark.parametrize("name, words", [
    ("../x", STARTS), ("..", STARTS), ("/../x", STARTS), ("./../x", STARTS), ("a/../b", CLIMBS),
    ("out/x", ESCAPES)])
def test_names_that_lead_out_are_refused_in_three_ways(shared, name, words):
    shared.execute("ln -sfn /etc out")
    answer = shared.post("create", {"filename": name, "content": "x"})
    refusal(answer, 400, "Invalid file path", words)
    refusal(shared.upload("f", b"x", filename=name), 400, "Invalid file path", words)
    answer = shared.client.get(f"{PREFIX}/readfile/{shared.id}/" + name.replace("../", "..%2F"))
    if words != STARTS:  # requests and the router take some of them for other paths
        refusal(answer, 400, "Invalid file path", words)


@pytest.mark.parametrize("body", [
    {}, {"content": "x"}, {"filename": "x"}, {"content": 1, "filename": "x"},
    {"content": "x", "filename": "x", "mode": "a"}, {"content": "x", "filename": "x", "mode": -1}])
def test_create_checks_its_body(shared, body):
    answer = shared.post("create", body)
    assert answer.status == 422
    assert "url" not in answer["detail"][0]


def test_create_in_a_full_session_changes_nothing(workspace):
    workspace.make(size="256K")
    workspace.write("a", "old")
    answer = workspace.post("create", {"filename": "a", "content": "x" * 1000000})
    assert answer.status == 507
    assert answer["message"] == "Failed to create file"
    assert workspace.execute("cat a")["stdout"] == "old"


# -- upload

def test_upload_takes_the_name_of_the_query_then_of_the_part(shared):
    data = bytes(range(256)) * 5000
    assert value(shared.upload("u.bin", data)) == {
        "filename": "u.bin", "name": "u.bin", "size": len(data)}
    assert value(shared.upload("u.bin", b"1", filename="sub/v.bin"))["filename"] == "sub/v.bin"
    assert shared.execute("sha256sum < u.bin; cat sub/v.bin")["stdout"].endswith("-\n1")
    assert shared.get("download", "u.bin").status == 200
    got = shared.client.session.get(f"{shared.client.url}{PREFIX}/download/{shared.id}/u.bin")
    assert got.content == data


def test_upload_takes_what_looks_like_the_end_of_its_part(shared):
    data = b"x\r\n--" * 400000
    answer = shared.upload("lines", data)
    assert value(answer)["size"] == len(data)
    assert answer.seconds < stretched(10)


def test_upload_ignores_a_filename_in_the_form_and_takes_empty_files(shared):
    answer = shared.client.request("POST", f"{PREFIX}/upload/{shared.id}",
                                   data={"filename": "no.txt"}, files={"file": ("yes.txt", b"")})
    assert value(answer) == {"filename": "yes.txt", "name": "yes.txt", "size": 0}
    assert "no.txt" not in shared.names()


def test_upload_without_a_name_or_a_file_is_refused(shared):
    url = f"{PREFIX}/upload/{shared.id}"
    boundary = b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\nx\r\n--B--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}

    def send(body, **more):
        return shared.client.request("POST", url, data=body, headers=headers, **more)
    refusal(send(boundary % (b"file", b'; filename=""')), 400, "No filename provided",
            "No filename provided")
    answer = send(boundary % (b"other", b'; filename="x"'))
    assert answer.status == 422
    assert answer["detail"][0]["loc"] == ["body", "file"]
    assert shared.client.post({}, path=url).status == 422


# -- download and preview

def test_download_is_an_attachment_with_ranges_and_tags(shared):
    shared.write("got/é x.txt", "0123456789")
    answer = shared.get("download", "got/é x.txt")
    assert (answer.status, answer.text) == (200, "0123456789")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=utf-8''%c3%a9%20x.txt" in disposition.lower()
    assert answer.headers["Last-Modified"].endswith("GMT")
    url = f"{PREFIX}/download/{shared.id}/got/é x.txt"
    part = shared.client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status, part.text, part.headers["Content-Range"]) == (206, "234", "bytes 2-4/10")
    same = shared.client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status == 304


def test_downloads_that_fail_say_so_in_the_predecessors_words(shared):
    shared.write("dir/x", "1")
    shared.execute("mkfifo -m 666 pipe; ln -sfn /etc/passwd leak")
    for name, status, text in (("nothing", 404, "File not found"), ("dir", 400, "Not a file"),
                               ("pipe", 400, "Not a file"), ("dir/x/y", 404, "File not found"),
                               ("leak", 400, f"Invalid file path: {ESCAPES}"),
                               ("a/..%2Fb", 400, f"Invalid file path: {CLIMBS}")):
        answer = shared.client.get(f"{PREFIX}/download/{shared.id}/{name}")
        assert (answer.status, answer["detail"]) == (status, text), name


def test_preview_shows_files_of_certain_types_inline(shared):
    shared.write("p/page.html", "<p>x</p>")
    shared.write("p/x.py", "1")
    base = f"{PREFIX}/files/preview/{shared.id}"
    answer = shared.client.get(f"{base}/p/page.html?sid=any")
    assert (answer.status, answer.text) == (200, "<p>x</p>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert shared.client.get(f"{base}/p/page.html").status == 422
    refusal(shared.client.get(f"{base}/p/x.py?sid=1"), 400, "File type not supported", "")
    refusal(shared.client.get(f"{base}/no.txt?sid=1"), 404, "File not found", "")


def test_a_session_called_preview_can_be_listed_one_folder_deep(se_client):
    one = Workspace(se_client, "preview")
    one.write("a/b.txt", "1")
    assert one.names() == []
    assert one.names("a") == ["a/b.txt"]
    one.delete()


# -- listing

def test_listing_shows_regular_files_only(workspace):
    workspace.write("a.tar.gz", "123")
    workspace.write("noext", "")
    workspace.write("d/e/f.txt", "x")
    workspace.write("d/stdout.log", "x")
    workspace.write("stderr.log", "x")
    workspace.execute("mkfifo pipe; ln -s noext link; mkdir empty; ln -s /etc out")
    found = value(workspace.client.get(f"{PREFIX}/files/{workspace.id}/"))["files"]
    entries = {entry["filename"]: (entry["size"], entry["type"]) for entry in found}
    assert entries == {"a.tar.gz": (3, "gz"), "noext": (0, "unknown")}
    assert all(entry["name"] == entry["filename"] for entry in found)
    assert workspace.names("d") == []
    assert workspace.names("d/e") == ["d/e/f.txt"]
    assert workspace.names(recursive="true") == ["a.tar.gz", "d/e/f.txt", "noext"]
    assert workspace.names("d", recursive="1") == ["d/e/f.txt"]
    assert workspace.names("nothing", recursive="yes") == []
    url = f"{PREFIX}/files/{workspace.id}"
    refusal(workspace.client.get(f"{url}/nothing"), 404, "Failed to list files", "")
    refusal(workspace.client.get(f"{url}/noext"), 404, "Failed to list files", "")
    refusal(workspace.client.get(f"{url}/a/..%2Fb"), 400, "Invalid path", CLIMBS)
    refusal(workspace.client.get(f"{url}/out"), 400, "Invalid path", ESCAPES)
    assert workspace.client.get(f"{url}/?recursive=maybe").status == 422


def test_listing_without_the_slash_is_redirected(shared):
    shared.write("listed", "x")
    url = f"{PREFIX}/files/{shared.id}"
    answer = shared.client.get(f"{url}?recursive=true")
    assert answer.status == 307
    assert answer.headers["Location"].endswith(f"{url}/?recursive=true")
    followed = shared.client.get(url, allow_redirects=True)
    assert "listed" in [entry["filename"] for entry in value(followed)["files"]]


# -- readfile

def test_readfile_gives_text_in_pieces_that_never_cut_a_character(shared):
    text = "aé中" * 500
    shared.write("t.txt", text)
    offset, found = 0, ""
    while True:
        piece = value(shared.get("readfile", "t.txt", offset=offset, buffer_size=100))
        assert piece["is_binary"] is False
        assert piece["size"] == len(text.encode())
        found += piece["content"]
        assert offset < piece["offset"] <= offset + 100
        offset = piece["offset"]
        if piece["is_eof"]:
            break
    assert found == text
    assert value(shared.get("readfile", "t.txt", offset=offset)) == {
        "content": "", "offset": offset, "size": offset, "is_eof": True}


def test_readfile_reads_4096_bytes_at_first(shared):
    shared.write("long.log", "x" * 10000)
    piece = value(shared.get("readfile", "long.log"))
    assert piece == {"content": "x" * 4096, "is_binary": False, "offset": 4096, "size": 10000,
                     "is_eof": False}


def test_readfile_takes_gbk_where_it_is_not_utf_8(shared):
    data = "中文,x\n".encode("gbk") + b"\xff"
    shared.upload("g.csv", data)
    piece = value(shared.get("readfile", "g.csv"))
    assert piece["content"] == data.decode("gbk", "replace")
    assert (piece["is_binary"], piece["is_eof"], piece["offset"]) == (False, True, len(data))


def test_readfile_gives_other_files_in_base64(shared):
    data = bytes(range(256))
    shared.upload("b.bin", data)
    piece = value(shared.get("readfile", "b.bin", offset=6, buffer_size=100))
    assert base64.b64decode(piece["content"]) == data[6:106]
    assert (piece["is_binary"], piece["offset"], piece["is_eof"]) == (True, 106, False)
    shared.write("plain", "text without an extension")
    assert value(shared.get("readfile", "plain"))["is_binary"] is True
    shared.write("empty.txt", "")
    assert value(shared.get("readfile", "empty.txt")) == {
        "content": "", "offset": 0, "size": 0, "is_eof": True}


def test_readfile_says_what_is_wrong(shared):
    shared.write("dir/x.txt", "1")
    refusal(shared.get("readfile", "nothing"), 404, "File not found", "")
    refusal(shared.get("readfile", "dir"), 400, "Not a file", "")
    refusal(shared.get("readfile", "dir/x.txt", offset=-1), 400, "Failed to read file",
            "Error: Invalid offset")
    assert shared.get("readfile", "dir/x.txt", offset="x").status == 422
