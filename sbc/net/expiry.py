"""Certificates of ours that come to their end: said once a stage, in time to do something about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509

STAGES = (0, 1, 7, 14, 30)  # days; authorities that renew by themselves do so at 30, and people have weeks and weekends


@dataclass(frozen=True, slots=True)
class Expiring:
    level: Literal["warning", "error"]
    text: str


class ExpiryWatch:
    """Knows what is in use, which may be older than the files: a new one that nobody has loaded helps nobody."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[str, datetime]] = {}
        self._said: dict[tuple[str, datetime], int] = {}  # the stage that was said last

    def take(self, certificates: Mapping[str, str]) -> None:
        """These files (path -> whose, for people) are in use from now on. OSError, ValueError: not readable."""
        self._ends = {
            path: (whose, x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc)
            for path, whose in certificates.items()
        }
        known = {(path, ends) for path, (_, ends) in self._ends.items()}
        self._said = {key: stage for key, stage in self._said.items() if key in known}

    def due(self, now: datetime | None = None) -> list[Expiring]:
        """What has reached another stage since the last time."""
        found = []
        for path, (whose, ends) in self._ends.items():
            left = ends - (now or datetime.now(UTC))
            stage = next((days for days in STAGES if left <= timedelta(days=days)), None)
            if stage is None or self._said.get((path, ends)) == stage:
                continue
            self._said[path, ends] = stage
            when = "has expired" if not stage else f"expires in {left.days} days"
            text = f"{whose}: certificate {path} {when} ({ends:%Y-%m-%d %H:%M} UTC)"
            found.append(Expiring("error" if stage <= 1 else "warning", text))
        return found
