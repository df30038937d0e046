"""Programs of a newer Debian than ours, run out of a tree that `.ci/peers` made, without a chroot."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sid:
    """`root`: of the tree."""

    root: Path

    @property
    def libraries(self) -> Path:
        return self.root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"

    def command(self, program: str) -> list[str | Path]:
        """What starts it: its own loader with its own libraries, which it also loads its modules by."""
        (loader,) = self.libraries.glob("ld-linux-*.so.*")
        return [loader, "--library-path", self.libraries, self.root / program]
