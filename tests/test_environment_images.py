"""Environments from images, over HTTP: a registry on loopback, archives by the command line, and an
index for pip in the network of the build."""
import json
import subprocess

import pytest

import small_roots
from client import unique_name
from environments import create, delete, environment, layers, log
from network_world import World
from pip_index import PipIndex
from registry import Registry, make_layout, small_image
from server import Server, dunlin
from test_network_sandbox import inside

CODE = "import sys; print(sys.prefix, open('/etc/who').read())"


@pytest.fixture(scope="module")
def shop():
    """A registry with one image that has Python."""
    with Registry() as one:
        one.digest = small_image(one, "library/small:1", python=True,
                                 files={"/etc/who": "from the registry"})
        yield one


@pytest.mark.deadline(180)
def test_an_image_from_a_registry_on_loopback_becomes_a_base(make_server, shop):
    """Pulled once, by a registry that the operator named; its digest is in the record."""
    server = make_server(REGISTRIES=shop.address, REGISTRY_INSECURE=shop.address)
    client = server.client()
    reference = f"{shop.address}/library/small:1"
    made = create(client, "echo setup > /etc/done", base_image=reference)
    assert made["digest"] == shop.digest
    assert reference in made["base"]
    answer = client.run(CODE, environment=made["name"])
    assert answer["stdout"] == "/usr from the registry\n" and answer["isolation"]["warm"], answer.text
    again = create(client, "echo other > /etc/done", base_image=reference)
    assert again["shared_bytes"] == made["shared_bytes"] and again["build_seconds"] < 2, again.text
    images = client.get("/images").body["images"]
    assert [one["digest"] for one in images if one["name"] == reference] == [shop.digest]
    for one in (made, again):
        delete(client, one["name"])


@pytest.mark.deadline(180)
def test_an_unnamed_registry_on_loopback_is_not_reached(make_server, shop):
    """A client cannot make the server fetch from the host's own services (R61)."""
    server = make_server(REGISTRY_INSECURE=shop.address)
    client = server.client()
    small_image(shop, "library/hidden:1")
    failed = create(client, base_image=f"{shop.address}/library/hidden:1", status="failed")
    assert shop.address in failed["error"], failed["error"]
    assert "dunlin image import" in failed["error"], failed["error"]
    delete(client, failed["name"])


@pytest.mark.deadline(180)
def test_an_unknown_image_says_where_it_was_looked_for(make_server, shop):
    """And how to import one."""
    server = make_server(REGISTRIES=shop.address, REGISTRY_INSECURE=shop.address)
    client = server.client()
    before = layers(server.data)
    failed = create(client, base_image=f"{shop.address}/library/nothing:9", status="failed")
    assert "library/nothing:9" in failed["error"] and "dunlin image import" in failed["error"]
    delete(client, failed["name"])
    assert {one for one in layers(server.data) - before if one.endswith(".part")} == set()


@pytest.mark.deadline(180)
def test_an_archive_is_imported_and_used_and_removed(make_server, tmp_path):
    """dunlin image import FILE NAME; list; remove refuses while it is used; gc frees the disk."""
    server = make_server()
    client = server.client()
    root = small_roots.make(tmp_path / "root", python=True, files={"/etc/who": "an archive"})
    layout = make_layout(str(tmp_path), root)
    archive = tmp_path / "image.tar"
    subprocess.run(["tar", "-cf", archive, "-C", layout, "."], check=True)
    where = ["--url", server.url]
    done = dunlin("image", "import", archive, "mine", "--data", server.data, *where)
    assert done.returncode == 0, done.stdout + done.stderr
    with environment(client, "true", base_image="mine") as name:
        assert client.run(CODE, environment=name)["stdout"] == "/usr an archive\n"
        refused = dunlin("image", "remove", "mine", *where)
        assert refused.returncode == 1 and name in refused.stdout + refused.stderr
    listed = json.loads(dunlin("image", "list", "--json", *where).stdout)
    assert "mine" in json.dumps(listed)
    assert dunlin("image", "remove", "mine", *where).returncode == 0
    assert "mine" not in dunlin("image", "list", *where).stdout
    assert dunlin("image", "gc", *where).returncode == 0


@pytest.fixture(scope="module")
def world():
    """A host made of network namespaces, with an internet behind it."""
    one = World()
    try:
        yield one
    finally:
        one.close()


@pytest.mark.deadline(180)
def test_pip_installs_from_an_index_in_the_network_of_the_build(world, spare_directory):
    """The index is a public peer; the same script cannot reach it without a network."""
    address = "45.0.0.2"
    with PipIndex(address, 8765, ("ip", "netns", "exec", world.net_name)) as index:
        index.add("sandpiper")
        script = (f"pip install --index-url {index.url} --trusted-host {address} "
                  f"sandpiper # {unique_name()}")
        with inside(world.host_name):
            server = Server(spare_directory, {"NETWORK_DNS": "10.1.2.4"}).start()
            try:
                client = server.client()
                with environment(client, script) as name:
                    answer = client.run("import sandpiper; print(sandpiper.ANSWER)",
                                        environment=name)
                    assert answer["stdout"] == "42\n", answer.text
                    packages = client.get(f"/environments/{name}/packages")["packages"]
                    assert {"name": "sandpiper", "version": "1.0", "manager": "pip"} in packages
                failed = create(client, script.replace("pip install", "pip install --retries 0"),
                                build_network="none", status="failed")
                assert "sandpiper" in log(client, failed["name"])
                server.stop()
            finally:
                server.abandon()
