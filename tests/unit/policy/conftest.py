"""A folder to write policies into, with everything they may refer to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from media.api import Suite
from sbc import devcerts
from sbc.policy.load import Loaded, load_policy
from sbc.policy.problems import PolicyErrors

MINIMAL = """\
version: 1
realms:
  outside: {signalling: [udp://127.0.0.1:5060], relay: {address: 127.0.0.1, ports: 20000-20999}}
  inside: {signalling: [udp://127.0.0.2:5060], relay: {address: 127.0.0.2, ports: 30000-30999}}
media: {plain: {srtp: off, codecs: [PCMA]}}
emergency: {outside: none, inside: none}
"""


@dataclass
class Folder:
    root: Path

    @property
    def path(self) -> Path:
        return self.root / "policies"

    def load(self, *texts: str, suites: Collection[Suite] = tuple(Suite)) -> Loaded:
        """The first text is a.yaml, the second b.yaml and so on."""
        for old in self.path.glob("*.yaml"):
            old.unlink()
        for name, text in zip("abcdef", texts, strict=False):
            (self.path / f"{name}.yaml").write_text(text)
        return load_policy(self.path, suites)

    def errors(self, *texts: str) -> list[str]:
        """One line per problem, without the folder."""
        with pytest.raises(PolicyErrors) as caught:
            self.load(*texts)
        return str(caught.value).replace(f"{self.path}/", "").splitlines()

    def warnings(self, *texts: str) -> list[str]:
        return [str(warning).replace(f"{self.path}/", "") for warning in self.load(*texts).warnings]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certs")
    devcerts.make(directory)
    return directory


@pytest.fixture
def folder(tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    (tmp_path / "policies").mkdir()
    (tmp_path / "certs").mkdir()
    for file in certificates.iterdir():
        copy = tmp_path / "certs" / file.name
        copy.write_bytes(file.read_bytes())
        copy.chmod(file.stat().st_mode & 0o777)
    monkeypatch.setenv("SBC_TEST_SECRET", "geheim")
    return Folder(tmp_path)
