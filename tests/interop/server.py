"""The product as operators run it: `python -m sbc run POLICIES` in a network namespace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sbc import devcerts
from tests.interop.namespaces import Lab
from tests.interop.wait import Expired, until

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 15.0
DRAIN_TIMEOUT = 20.0
PASSWORD = "correct-horse"  # alice's

POLICY = """\
version: 1
realms:
  outside:
    signalling: [tls://{outside}:5061, tcp://{outside}:5060, udp://{outside}:5060, "tls://[{outside6}]:5061"]
    relay: {{address: {outside}, ports: 20000-20999}}
    certificate: edge
    domains: [{outside}]
    digest: [MD5]  # baresip up to 3 refuses a challenge that has a row with SHA-256, whatever the other rows say
  inside:
    signalling: [udp://{inside}:5060, tcp://{inside}:5060]
    relay: {{address: {inside}, ports: 30000-30999}}
trunks:
  carrier:
    realm: inside
    accept_from: [{carrier}]
    peer: sip:{carrier}:5060
    media: plain
    limits: carrier
  plain_pbx:
    realm: outside
    accept_from: [{attacker}]
    peer: sip:{attacker}:5060
    media: plain
users:
  alice:
    realm: outside
    password: {{file: ../certs/alice.secret}}
    media: encrypted
    dial_plan: {{"0": "+49"}}
routes:
  - name: to-alice
    when: {{trunk: carrier, to: "+4930111"}}
    send_to: [alice]
  - name: out
    when: {{realm: outside, to: "+*"}}
    send_to: [carrier]
    ring_for: 30s
limits:
  carrier: {{calls: 200, new_calls: 100/s, longest_call: 1h}}
media:
  encrypted: {{srtp: sdes, codecs: [PCMA, PCMU, G729, telephone-event]}}
  plain: {{srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}}
emergency:
  outside: none
  inside: none
"""


@dataclass
class Server:
    """`folder` holds policy, certificates, records and log of this run."""

    lab: Lab
    folder: Path
    process: subprocess.Popen[bytes]
    stopped: bool = False

    @classmethod
    def start(cls, lab: Lab, folder: Path) -> Server:
        """In a `folder` that has a policy; it listens when this returns."""
        server = cls(lab, folder, _run(lab, folder))
        server.listening()
        return server

    def restart(self, end: signal.Signals) -> None:
        """Ended by `end` and started again, with the records and registrations it had."""
        if end == signal.SIGINT:
            self.stop()
        else:
            self.process.send_signal(end)
            self.process.wait()
        self.process, self.stopped = _run(self.lab, self.folder), False
        self.listening()

    def reload(self) -> None:
        """SIGHUP: policy, certificates and passwords are taken anew."""
        before = self.log.count(" policy_changed ")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.count(" policy_changed ") > before, 5.0, f"the policy was not taken, see {self.folder}/log")

    def listening(self) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise Expired(f"the SBC ended with {self.process.returncode}:\n{self.log}")
            sockets = self.lab.sbc.run(["ss", "-Hlun"]), self.lab.sbc.run(["ss", "-Hltn"])
            return f"{self.lab.inside}:5060" in sockets[0] and f"{self.lab.outside}:5061" in sockets[1]

        until(ready, START_TIMEOUT, f"the SBC does not listen, see {self.folder}/log")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def records(self, count: int = 0, seconds: float = 5.0) -> list[dict[str, object]]:
        """Call records so far, oldest first; waits until there are at least `count`."""

        def enough() -> bool:
            return len(self._records()) >= count

        until(enough, seconds, f"fewer than {count} call records in {self.folder}")
        return self._records()

    def status(self, seconds: float = 5.0) -> dict[str, float]:
        """What is alive in it, as it says when asked with SIGUSR1."""
        before = len(self._status_lines())
        self.process.send_signal(signal.SIGUSR1)
        line = until(lambda: self._status_lines()[before:], seconds, f"no status line in {self.folder}/log")[0]
        words = (word.partition("=") for word in line.split()[3:])
        return {name: float(value) for name, _, value in words}

    def open_sockets(self) -> int:
        """A call holds four for its media, a connection one."""
        return sum(os.readlink(file).startswith("socket:") for file in Path(f"/proc/{self.pid}/fd").iterdir())

    def trust(self) -> Path:
        """PEM of the authority that signed the server's certificate."""
        return self.folder / "certs" / "ca.pem"

    def stop(self) -> None:
        """Ctrl-C: it drains, ends with 0 and has logged no fault of its own."""
        self.stopped = True
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(DRAIN_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Expired(f"still running {DRAIN_TIMEOUT:g} s after SIGINT, see {self.folder}/log") from None
        assert code == 0, f"ended with {code}:\n{self.log[-4000:]}"
        faults = [line for line in self.log.splitlines() if " error " in line or line.startswith("Traceback")]
        assert not faults, faults

    def _status_lines(self) -> list[str]:
        return [line for line in self.log.splitlines() if " status " in line]

    def _records(self) -> list[dict[str, object]]:
        path = self.folder / "records.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


def write_policy(folder: Path, lab: Lab, policy: str = POLICY) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    devcerts.make(folder / "certs", [lab.outside, lab.sbc.links[0].ipv6], users=())
    devcerts.write_new(folder / "certs" / "alice.secret", f"{PASSWORD}\n".encode(), devcerts.PRIVATE_MODE)
    text = policy.format(
        outside=lab.outside,
        outside6=lab.sbc.links[0].ipv6,
        inside=lab.inside,
        carrier=lab.carrier.address,
        attacker=lab.attacker.address,
    )
    (folder / "policies").mkdir()
    (folder / "policies" / "sbc.yaml").write_text(text)


@contextlib.contextmanager
def serve(lab: Lab, folder: Path, policy: str = POLICY) -> Iterator[Server]:
    """Start the SBC between `outside` and `inside`; at the end it has to stop cleanly."""
    write_policy(folder, lab, policy)
    server = Server.start(lab, folder)
    try:
        yield server
        if not server.stopped:
            server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def _run(lab: Lab, folder: Path) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [sys.executable, "-m", "sbc", "run", folder / "policies", "--records", folder / "records.jsonl"]
    return lab.sbc.start(command, log=folder / "log", cwd=ROOT)
