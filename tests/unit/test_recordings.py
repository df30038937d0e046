"""The folder of recordings: for its owner only, and never too full."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from sbc.recording.files import calls_in, unbundled
from sbc.store import recordings
from sbc.store.recordings import RecordingFolder, Shelf
from tests.unit.net.bench import run, until


class Call:
    """A recording of a few octets."""

    def __init__(self, number: int, *policies: str, size: int = 10) -> None:
        self._number = number
        self._policies = policies
        self._size = size
        self.told = True

    def began(self) -> str:
        return f"2027011{self._number}T080000.000"

    def call(self) -> str:
        return f"call{self._number}"

    def encode(self) -> bytes:
        if not self.told:
            raise KeyError("what nobody shall read in a log")
        return b"x" * self._size

    def policy(self, digest: str) -> bytes:
        return digest.encode()

    def digests(self) -> tuple[str, ...]:
        return self._policies


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_REG_07_a_recording_is_for_its_owner_only(tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "var" / "recordings"
        failures: list[tuple[str, int]] = []
        kept = RecordingFolder(folder, asyncio.get_running_loop(), lambda text, lost: failures.append((text, lost)))
        assert not folder.exists(), "nothing is made before there is something to keep"
        kept.write(Call(1, "aa"))
        await until(lambda: folder.exists() and len(names(folder)) == 2, 2.0)
        kept.write(Call(2, "aa"))
        kept.close()
        assert names(folder) == ["20270111T080000.000.call1.aa.sbc", "20270112T080000.000.call2.aa.sbc", "policy-aa.json"]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
        assert failures == []

    run(scene())


def test_a_folder_that_stood_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir(mode=0o755)
    Shelf(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_oldest_are_dropped_and_policies_no_call_is_left_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "KEPT", 2)
    shelf = Shelf(tmp_path)
    for call in (Call(1, "aa"), Call(2, "aa", "bb"), Call(3, "bb")):
        shelf.add([call])
    shelf.drop_oldest()
    assert names(tmp_path) == [
        "20270112T080000.000.call2.aa.bb.sbc",
        "20270113T080000.000.call3.bb.sbc",
        "policy-aa.json",
        "policy-bb.json",
    ]
    again = Shelf(tmp_path)  # a process that was started anew knows what is there
    again.add([Call(4, "cc")])
    again.drop_oldest()
    assert names(tmp_path) == ["20270113T080000.000.call3.bb.sbc", "20270114T080000.000.call4.cc.sbc", "policy-bb.json", "policy-cc.json"]


def test_their_octets_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "KEPT_OCTETS", 1_000)
    shelf = Shelf(tmp_path)
    for number in (1, 2, 3):
        shelf.add([Call(number, size=400)])
    shelf.drop_oldest()
    assert names(tmp_path) == ["20270112T080000.000.call2.sbc", "20270113T080000.000.call3.sbc"]


def test_somebody_else_may_tidy_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "KEPT", 1)
    shelf = Shelf(tmp_path)
    shelf.add([Call(1)])
    (tmp_path / "20270111T080000.000.call1.sbc").unlink()
    shelf.add([Call(2)])
    shelf.drop_oldest()
    assert names(tmp_path) == ["20270112T080000.000.call2.sbc"]


def test_a_link_laid_out_for_us_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "20270111T080000.000.call1.sbc.partial").symlink_to(target)
    Shelf(folder).add([Call(1)])
    assert target.read_text() == "precious"
    assert (folder / "20270111T080000.000.call1.sbc").read_bytes() == b"x" * 10


def test_a_flood_of_calls_is_no_flood_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "WRITES_AT_ONCE", 3.0)

    async def scene() -> None:
        failures: list[tuple[str, int]] = []
        kept = RecordingFolder(tmp_path, asyncio.get_running_loop(), lambda text, lost: failures.append((text, lost)))
        for number in range(9):
            kept.write(Call(number))
        await until(lambda: failures != [], 2.0)
        kept.close()
        assert failures == [("more than 100 a second", 6)]
        assert [calls_in(name) for name in names(tmp_path)] == [3]

    run(scene())


def test_a_disk_that_refuses_is_told_of(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "file").write_text("")
        failures: list[tuple[str, int]] = []
        kept = RecordingFolder(tmp_path / "file", asyncio.get_running_loop(), lambda text, lost: failures.append((text, lost)))
        kept.write(Call(1))
        await until(lambda: failures != [], 2.0)
        kept.write(Call(2))
        kept.close()
        assert [lost for _, lost in failures] == [1, 1]
        assert "file" in failures[0][0]

    run(scene())


def test_a_call_that_cannot_be_told_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    async def scene() -> None:
        failures: list[tuple[str, int]] = []
        kept = RecordingFolder(tmp_path, asyncio.get_running_loop(), lambda text, lost: failures.append((text, lost)))
        kept.write(Call(1))
        broken = Call(2)
        broken.told = False
        kept.write(broken)
        assert failures == [("call2: KeyError", 1)], "at once, for it is made where the call ended"
        kept.write(Call(3))
        kept.close()
        assert names(tmp_path) == ["20270111T080000.000.call1+1.sbc"]

    run(scene())


def test_calls_that_end_together_are_in_one_file_and_count_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "KEPT", 4)
    shelf = Shelf(tmp_path)
    shelf.add([Call(1, "aa", size=7), Call(2, "aa", "bb", size=9)])
    name = "20270111T080000.000.call1+1.aa.bb.sbc"
    assert names(tmp_path) == [name, "policy-aa.json", "policy-bb.json"]
    assert unbundled((tmp_path / name).read_bytes()) == [("call1", b"x" * 7), ("call2", b"x" * 9)]
    again = Shelf(tmp_path)
    again.add([Call(3, "aa"), Call(4, "aa")])
    again.drop_oldest()
    assert name in names(tmp_path)
    again.add([Call(5, "aa")])
    again.drop_oldest()
    assert names(tmp_path) == ["20270113T080000.000.call3+1.aa.sbc", "20270115T080000.000.call5.aa.sbc", "policy-aa.json"]


def test_what_a_disk_did_not_take_at_once_is_written_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "WRITTEN_AT_ONCE", 2)
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: os.write(descriptor, pieces[0][:4]))
    shelf = Shelf(tmp_path)
    shelf.add([Call(1, size=7), Call(2, size=9), Call(3, size=5)])
    assert [len(octets) for _, octets in unbundled((tmp_path / "20270111T080000.000.call1+2.sbc").read_bytes())] == [7, 9, 5]
