"""The phone of agent.py, in the Python that has aiortc."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import tones
from tests.interop.namespaces import Namespace
from tests.interop.server import ROOT
from tests.interop.wait import Expired, until

QUIT_TIMEOUT = 5.0


@dataclass
class RtcPhone:
    host: Namespace
    folder: Path
    process: subprocess.Popen[bytes]
    taken: int = 0  # words expected so far

    def command(self, line: str) -> None:
        """call NUMBER, answer, hangup."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def words(self) -> list[str]:
        return (self.folder / "log").read_text(errors="replace").splitlines()

    def expect(self, word: str, seconds: float = 15.0) -> None:
        """Wait for it (registered, incoming, established, ended …), take it and all before it."""

        def position() -> int | None:
            return next((i + 1 for i, said in enumerate(self.words()) if i >= self.taken and said == word), None)

        try:
            self.taken = until(position, seconds, f"{self.host.name}: no {word}")
        except Expired as expired:
            raise Expired(f"{expired}; said: {self.words()}") from None

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all calls, one after the other; see tests.tones.heard."""
        path = self.folder / "heard"
        return tones.heard(tones.decode(path.read_bytes()) if path.exists() else [], frequencies)

    def pieces(self) -> int:
        """How often sound began."""
        return self.words().count("established")


@contextlib.contextmanager
def rtc_phone(
    host: Namespace, folder: Path, python: Path, *, server: str, user: str, password: str, domain: str, tone: float, codec: str, trust: Path
) -> Iterator[RtcPhone]:
    """Wait for `registered` before calling it. `codec`: opus, PCMU or PCMA, the only one it has."""
    folder.mkdir()
    settings = {
        "server": server,
        "user": user,
        "password": password,
        "domain": domain,
        "tone": tone,
        "codec": codec,
        "ca": str(trust),
        "heard": str(folder / "heard"),
    }
    command = (python, "-P", "-m", "tests.interop.aiortc.agent", json.dumps(settings))
    process = host.start(command, log=folder / "log", cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE)
    phone = RtcPhone(host, folder, process)
    try:
        yield phone
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(QUIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
