"""Fetching when the operator has not allowed it."""
from session_client import session

FILE = "http://files.example/x"


def refused(client):
    """The words of both routes, which must refuse."""
    with session(client) as it:
        for path, body in ((it.path + "/fetch", {"files": [{"url": FILE}]}),
                           (f"/workspace/se/download_from_efast/{it.id}",
                            {"file_params": [{"docid": "d"}]})):
            answer = client.post(body, path=path)
            assert answer.status == 403, answer.text
            yield answer["detail"]


def test_without_hosts_fetching_is_off(server):
    assert all("FETCH_HOSTS" in words for words in refused(server.client()))


def test_without_networks_fetching_says_what_to_set(make_server):
    client = make_server(FETCH_HOSTS="*", MAX_NETWORK="none").client()
    assert all("MAX_NETWORK is none: set it to bridge" in words for words in refused(client))
