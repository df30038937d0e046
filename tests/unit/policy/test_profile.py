"""Profiles: whose keys count, which profiles there are, and what may stand in one."""

from __future__ import annotations

import pytest

from sbc.policy import model
from sbc.policy.profile import OWN, SHIPPED, names
from sbc.policy.text import read_text
from tests.unit.policy.conftest import MINIMAL, Folder

TLS = MINIMAL.replace("udp://127.0.0.1:5060]", "tls://127.0.0.1:5061], certificate: edge")


def with_trunk(keys: str, text: str = TLS) -> str:
    return text + f"trunks:\n  pbx: {{realm: outside, accept_from: [192.0.2.1], {keys}}}\n"


def test_a_trunk_has_the_keys_of_its_profile_and_its_own_come_first(folder: Folder) -> None:
    loaded = folder.load(with_trunk("profile: asterisk"))
    trunk = loaded.snapshot.trunks["pbx"]
    assert (trunk.services.transfers, trunk.services.redirects, trunk.media.srtp) == ("perform", "follow", "required")
    assert loaded.inherited["pbx"].keys == ("transfers", "redirects", "media")
    assert loaded.inherited["pbx"].file == str(SHIPPED / "asterisk.yaml")
    own = folder.load(with_trunk("profile: asterisk, transfers: refuse, media: plain"))
    assert (own.snapshot.trunks["pbx"].services.transfers, own.snapshot.trunks["pbx"].media.srtp) == ("refuse", "off")
    assert own.inherited["pbx"].keys == ("redirects",)


def test_a_media_object_of_the_policy_stands_for_the_one_of_the_profile(folder: Folder) -> None:
    text = with_trunk("profile: asterisk", TLS.replace("media: {", "media: {asterisk: {srtp: off, codecs: [G722]}, "))
    assert folder.load(text).snapshot.trunks["pbx"].media.codecs == ("G722",)


def test_several_trunks_of_one_profile_and_a_policy_without_media(folder: Folder) -> None:
    text = TLS.replace("media: {plain: {srtp: off, codecs: [PCMA]}}\n", "")
    text += "trunks:\n" + "".join(f"  t{each}: {{realm: outside, accept_from: [192.0.2.{each}], profile: 3cx}}\n" for each in (1, 2))
    snapshot = folder.load(text).snapshot
    assert snapshot.trunks["t1"].media == snapshot.trunks["t2"].media


def test_an_unknown_profile_is_one_error_that_lists_the_known(folder: Folder) -> None:
    (error,) = folder.errors(with_trunk("profile: asteriks"))
    known = "3cx, asterisk, freepbx, generic-carrier, teams"
    assert error == f"a.yaml:8:60: trunks.pbx.profile: there is no profile 'asteriks', did you mean 'asterisk'?; there are: {known}"
    assert len(folder.errors(with_trunk('profile: "../../secret"'))) == 1


def test_what_else_is_wrong_with_such_a_trunk_is_said_too(folder: Folder) -> None:
    errors = folder.errors(with_trunk("profile: asterisk, transferz: refuse"))
    assert len(errors) == 1
    assert "did you mean 'transfers'?" in errors[0]


def test_a_profile_of_ones_own_comes_before_those_we_ship(folder: Folder) -> None:
    (folder.path / "profiles").mkdir()
    (folder.path / "profiles" / "asterisk.yaml").write_text("trunk: {early_offer: true}\n")
    (folder.path / "profiles" / "hotel.yaml").write_text("needs: {srtp: none}\nmedia: {srtp: off, codecs: [PCMU]}\n")
    trunk = folder.load(with_trunk("profile: asterisk, media: plain")).snapshot.trunks["pbx"]
    assert trunk.early_offer
    assert trunk.services.transfers == "refuse"
    assert folder.load(with_trunk("profile: hotel")).snapshot.trunks["pbx"].media.codecs == ("PCMU",)
    assert "hotel" in names(read_text(folder.path))
    before = folder.load(with_trunk("profile: hotel")).snapshot.digest
    (folder.path / "profiles" / "hotel.yaml").write_text("media: {srtp: off, codecs: [PCMA]}\n")
    assert folder.load(with_trunk("profile: hotel")).snapshot.digest != before, "it is part of the policy"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("trunks: {}\n", "profiles/own.yaml:1:1: trunks: unknown key, did you mean 'trunk'?; a profile has needs, trunk, media"),
        ("trunk: {trusted: true}\n", "profiles/own.yaml:1:9: trunk.trusted: is for the trunk itself to say"),
        ("trunk: {early_ofer: true}\n", "profiles/own.yaml:1:9: trunk.early_ofer: unknown key, did you mean 'early_offer'?"),
        ("trunk: {early_offer: maybe}\n", "profiles/own.yaml:1:22: trunks.pbx.early_offer: must be true or false"),
        ("- trunk\n", "profiles/own.yaml:1:1: must be a mapping: 'key: value'"),
        ("trunk: {", "profiles/own.yaml:2:1: not YAML: "),
    ],
)
def test_mistakes_in_a_profile_are_found_where_they_are(folder: Folder, text: str, error: str) -> None:
    (folder.path / "profiles").mkdir()
    (folder.path / "profiles" / "own.yaml").write_text(text)
    assert folder.errors(with_trunk("profile: own, media: plain"))[0].startswith(error)


def test_a_profile_without_media_leaves_it_to_the_trunk(folder: Folder) -> None:
    (folder.path / "profiles").mkdir()
    (folder.path / "profiles" / "own.yaml").write_text("trunk: {early_offer: true}\n")
    assert folder.errors(with_trunk("profile: own")) == ["a.yaml:8:3: trunks.pbx: needs 'media'"]


def test_no_profile_may_say_what_is_one_peers_own() -> None:
    assert model.TrunkModel.model_fields.keys() >= OWN
    assert {key for key in model.TrunkModel.model_fields if key.startswith("insecure_")} <= OWN
