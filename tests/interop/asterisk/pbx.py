"""Asterisk with the configuration beside this file, everything it writes in a folder of the test."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from tests import tones
from tests.interop.ears import ALICE
from tests.interop.namespaces import Namespace
from tests.interop.sid import Sid
from tests.interop.wait import Expired, until

HERE = Path(__file__).parent
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
# It looks its own name up, and waits ten seconds where no name server answers.
NAMED = ("unshare", "--uts", "sh", "-c", 'hostname localhost && exec "$@"', "asterisk")
ECHO, TALK, BUSY = "+4930555100", "+4930555200", "+4930555300"  # what extensions.conf has


@dataclass
class Pbx:
    """`folder`: etc/ and var/ of this one. It plays ALICE and records what it hears."""

    host: Namespace
    sid: Sid
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = field(default=0)

    def start(self) -> None:
        """It answers its console when this returns."""
        self.starts += 1
        command = [*NAMED, *self._asterisk(), "-f"]
        self.process = process = self.host.start(command, log=self.folder / f"console{self.starts}", env={"HOME": str(self.folder)})

        def ready() -> bool:
            if process.poll() is not None:
                raise Expired(f"Asterisk ended with {process.returncode}, see {self.folder}")
            return "fully booted" in self.console("core waitfullybooted")

        until(ready, START_TIMEOUT, f"Asterisk does not start, see {self.folder}")

    def stop(self) -> None:
        """As an operator would: it says goodbye."""
        assert self.process is not None
        self.console("core stop now")
        self.process.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def console(self, command: str) -> str:
        """What a command of its console prints; empty when there is nobody to ask."""
        try:
            return self.host.run([*self._asterisk(), "-rx", command])
        except subprocess.CalledProcessError:
            return ""

    def registration(self) -> str:
        """`Registered`, `Rejected` (and tried again), `Stopped` …"""
        rows = [line.split() for line in self.console("pjsip show registrations").splitlines() if line.startswith(" office-registration/")]
        return rows[0][2] if rows else ""

    def registered(self, seconds: float) -> None:
        until(lambda: self.registration() == "Registered", seconds, f"Asterisk is not registered, see {self.folder}")

    def call(self, number: str) -> None:
        """From the PBX, which plays and records as soon as it is answered."""
        self.console(f"channel originate PJSIP/{number}@office extension s@talking")

    def channels(self) -> int:
        return int(self.console("core show channels count").split()[0])

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all calls, one after the other; see tests.tones.heard."""
        return [tone for path in self._recordings() for tone in tones.heard(tones.read(path), frequencies)]

    def pieces(self) -> int:
        """How often sound began: once in each recording."""
        return len(self._recordings())

    @property
    def log(self) -> str:
        return (self.folder / "var" / "log").read_text(errors="replace")

    def _recordings(self) -> list[Path]:
        return sorted(self.folder.glob("var/*-heard.wav"))

    def _asterisk(self) -> list[str | Path]:
        return [*self.sid.command("usr/sbin/asterisk"), "-C", self.folder / "etc" / "asterisk.conf"]


@contextlib.contextmanager
def pbx(host: Namespace, folder: Path, sid: Sid, pjsip: str) -> Iterator[Pbx]:
    """Debian's Asterisk as it comes, with `pjsip` as its pjsip.conf and somebody to call in its dial plan; it runs."""
    shutil.copytree(sid.root / "etc" / "asterisk", folder / "etc")
    (folder / "var" / "keys").mkdir(parents=True)
    values = {
        "folder": folder,
        "modules": sid.libraries / "asterisk" / "modules",
        "data": sid.root / "usr" / "share" / "asterisk",
        "recordings": folder / "var",
        "tone": int(ALICE),
    }
    for name in ("asterisk.conf", "extensions.conf", "logger.conf"):
        (folder / "etc" / name).write_text(Template((HERE / name).read_text()).substitute(values))
    (folder / "etc" / "pjsip.conf").write_text(pjsip)
    running = Pbx(host, sid, folder)
    try:
        running.start()
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.kill()
