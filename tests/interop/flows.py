"""One exchange after the other through one SBC that stands all the while, most of them between two SIPp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.interop.namespaces import Lab
from tests.interop.server import Server
from tests.interop.sipp import Sipp, sipp
from tests.interop.wait import until

CALLER = {"caller": "+4940222", "called": "+4930123"}
PATIENCE = 10  # seconds; the longest exchange takes three
TALK = 0.2  # seconds


@dataclass(frozen=True)
class Flows:
    """A PBX outside, known by its address, and the carrier inside."""

    lab: Lab
    server: Server

    def run(
        self, folder: Path, caller: str, callee: str, *, attempts: int = 1, keys: Mapping[str, str] = CALLER
    ) -> tuple[Sipp, Sipp, dict[str, object]]:
        """Both ends after both scenarios went as written; SIPp fails on what a scenario does not expect.

        The record is that of the last of the call's `attempts`; without any it is empty.
        """
        before = len(self.server.records())
        answering = sipp(self.lab.carrier, folder / "callee", callee, patience=PATIENCE)
        until(lambda: ":5060 " in self.lab.carrier.run(["ss", "-Hlun"]), 5.0, f"SIPp does not listen, see {folder}")
        target = f"{self.lab.outside}:5060"
        calling = sipp(self.lab.attacker, folder / "caller", caller, target, keys=keys, talk=TALK, patience=PATIENCE)
        try:
            assert calling.result().successful == 1
            assert answering.result().successful == 1
        finally:
            for peer in (calling, answering):  # the next ones need its port
                peer.process.kill()
                peer.process.wait()
        return calling, answering, self.server.records(before + attempts)[-1] if attempts else {}


def requests(peer: Sipp) -> list[str]:
    """The methods this peer received, oldest first."""
    return [message.partition(" ")[0] for message in peer.received() if not message.startswith("SIP/2.0")]
