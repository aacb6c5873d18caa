"""The apt sources that layers take over from the host."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "runtime/system"))

from system_image import apt_sources  # noqa: E402
from system_image.host import Host  # noqa: E402


def read(tmp_path, files):
    place = tmp_path / "etc/apt/sources.list.d"
    place.mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "etc/apt" / name).write_text(text)
    return apt_sources.read(Host(str(tmp_path)))


def test_comments_and_passwords_stay_behind(tmp_path):
    found = read(tmp_path, {
        "sources.list": "# mine: secret\ndeb http://a.test/debian stable main # x\n\n"
                        "deb [trusted=yes] https://u:secret@b.test/debian stable main\n"
                        "deb https://user@b.test/debian stable main\n"})
    assert found == {"etc/apt/sources.list": "deb http://a.test/debian stable main\n"}


def test_stanzas_with_passwords_or_disabled_stay_behind(tmp_path):
    found = read(tmp_path, {
        "sources.list.d/x.sources":
            "# secret\nTypes: deb\nURIs: http://a.test/debian\nSuites: stable\nComponents: main\n"
            " \nTypes: deb\nURIs: https://u:secret@b.test/\nSuites: x\n\n"
            "Enabled: no\nTypes: deb\nURIs: http://c.test/\nSuites: x\n\n\n",
        "sources.list.d/y.sources": "Types: deb\nURIs: https://u:secret@b.test/\nSuites: x\n",
        "sources.list.d/z.list.disabled": "deb http://d.test/ x main\n"})
    assert found == {"etc/apt/sources.list.d/x.sources":
                     "Types: deb\nURIs: http://a.test/debian\nSuites: stable\nComponents: main\n"}


def test_a_host_without_sources_gives_none(tmp_path):
    assert read(tmp_path, {}) == {}
