from __future__ import annotations

from pathlib import Path

import pytest

from sbc.link.site_file import load_site
from sbc.policy.problems import PolicyErrors
from tests.unit.link.certificates import credential, write

PIN = ":".join(["AB"] * 32)
FILE = f"""\
version: 1
site: berlin
edge: "sbc.example.com:5063"
pin: "{PIN}"
certificate: berlin
pbx: {{listen: "udp://127.0.0.30:5060", peer: "sip:10.0.0.31"}}
media: {{address: 127.0.0.30, ports: 20000-20999}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "certs", "berlin", credential("berlin.example"))
    return tmp_path / "site.yaml"


def test_seven_lines_are_a_whole_policy(file: Path) -> None:
    file.write_text(FILE)
    loaded = load_site(file)
    snapshot = loaded.snapshot
    assert loaded.warnings == ()
    uplink = snapshot.realms["edge"].uplink
    assert uplink is not None
    assert (uplink.site, uplink.host, uplink.port, sorted(uplink.pins), uplink.connections) == ("berlin", "sbc.example.com", 5063, [PIN], 1)
    assert snapshot.realms["pbx"].uplink is None
    assert snapshot.trunks["edge"].link == "edge"
    assert snapshot.trunks["pbx"].accept_from == ("10.0.0.31/32",)
    assert [(route.when_trunk, route.send_to) for route in snapshot.routes] == [("pbx", ("edge",)), ("edge", ("pbx",))]


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("site: berlin\n", "", "needs 'site'"),
        (f'pin: "{PIN}"\n', "", "Give 'pin', or 'ca'"),
        ('"sbc.example.com:5063"', "sbc.example.com", "site.yaml:3:7: edge: write it as HOST:PORT"),
        ("certificate: berlin", "certificate: paris", "paris.pem: No such file"),
        ('"sip:10.0.0.31"', '"sip:pbx.example"', "say in accept_from"),
        ("version: 1", "version: 1\nports: 1", "ports: unknown key"),
    ],
)
def test_mistakes_are_told_with_their_place(file: Path, line: str, instead: str, problem: str) -> None:
    assert line in FILE
    file.write_text(FILE.replace(line, instead))
    with pytest.raises(PolicyErrors) as caught:
        load_site(file)
    assert problem in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyErrors, match="cannot be read"):
        load_site(tmp_path / "site.yaml")
