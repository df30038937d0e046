"""A policy as it is written: what is in its files, so that it can be kept, compared and put back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sbc.policy.problems import Place, PolicyErrors, Problem

PROFILES = "profiles"
Files = Mapping[str, bytes]
"""By name within the folder, in the order of the names: `sbc.yaml`, `profiles/mine.yaml`."""


@dataclass(frozen=True, slots=True)
class Text:
    """`folder`: where secrets are looked for, and what errors call the files, wherever these come from."""

    folder: Path
    files: Files

    def policy(self) -> Files:
        return {name: data for name, data in self.files.items() if "/" not in name}

    def profile(self, name: str) -> bytes | None:
        return self.files.get(f"{PROFILES}/{name}.yaml")

    def profiles(self) -> list[str]:
        return [Path(name).stem for name in self.files if name.startswith(f"{PROFILES}/")]


def read_text(folder: Path) -> Text:
    """All *.yaml files of `folder`, and of profiles/ in it. Raises PolicyErrors for what cannot be read."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for place in (folder, folder / PROFILES):
        for file in sorted(file for file in place.glob("*.yaml") if not file.name.startswith(".")):
            try:
                files[file.relative_to(folder).as_posix()] = file.read_bytes()
            except OSError as error:
                problems.append(Problem(Place(str(file)), (), f"cannot be read: {error.strerror}"))
    if problems:
        raise PolicyErrors(problems)
    return Text(folder, files)


def is_there(folder: Path, files: Files) -> bool:
    """Whether the folder has exactly these files."""
    with suppress(PolicyErrors):
        return read_text(folder).files == files
    return False
