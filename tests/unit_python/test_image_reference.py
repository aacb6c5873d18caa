"""OCI references and mirrors, as runtime/image reads them."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "runtime/image"))

from image_maker import ImageError, reference  # noqa: E402

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("text, parts", [
    ("python", ("", "python", "", "")),
    ("python:3.12-slim", ("", "python", "3.12-slim", "")),
    ("user/name", ("", "user/name", "", "")),
    ("a.test/name", ("a.test", "name", "", "")),
    ("a.test:5000/x/y__z:T_1", ("a.test:5000", "x/y__z", "T_1", "")),
    ("localhost/name", ("localhost", "name", "", "")),
    ("localhost:1/name@" + DIGEST, ("localhost:1", "name", "", DIGEST)),
    ("name:tag@" + DIGEST, ("", "name", "tag", DIGEST)),
    ("[::1]:5000/name", ("[::1]:5000", "name", "", "")),
    ("10.0.0.1:80/a--b.c", ("10.0.0.1:80", "a--b.c", "", "")),
])
def test_a_reference_is_taken_apart(text, parts):
    assert tuple(reference.parse(text)) == parts


@pytest.mark.parametrize("text", [
    "", " ", "-", "--help", "Name", "a//b", "/a", "a/", "a:", "a:b:c", "a@", "a@sha256:0", "a b",
    "a\n", "a\0b", "..", "../a", "a/../b", "a.test:/b", "a.test:999999/b", "-a.test/b", "a.test/-b",
    "docker://a", "a:" + "t" * 129, "é", "a.test/b?c", "user:pass@a.test/b", "[::1/name", "a:-x",
])
def test_what_is_none_is_refused(text):
    with pytest.raises(ImageError):
        reference.parse(text)


@pytest.mark.parametrize("text, mirror, found", [
    ("python:3.12", "m.test", "m.test/library/python:3.12"),
    ("user/name", "m.test:5000/proxy/hub", "m.test:5000/proxy/hub/user/name:latest"),
    ("a:tag@" + DIGEST, "m.test", "m.test/library/a@" + DIGEST),
])
def test_a_mirror_goes_before_a_name(text, mirror, found):
    assert reference.text_of(reference.mirrored(reference.parse(text), mirror)) == found


@pytest.mark.parametrize("mirror", ["https://m.test", "m.test/", "-m", "m.test /x", "m.test/Upper"])
def test_a_bad_mirror_is_refused(mirror):
    with pytest.raises(ImageError):
        reference.mirrored(reference.parse("a"), mirror)
