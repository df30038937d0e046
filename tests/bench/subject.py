"""A real SBC in a process of its own, with a policy made for benchmarks: what the load is aimed at."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sbc import devcerts
from tests.bench.process import Usage, usage

OUTSIDE, INSIDE = "127.0.0.21", "127.0.0.22"  # ours, facing callers and callees
CALLER, CALLEE = "127.0.0.31", "127.0.0.32"  # trunks, known by address
PHONE = "127.0.0.33"  # known by password
UDP_PORT, TLS_PORT = 5060, 5061
USER = "alice"
RUN = (sys.executable, "-m", "sbc", "run", "policies")

# A relay takes a port pair on either side, which rests after use: nearly 30,000 of them outlast any run of ours.
POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [udp://{OUTSIDE}:{UDP_PORT}, tls://{OUTSIDE}:{TLS_PORT}]
    relay: {{address: {OUTSIDE}, ports: 6000-65535}}
    certificate: edge
  inside:
    signalling: [udp://{INSIDE}:{UDP_PORT}]
    relay: {{address: {INSIDE}, ports: 6000-65535}}
trunks:
  callers:
    realm: outside
    accept_from: [{CALLER}]
    peer: sip:{CALLER}:{UDP_PORT}
    media: plain
  callees:
    realm: inside
    accept_from: [{CALLEE}]
    peer: sip:{CALLEE}:{UDP_PORT}
    media: plain
users:
  {USER}:
    realm: outside
    password: {{file: ../certs/{USER}.secret}}
    media: encrypted
routes:
  - name: from-trunk
    when: {{trunk: callers, to: "+*"}}
    send_to: [callees]
  - name: from-user
    when: {{user: {USER}, to: "+*"}}
    send_to: [callees]
emergency:
  outside: none
  inside: none
media:
  plain: {{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}
  encrypted: {{srtp: sdes, codecs: [PCMA, PCMU, telephone-event]}}
"""


def policy_with_users(names: Iterable[str]) -> str:
    """The same with more users, all with the password of the first."""
    lines = "".join(f"  {name}: {{realm: outside, password: {{file: ../certs/{USER}.secret}}, media: encrypted}}\n" for name in names)
    return POLICY.replace("routes:\n", lines + "routes:\n")


@dataclass(frozen=True)
class Subject:
    """`folder` holds its policy and certificates; `log` what it wrote."""

    process: int
    folder: Path
    log: Path

    @property
    def password(self) -> str:
        return (self.folder / "certs" / f"{USER}.secret").read_text().strip()

    @property
    def ca(self) -> str:
        return str(self.folder / "certs" / "ca.pem")

    def usage(self) -> Usage:
        return usage(self.process)


@contextlib.contextmanager
def subject(folder: Path, command: tuple[str, ...] = RUN, policy: str = POLICY, outside: str = OUTSIDE) -> Iterator[Subject]:
    """Runs `command` with the policy in `folder`, which may be of an earlier run; TLS shows at `outside` that it is up. RuntimeError."""
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "policies" / "sbc.yaml").write_text(policy)
    devcerts.make(folder / "certs", [OUTSIDE], users=(USER,))
    _allow_sockets()
    log = folder / "sbc.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait(process, log, outside)
        yield Subject(process.pid, folder, log)
        if process.poll() is not None:
            raise RuntimeError(f"the SBC ended by itself with {process.returncode}:\n{_tail(log)}")
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _allow_sockets() -> None:
    """Every open relay has four sockets; as many as this process may hand down."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _wait(process: subprocess.Popen[bytes], log: Path, outside: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((outside, TLS_PORT), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the SBC did not open {outside}:{TLS_PORT}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
