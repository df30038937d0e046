from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sbc.errors import ConfigError
from sbc.policy.text import read_text
from sbc.store import versions
from sbc.store.versions import KEPT, Version, Versions, put_back

FILES = {"sbc.yaml": b"version: 1\n", "profiles/mine.yaml": b"needs: {}\n"}


def test_what_was_added_is_there_for_the_next_process(tmp_path: Path) -> None:
    kept = Versions(tmp_path / "versions")
    version = kept.add("abc", FILES, 1000.5, "anna", 0)
    assert version == Version(1, "abc", 1000.5, "anna", 0)
    again = Versions(tmp_path / "versions")
    assert again.all() == [version]
    assert again.files(version) == FILES
    assert again.of("abc") == version
    assert again.of("other") is None
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "versions").rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_the_one_that_counts_and_ten_others_stay(tmp_path: Path) -> None:
    kept = Versions(tmp_path)
    first = kept.add("first", FILES, 0.0, "anna", 0)
    for number in range(20):
        last = kept.add(f"{number}", FILES, float(number), "anna", number)
        kept.drop_oldest(first.number)
    assert len(kept.all()) == KEPT + 1 == len(list(tmp_path.iterdir()))
    assert kept.find(first.number) == first
    kept.add("more", FILES, 0.0, "anna", last.number)
    kept.drop_oldest(last.number)
    assert kept.find(first.number) is None
    assert len(Versions(tmp_path).all()) == KEPT + 1


def test_what_is_torn_or_not_ours_does_not_count(tmp_path: Path) -> None:
    kept = Versions(tmp_path)
    version = kept.add("abc", FILES, 0.0, "anna", 0)
    (tmp_path / "000002-def.partial").mkdir()
    (tmp_path / "000003-def").mkdir()
    (tmp_path / "000004-def").mkdir()
    (tmp_path / "000004-def" / versions.ABOUT).write_text('{"number": 4}')
    assert Versions(tmp_path).all() == [version]
    assert not (tmp_path / "000002-def.partial").exists()


def test_a_disk_that_is_full_leaves_no_half_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Versions(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(versions, "write_file", full)
    with pytest.raises(ConfigError, match="No space left"):
        kept.add("abc", FILES, 0.0, "anna", 0)
    assert kept.all() == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_confirmed_is_known_after_a_restart(tmp_path: Path) -> None:
    kept = Versions(tmp_path)
    first = kept.add("abc", FILES, 0.0, "anna", 0)
    kept.add("def", FILES, 1.0, "anna", 1)
    assert kept.unconfirmed() is None
    kept.expect(first.number)
    assert Versions(tmp_path).unconfirmed() == first
    kept.settle()
    assert Versions(tmp_path).unconfirmed() is None
    (tmp_path / versions.UNCONFIRMED).write_text(json.dumps({"previous": 99}))
    assert Versions(tmp_path).unconfirmed() is None


def test_a_folder_becomes_what_it_was(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "policies", tmp_path / "elsewhere.yaml"
    (folder / "profiles").mkdir(parents=True)
    elsewhere.write_text("version: 2\n")
    (folder / "sbc.yaml").symlink_to(elsewhere)
    for name in ("new.yaml", "profiles/new.yaml", ".draft.yaml", "notes.txt"):
        (folder / name).write_text("new")
    put_back(folder, FILES)
    assert read_text(folder).files == FILES
    assert (folder / "sbc.yaml").is_symlink()
    assert elsewhere.read_bytes() == FILES["sbc.yaml"]
    assert (folder / ".draft.yaml").exists()
    assert (folder / "notes.txt").exists()
