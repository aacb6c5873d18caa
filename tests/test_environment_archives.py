"""Private registries, mirrors, and archives of every kind, through the whole server."""
import os
import sys

import pytest

import archives
import registry
import small_roots
from client import unique_name
from environments import create, delete, environment, log
from server import dunlin

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root makes sandboxes"),
              pytest.mark.deadline(300)]


@pytest.fixture(scope="module")
def python_root(tmp_path_factory):
    return small_roots.make(tmp_path_factory.mktemp("image") / "root", python=True)


def image_names(client):
    return sorted(one["name"] for one in client.get("/images")["images"])


def remove_image(client, name):
    assert client.request("DELETE", f"/images/{name}").status == 200, name


def import_image(server, path, name):
    return dunlin("image", "import", path, name, "--url", server.url, "--data", server.data)


def test_an_image_of_a_private_registry_becomes_an_environment(make_server, python_root, tmp_path):
    """With the operator's credentials, over the host's own network, its digest in the record."""
    with registry.Registry(account=("me", "secret")) as shop:
        digest = shop.push("team/python:1", python_root)
        (tmp_path / "auth.json").write_text(shop.auth_json())
        server = make_server(REGISTRIES=shop.address, REGISTRY_INSECURE=shop.address,
                             REGISTRY_AUTH_FILE=tmp_path / "auth.json")
        client = server.client()
        image = f"{shop.address}/team/python:1"
        with environment(client, "echo built > /opt/word", base_image=image) as name:
            answer = client.run("import sys; print(open('/opt/word').read(), sys.version_info[:2])",
                                environment=name)
            assert answer["stdout"] == f"built\n {sys.version_info[:2]}\n", answer.text
            assert answer["isolation"]["warm"]
            assert "secret" not in log(client, name) + server.log_text()
            listed = [one for one in client.get("/images")["images"] if one["name"] == image]
            assert [one["digest"] for one in listed] == [digest]
        remove_image(client, image)


def test_a_python_version_is_looked_for_at_the_mirror(make_server, python_root):
    with registry.Registry() as shop:
        shop.push("library/python:3.9-slim", python_root)
        server = make_server(REGISTRY_MIRROR=shop.address, REGISTRIES=shop.address,
                             REGISTRY_INSECURE=shop.address)
        client = server.client()
        with environment(client, "true", python_version="3.9") as name:
            assert shop.address in log(client, name)
            assert client.run("print('ran')", environment=name)["stdout"] == "ran\n"
        client.post({}, "/images/gc")
        assert image_names(client) == []


def test_what_a_registry_does_not_have_is_told(make_server, python_root):
    with registry.Registry() as shop:
        shop.push("team/foreign:1", python_root, architecture="s390x")
        server = make_server(REGISTRIES=f"{shop.address},127.0.0.1:1",
                             REGISTRY_INSECURE=shop.address)
        client = server.client()
        for image, reason in ((f"{shop.address}/team/none:1", "does not have it"),
                              (f"{shop.address}/team/foreign:1", "linux/s390x"),
                              ("127.0.0.1:1/team/x:1", "cannot be reached")):
            made = create(client, base_image=image, status="failed")
            assert reason in made["error"], made["error"]
            assert "dunlin image import" in made["error"]
            delete(client, made["name"])
        assert image_names(client) == []


@pytest.mark.parametrize("write", [archives.root_tar, archives.oci_tar, archives.docker_tar])
def test_an_imported_archive_becomes_an_environment(server, client, python_root, tmp_path, write):
    name = unique_name("mine")
    done = import_image(server, write(python_root, tmp_path / "a.tar"), name)
    assert done.returncode == 0, done.stdout + done.stderr
    with environment(client, "true", base_image=name) as made:
        assert client.run("print('ran')", environment=made)["stdout"] == "ran\n"
    remove_image(client, name)


def test_hostile_archives_are_refused_or_harmless(server, client, tmp_path):
    before = image_names(client)
    layers = sorted(os.listdir(server.data / "layers"))
    for path in archives.hostile(tmp_path).values():
        name = unique_name("bad")
        done = import_image(server, path, name)
        if done.returncode == 0:
            remove_image(client, name)
        else:
            assert "❌" in done.stdout, done.stdout + done.stderr
    (tmp_path / "junk").write_bytes(os.urandom(5000))
    done = import_image(server, tmp_path / "junk", unique_name("bad"))
    assert done.returncode == 1 and "neither a tar archive nor a compressed one" in done.stdout
    assert image_names(client) == before
    kept = set(os.listdir(server.data / "layers")) - set(layers)
    assert len(kept) <= 1, "at most the tools' own layer is new"
    assert os.listdir(server.data / "imports") == []
