"""The example policies, made to run where they are written: our own addresses are of this machine, what they refer to is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sbc.errors import ConfigError

SHIPPED = Path(__file__).parent / "policy" / "examples"
_FIRST_HOST = 10  # 127.0.0.1 to .3 are the quick start's

_OURS = re.compile(r"(?:udp|tcp|tls|ws|wss)://(\[[0-9a-f:]+\]|[0-9.]+):\d+|relay: \{address: ([0-9.]+)")
_SECRET = re.compile(r"\{file: \.\./certs/([a-z0-9-]+)\.secret\}")
_DOMAINS = re.compile(r"domains: \[([^]]+)\]")
_SCHEMA = re.compile(r"\$schema=(?:\.\./)+(?=schema|tests)")


@dataclass(frozen=True, slots=True)
class Example:
    """files    by path in the policy folder
    secrets  of whom there have to be passwords in certs/
    names    that the certificate is for
    moved    our addresses as the example has them, and what they are here
    """

    files: Mapping[str, str]
    secrets: tuple[str, ...]
    names: tuple[str, ...]
    moved: Mapping[str, str]


def examples() -> list[str]:
    """Their names."""
    return sorted({file.stem if file.is_file() else file.name for file in SHIPPED.iterdir() if not file.name.startswith(".")})


def example(name: str) -> Example:
    """Raises ConfigError when there is none of that name."""
    if name not in examples():
        raise ConfigError(f"there is no example {name!r}: {', '.join(examples())}")
    folder, file = SHIPPED / name, SHIPPED / f"{name}.yaml"
    if file.is_file():
        texts = {"sbc.yaml": file.read_text()}
    else:
        texts = {each.relative_to(folder).as_posix(): each.read_text() for each in sorted(folder.rglob("*.yaml"))}
    policy = texts["sbc.yaml"]
    moved = _moved(policy)
    domains = ",".join(found[1] for found in _DOMAINS.finditer(policy)).split(",")
    files = {path: _SCHEMA.sub(_beside(path), _at_home(text, moved)) for path, text in texts.items()}
    files["sbc.yaml"] = _told(files["sbc.yaml"], moved)
    names = tuple([domain.strip() for domain in domains if domain.strip()])
    return Example(files, tuple(dict.fromkeys(_SECRET.findall(policy))), names, moved)


def _beside(path: str) -> str:
    return f"$schema={'../' if '/' in path else './'}"


def _moved(policy: str) -> dict[str, str]:
    moved: dict[str, str] = {}
    for found in _OURS.finditer(policy):
        ours = found[1] or found[2]
        here = "[::1]" if ours.startswith("[") else f"127.0.0.{_FIRST_HOST + len(moved)}"
        moved.setdefault(ours, here)
    return moved


def _at_home(text: str, moved: Mapping[str, str]) -> str:
    for ours, here in moved.items():
        text = re.sub(rf"(?<![0-9.]){re.escape(ours)}(?![0-9.]*[0-9])", here, text)
    return text


def _told(policy: str, moved: Mapping[str, str]) -> str:
    """Below the line for editors: what is not as the example has it."""
    first, rest = policy.split("\n", 1)
    addresses = [f"#   {here} for {ours}" for ours, here in moved.items()]
    return "\n".join((first, "#", "# FILL IN our own addresses. So that this runs on any machine they are", *addresses, rest))
