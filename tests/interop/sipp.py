"""SIPp, the traffic generator, with scenarios of our own."""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop.namespaces import Namespace

SCENARIOS = Path(__file__).parent / "scenarios"
TRACED_CALLS = 10


@dataclass(frozen=True)
class Result:
    """What SIPp counted over the whole run; `unexpected`: messages of calls it does not know (any more)."""

    successful: int
    failed: int
    unexpected: int
    retransmissions: int
    log: str


@dataclass
class Sipp:
    """One running SIPp."""

    process: subprocess.Popen[bytes]
    folder: Path

    def result(self, seconds: float = 60.0) -> Result:
        """Wait for its end. AssertionError when a call failed, with the messages SIPp did not expect."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIPp did not end in {seconds:g} s: {self._counts()}; see {self.folder}") from None
        result = self._counts()
        assert result.failed == 0, f"{result.failed} calls failed, {result.successful} did not:\n{result.log}"
        assert self.process.returncode == 0, f"SIPp ended with {self.process.returncode}:\n{self._read('log')}"
        return result

    def received(self) -> list[str]:
        """Every message that came in, oldest first; kept for runs of at most TRACED_CALLS calls."""
        parts = re.split(r"^-{20,} .*\n", self._read("messages.log"), flags=re.MULTILINE)
        return [part.partition("\n\n")[2] for part in parts if " message received [" in part.partition("\n")[0]]

    def _counts(self) -> Result:
        rows = list(csv.DictReader(self._read("stat.csv").splitlines(), delimiter=";"))
        last: Mapping[str, str] = rows[-1] if rows else {}

        def total(name: str) -> int:
            return int(last.get(f"{name}(C)", 0))

        return Result(
            successful=total("SuccessfulCall"),
            failed=total("FailedCall"),
            unexpected=total("OutOfCallMsgs") + total("DeadCallMsgs"),
            retransmissions=total("Retransmissions"),
            log=self._read("errors.log")[:4000],
        )

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""


def sipp(
    host: Namespace,
    folder: Path,
    scenario: str,
    target: str | None = None,
    *,
    calls: int = 1,
    rate: float = 1.0,
    port: int = 5060,
    transport: str = "u1",
    keys: Mapping[str, str] | None = None,
    talk: float = 1.0,
    patience: int = 120,
    program: Sequence[str | Path] = ("sipp",),
    options: Sequence[str | Path] = (),
) -> Sipp:
    """Start `scenarios/SCENARIO.xml` in `host`. With `target` (host:port) it calls, without it waits for calls.

    `keys` fill what the scenario writes in brackets; a caller hangs up after `talk` seconds. After `patience` seconds SIPp gives
    up and its result is a failure.
    `scenario` may be the path of another file, without its ending. Of few calls the messages are kept, see Sipp.received.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arguments: list[str | Path] = ["-sf", SCENARIOS / f"{scenario}.xml", "-i", host.address, "-p", str(port), "-t", transport, *options]
    arguments += ["-m", str(calls), "-r", f"{rate:g}", "-l", "1000", "-nostdin", "-nd", "-default_behaviors", "all,-bye"]
    arguments += ["-trace_stat", "-stf", folder / "stat.csv", "-fd", "1", "-trace_err", "-error_file", folder / "errors.log"]
    arguments += ["-d", f"{talk * 1000:.0f}", "-timeout", str(patience), "-timeout_error"]
    if calls <= TRACED_CALLS:
        arguments += ["-trace_msg", "-message_file", folder / "messages.log"]
    for name, value in (keys or {}).items():
        arguments += ["-key", name, value]
    if target:
        arguments.append(target)
    return Sipp(host.start([*program, *arguments], log=folder / "log", cwd=folder, env={"TERM": "dumb"}), folder)
