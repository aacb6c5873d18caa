"""Files from the network into sessions, over real HTTP and real networks (R61, contract B7)."""
import json
import subprocess
import sys

import pytest
import requests

import host
from client import wait_until
from network_world import ROOT, World
from server import Server
from session_client import session
from test_network_sandbox import inside

PORT = 8080
FILES = f"http://files.example:{PORT}"
SECRET = "secret-5f1e0d"
STORE_TOKEN = "secret-of-the-operator-77aa"
HOSTS = ("files.example,*.cdn.example,private.example,45.0.0.2,45.0.0.1,10.1.2.3,169.254.169.254,"
         "127.0.0.1")


@pytest.fixture(scope="module")
def world():
    """A host with a network, a name server, and a web server in the internet."""
    one = World()
    web = None
    try:
        one.net.serve_names("10.1.2.4", "45.0.0.2", "10.1.2.3")
        web = subprocess.Popen(["ip", "netns", "exec", one.net_name, sys.executable,
                                ROOT / "tests/network/files.py", str(PORT)],
                               stdout=subprocess.PIPE, text=True)
        assert web.stdout.readline() == "ready\n"
        yield one
    finally:
        if web is not None:
            web.kill()
            web.wait()
            web.stdout.close()
        one.close()


@pytest.fixture(scope="module")
def fetching(world, spare_directory):
    """A server on that host that may fetch; everything in the tests happens on that host."""
    with inside(world.host_name):
        one = Server(spare_directory, {
            "NETWORK_DNS": "10.1.2.4", "FETCH_HOSTS": HOSTS, "FETCH_MAX_SIZE": "200m",
            "NETWORK_RATE": "0", "DOWNLOADER_TIMEOUT": "20", "EFAST_TOKEN": STORE_TOKEN,
            "EFAST_DOWNLOADER_URL": f"http://store.example:{PORT}"})
        try:
            yield one.start()
            assert SECRET not in one.log_text() and STORE_TOKEN not in one.log_text()
            one.stop()
            one.assert_nothing_left()
        finally:
            one.abandon()


@pytest.fixture(scope="module")
def one(fetching):
    """A session there."""
    with session(fetching.client(), size="300M") as it:
        yield it


def fetch(it, *files, **more):
    """The results of fetching these: URLs, or objects."""
    files = [{"url": file} if isinstance(file, str) else file for file in files]
    answer = it.client.post({"files": files, **more}, path=it.path + "/fetch")
    assert answer.status == 200, answer.text
    assert [result["url"] for result in answer["results"]] == [file["url"] for file in files]
    return answer["results"]


def asked():
    """What the web server has been asked since the last call."""
    return requests.get(f"http://45.0.0.2:{PORT}/asked", timeout=10).json()


def test_files_come_into_the_session(one):
    results = fetch(one, FILES + "/a.txt", {"url": FILES + "/size?n=3000000", "path": "in/new/big"},
                    FILES + "/chunked", f"http://x.cdn.example:{PORT}/%e4%bd%a0?q", FILES)
    assert results == [
        {"url": FILES + "/a.txt", "path": "a.txt", "success": True, "size": 5, "status": 200,
         "error": None},
        {"url": FILES + "/size?n=3000000", "path": "in/new/big", "success": True, "size": 3000000,
         "status": 200, "error": None},
        {"url": FILES + "/chunked", "path": "chunked", "success": True, "size": 5, "status": 200,
         "error": None},
        {"url": f"http://x.cdn.example:{PORT}/%e4%bd%a0?q", "path": "你", "success": True,
         "size": 9, "status": 200, "error": None},
        {"url": FILES, "path": "download", "success": True, "size": 0, "status": 200,
         "error": None}]
    assert one.shell("cat a.txt chunked; wc -c < in/new/big; stat -c '%u %a' a.txt; ls -A") == \
        "a.txtabcde3000000\n1000 644\na.txt\nchunked\ndownload\nin\n你\n"


def test_a_file_that_cannot_be_had_changes_nothing(one):
    one.shell("echo old > kept")
    urls = [FILES + path for path in ("/missing", "/cut", "/chunked?cut=1", "/size?n=300000000")]
    results = fetch(one, *[{"url": url, "path": "kept" if i == 1 else f"new/{i}"}
                           for i, url in enumerate(urls)])
    assert [(r["success"], r["size"], r["status"], r["error"]) for r in results] == [
        (False, 0, 404, "404 Not Found: there is no such file"),
        (False, 0, 200, "cut off after 4 bytes"),
        (False, 0, 200, "cut off"),
        (False, 0, 200, "larger than 209715200 bytes (FETCH_MAX_SIZE)")]
    assert one.shell("cat kept; find new -type f | wc -l") == "old\n0\n"


@pytest.mark.parametrize("url, words", [
    ("http://other.example/x", "the host other.example is not among"),
    ("http://cdn.example/x", "the host cdn.example is not among"),
    (f"http://files.example.evil.net:{PORT}/x", "is not among"),
    ("ftp://files.example/x", "only http:// and https://"),
    ("file:///etc/passwd", "only http:// and https://"),
    (f"http://u:p@files.example:{PORT}/x", "without a user name"),
    ("http://files.example:99999/x", "the URL is wrong"),
    ("http://10.1.2.3/x", "private or reserved"),
    ("http://169.254.169.254/latest", "private or reserved"),
    ("http://127.0.0.1/x", "private or reserved"),
    (f"http://private.example:{PORT}/x", "the address 10.1.2.3, which is private"),
    (f"{FILES}/redirect?to=http://10.1.2.3:{PORT}/x", "private or reserved"),
    (f"{FILES}/redirect?to=http://private.example:{PORT}/x", "the address 10.1.2.3"),
    (f"{FILES}/redirect?to=http://other.example/x", "is not among"),
    (f"{FILES}/redirect?to=file:///etc/passwd", "only http:// and https://"),
    (f"{FILES}/loop", "more than 5 redirects"),
])
def test_what_must_not_be_fetched_is_not(one, url, words):
    result = fetch(one, {"url": url, "path": "refused"})[0]
    assert not result["success"] and words in result["error"], result
    assert one.shell("ls refused 2>&1 || true").endswith("No such file or directory\n")


def test_the_filter_refuses_the_host_itself(one, fetching):
    result = fetch(one, {"url": f"http://45.0.0.1:{fetching.port}/health", "path": "refused"})[0]
    assert not result["success"] and "refused" in result["error"], result


def test_headers_go_to_their_origin_only(one):
    asked()
    secret = {"Authorization": SECRET, "X-Key": SECRET}
    there = f"http://x.cdn.example:{PORT}/there"
    results = fetch(one, {"url": FILES + "/here", "headers": secret},
                    {"url": f"{FILES}/redirect?to=/near", "headers": secret, "path": "near"},
                    {"url": f"{FILES}/redirect?to={there}", "headers": secret, "path": "far"})
    assert all(result["success"] for result in results)
    told = {path: headers for _, path, headers, _ in asked()}
    for path in ("/here", "/near"):
        assert told[path]["Authorization"] == told[path]["X-Key"] == SECRET
    assert SECRET not in json.dumps(told["/there"])


def test_a_full_workspace_is_told(fetching):
    with session(fetching.client(), size="4M") as small:
        result = fetch(small, FILES + "/size?n=20000000")[0]
        assert not result["success"] and result["error"] == "the workspace is full"
        assert small.shell("ls -A; echo good > after; cat after") == "good\n"


def test_names_that_lead_out_are_refused(one):
    one.shell("ln -s / out; mkdir folder")
    results = fetch(one, {"url": FILES + "/a", "path": "out/tmp/x"},
                    {"url": FILES + "/a", "path": "folder"})
    assert [result["error"] for result in results] == [
        "the path leads out of the workspace", "the path is a directory"]
    for path in ("../x", "/x", "a/../../x", ""):
        answer = one.client.post({"files": [{"url": FILES, "path": path}]}, path=one.path + "/fetch")
        assert answer.status == 422, path


def test_a_file_that_is_too_slow_is_given_up(one):
    results = fetch(one, FILES + "/endless", {"url": FILES + "/silent", "path": "silent"},
                    timeout=1)
    assert results[0]["error"] == "not complete after 1 s"
    assert results[1]["error"] == "no answer in time"


def fetchers(server):
    """The processes that are fetching."""
    return [one for one in server.tree() if b"fetch/fetch.py" in host.read(one.pid, "cmdline")]


def test_a_client_that_goes_away_ends_it(one, fetching):
    files = [{"url": FILES + "/endless", "path": f"gone/{i}"} for i in range(5)]
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(one.client.url + one.path + "/fetch", timeout=2, json={"files": files})
    wait_until(lambda: not fetchers(fetching), 5, "nobody fetches any more")
    assert one.shell("find gone -type f 2>/dev/null | wc -l") == "0\n"
    assert fetch(one, FILES + "/still")[0]["success"]


def memory_kb(process):
    """What a process has in memory."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_the_server_holds_next_to_nothing_of_a_file(one, fetching, record_property):
    before = memory_kb(fetching.http_process)
    result = fetch(one, {"url": FILES + "/size?n=150000000", "path": "large"})[0]
    assert result["success"] and result["size"] == 150000000, result
    grown = memory_kb(fetching.http_process) - before
    record_property("grown_kb", grown)
    assert grown < 16 << 10
    assert one.shell("wc -c < large; rm large") == "150000000\n"


# -- documents of a store

def efast(it, *params, **more):
    """download_from_efast; the answer."""
    return it.client.post({"file_params": list(params), **more},
                          path=f"/workspace/se/download_from_efast/{it.id}")


def test_documents_come_in_two_steps(one):
    asked()
    answer = efast(one, {"docid": f"where={FILES}/content", "savename": "a b.txt"},
                   {"docid": "gns://none", "savename": "sub/x", "rev": "3"},
                   {"docid": f"where={FILES}/more"}, save_path="docs", timeout=None)
    assert answer.status == 200, answer.text
    assert answer["message"] == "下载完成: 2个成功, 1个失败, 共3 个文件"
    assert [answer[f"{what}_count"] for what in ("success", "failed", "total")] == [2, 1, 3]
    assert answer["save_path"] == "docs"
    assert answer["results"] == [
        {"success": True, "file_path": "docs/a b.txt",
         "file_info": {"name": "name in the store", "size": 7, "rev": "rev1"},
         "downloaded_size": 7, "total_size": 7, "index": 0, "docid": f"where={FILES}/content",
         "savename": "a b.txt"},
        {"success": False, "error": "the document store answers 403: no access to this document",
         "save_path": "docs", "rev": "3", "index": 1, "docid": "gns://none", "savename": "sub/x"},
        {"success": True, "file_path": "docs/downloaded_file_2",
         "file_info": {"name": "name in the store", "size": 4, "rev": "rev1"},
         "downloaded_size": 4, "total_size": 4, "index": 2, "docid": f"where={FILES}/more",
         "savename": "downloaded_file_2"}]
    inner = {name: value for name, value in answer.body.items()
             if name not in ("result", "full_result")}
    assert answer["result"] == answer["full_result"] == inner
    assert one.shell("cat docs/*") == "contentmore"
    requests_seen = asked()
    first = next(r for r in requests_seen if r[0] == "POST" and "content" in r[3])
    assert first[1] == "/api/efast/v1/file/osdownload/"
    assert json.loads(first[3]) == {"docid": f"where={FILES}/content", "savename": "a b.txt",
                                    "rev": ""}
    assert first[2]["Authorization"] == "Bearer " + STORE_TOKEN
    got = next(r for r in requests_seen if r[1] == "/content")
    assert got[2]["Authorization"] == "AWS signed" and STORE_TOKEN not in json.dumps(got)


def test_tokens_go_where_they_belong(one):
    asked()
    document = {"docid": f"where={FILES}/t", "savename": "t"}
    assert efast(one, document, efast_url=FILES)["success_count"] == 1
    assert efast(one, document, efast_url=FILES, token=SECRET)["success_count"] == 1
    assert efast(one, document, token=SECRET)["success_count"] == 1
    tokens = [headers.get("Authorization") for method, _, headers, _ in asked() if method == "POST"]
    assert tokens == [None, "Bearer " + SECRET, "Bearer " + SECRET]
    refused = efast(one, document, efast_url="http://other.example")
    assert "is not among" in refused["results"][0]["error"]
    hidden = efast(one, {"docid": "where=http://10.1.2.3/x", "savename": "t"})
    assert "private" in hidden["results"][0]["error"]


@pytest.mark.parametrize("body, words", [
    ({"file_params": []}, "No file parameters provided"),
    ({"file_params": [{"savename": "x"}]}, "Missing docid in file_params[0]"),
    ({"file_params": [{"docid": "d", "savename": "a..b"}]},
     "Invalid filename: a..b (cannot contain '..')"),
    ({"file_params": [{"docid": "d", "savename": "/etc/x"}]},
     "Invalid filename: /etc/x (must be relative)"),
    ({"file_params": [{"docid": "d"}], "save_path": "../up"},
     "Failed to create save path: child path cannot start with '.' or '..'"),
])
def test_wrong_requests_get_the_predecessors_words(one, body, words):
    answer = one.client.post(body, path=f"/workspace/se/download_from_efast/{one.id}")
    assert (answer.status, answer["detail"]) == (400, words)


def test_a_document_may_be_fetched_into_a_session_that_is_new(fetching):
    client = fetching.client()
    answer = client.post({"file_params": [{"docid": f"where={FILES}/n", "savename": "d/n"}]},
                         path="/workspace/se/download_from_efast/made-by-efast")
    assert answer.status == 200 and answer["success_count"] == 1, answer.text
    assert client.get("/v1/sessions/made-by-efast/files/d/n").text == "n"
    client.request("DELETE", "/v1/sessions/made-by-efast")
