"""The policies that have counted: a folder with one folder for each, `000012-3fe7a1b2c3d4/`, its files as they were and version.json.

What is kept is the one that counts and KEPT more, the newest. Only its owner may look: a policy has people's numbers in it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sbc.errors import ConfigError
from sbc.policy.text import Files

KEPT = 10
ABOUT = "version.json"
UNCONFIRMED = "unconfirmed.json"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Version:
    """digest    of the policy, as in logs and records
    since     when it began to count, seconds since the epoch
    by        who wanted it
    previous  the number of the one that counted before; 0: none that is known
    """

    number: int
    digest: str
    since: float
    by: str
    previous: int


class Versions:
    """Methods raise ConfigError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for torn in folder.glob(f"*{PARTIAL}"):  # the machine went down
                _remove(torn)
            self._known = {version.number: version for version in map(_read, folder.glob("[0-9]*-*")) if version is not None}
        except OSError as error:
            raise self._unusable(error) from error

    def all(self) -> list[Version]:
        """The newest first."""
        return sorted(self._known.values(), key=lambda version: -version.number)

    def find(self, number: int) -> Version | None:
        return self._known.get(number)

    def of(self, digest: str) -> Version | None:
        """The newest with that digest."""
        return next((version for version in self.all() if version.digest == digest), None)

    def add(self, digest: str, files: Files, since: float, by: str, previous: int) -> Version:
        """It counts now. Those that are too old go."""
        version = Version(max(self._known, default=0) + 1, digest, since, by, previous)
        partial = self.folder / (_name(version) + PARTIAL)
        try:
            partial.mkdir(mode=0o700)
            for name, data in (*files.items(), (ABOUT, _json(asdict(version)))):
                (partial / name).parent.mkdir(mode=0o700, exist_ok=True)
                write_file(partial / name, data)
            partial.rename(self.folder / _name(version))
        except OSError as error:
            _remove(partial)
            raise self._unusable(error) from error
        self._known[version.number] = version
        return version

    def remove(self, version: Version) -> None:
        """It never counted."""
        del self._known[version.number]
        _remove(self.folder / _name(version))

    def drop_oldest(self, current: int) -> None:
        """All but the one that counts, and the newest KEPT of the others."""
        for version in [each for each in self.all() if each.number != current][KEPT:]:
            self.remove(version)

    def files(self, version: Version) -> Files:
        """What its files were."""
        place = self.folder / _name(version)
        try:
            found = sorted(file for file in place.rglob("*.yaml"))
            return {file.relative_to(place).as_posix(): file.read_bytes() for file in found}
        except OSError as error:
            raise self._unusable(error) from error

    # A policy that has to be confirmed is taken back by the next process if this one does not live that long

    def expect(self, previous: int) -> None:
        """What counts is not confirmed yet, and `previous` is what to go back to."""
        try:
            write_file(self.folder / UNCONFIRMED, _json({"previous": previous}))
        except OSError as error:
            raise self._unusable(error) from error

    def settle(self) -> None:
        """It is, or was taken back."""
        with suppress(OSError):
            (self.folder / UNCONFIRMED).unlink()

    def unconfirmed(self) -> Version | None:
        """What an earlier process would have gone back to."""
        try:
            previous = json.loads((self.folder / UNCONFIRMED).read_bytes())["previous"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return self._known.get(previous)

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(f"versions of the policy: cannot use {error.filename or self.folder}: {error.strerror}")


def put_back(folder: Path, files: Files) -> None:
    """Make the policy folder what it was. Raises OSError; what was written by then stays."""
    for file in (*folder.glob("*.yaml"), *folder.glob("profiles/*.yaml")):
        if not file.name.startswith(".") and file.relative_to(folder).as_posix() not in files:
            file.unlink()
    for name, data in files.items():
        file = folder / name
        if not file.exists() or file.read_bytes() != data:
            file.parent.mkdir(exist_ok=True)
            write_file(file.resolve(), data, file.stat().st_mode & 0o777 if file.exists() else 0o644)


def write_file(file: Path, data: bytes, mode: int = 0o600) -> None:
    """All of it or nothing, also if the machine goes down. Raises OSError."""
    partial = file.with_name(f".{file.name}{PARTIAL}")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    partial.rename(file)


def _read(place: Path) -> Version | None:
    """None: somebody else's, or damaged."""
    try:
        return Version(**json.loads((place / ABOUT).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _name(version: Version) -> str:
    return f"{version.number:06d}-{version.digest}"


def _json(about: Mapping[str, object]) -> bytes:
    return json.dumps(about).encode() + b"\n"


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
