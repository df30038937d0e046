"""Where the objects of a policy stand."""

from __future__ import annotations

from sbc.policy.document import Document
from sbc.policy.places import Places
from sbc.policy.problems import Place


def places(**files: str) -> Places:
    document = Document("folder")
    for name, text in files.items():
        document.read(name, text.encode())
    assert not document.problems
    return Places(document)


def test_keys_and_items_stand_where_they_are_written() -> None:
    found = places(
        a="trunks:\n  office: {realm: o,\n    accept_from: [10.0.0.1, 10.0.0.2]}\nroutes:\n  - name: x\n",
        b="trunks:\n  carrier:\n    peer: y\n",
    )
    assert found.of("trunks", "office") == Place("a", 2, 3)
    assert found.of("trunks", "office", "accept_from", 1) == Place("a", 3, 29)
    assert found.of("routes", 0, "name") == Place("a", 5, 5)
    assert found.of("trunks", "carrier", "peer") == Place("b", 3, 5)


def test_what_is_not_written_stands_in_what_should_have_it() -> None:
    found = places(a="trunks:\n  office: {realm: o}\n")
    assert found.of("trunks", "office", "trusted") == Place("a", 2, 3)
    assert not found.has("trunks", "office", "trusted")
    assert found.of("users", "alice") is None


def test_of_users_and_numbers_there_may_be_very_many() -> None:
    found = places(a="users:\n  alice: {realm: o, password: {env: X}}\n")
    assert found.of("users", "alice", "password", "env") == Place("a", 2, 3)
    assert len(found) == 2
