"""The console client of Linphone: TLS, digest and SDES as another family of user agents does them, fed from and recording to files.

It takes commands on its standard input and says what happens in its debug log, messages and all.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import tones
from tests.interop.namespaces import Namespace
from tests.interop.wait import Expired, until

START_TIMEOUT = 10.0
TONE_SECONDS = 20.0  # no call is longer
QUIT_TIMEOUT = 5.0  # it unregisters first
WAV_HEADER = 44  # octets, of the form it writes
STATE = re.compile(r" moving from state \[?Linphone\w+\]? to \[?Linphone(\w+)")
DATA = (".local/share/linphone", ".config/linphone")  # it does not make these, and stores nothing without them

# Its TLS library looks for names in a certificate only: of one for addresses it can verify who signed it, not whose it is.
# Ports of -2 are any that are free; it then listens nowhere that anyone knows.
CONFIG = """\
[sip]
root_ca={trust}
verify_server_certs=1
verify_server_cn=0
sip_port=-2
sip_tcp_port=-2
sip_tls_port=-2
use_ipv6=0
media_encryption=srtp
media_encryption_mandatory=1
default_proxy=0
[proxy_0]
reg_proxy=<sip:{server};transport=tls>
reg_route=<sip:{server};transport=tls>
reg_identity=<sip:{user}@{domain}>
reg_expires=600
reg_sendregister=1
[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
"""


@dataclass
class Console:
    """The folder keeps config, debug log and the recording of this phone, one for all its calls."""

    host: Namespace
    folder: Path
    process: subprocess.Popen[bytes]
    read: int = 0  # how many states have been taken

    def command(self, line: str) -> None:
        """Give a command: call, answer, terminate, pause, resume … What comes of it stands in the log."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def expect(self, state: str, seconds: float = 10.0) -> None:
        """Wait for a state of call or registration (CallStreamsRunning, CallEnd, RegistrationOk …), take it and all before it."""

        def position() -> int | None:
            return next((i + 1 for i, name in enumerate(self.states()) if i >= self.read and name == state), None)

        try:
            self.read = until(position, seconds, f"{self.host.name}: no {state}")
        except Expired as expired:
            raise Expired(f"{expired}; states: {self.states()}; see {self.folder}/debug") from None

    def states(self) -> list[str]:
        """All states of registration and calls so far, oldest first."""
        return STATE.findall(self.log)

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all calls, one after the other; see tests.tones.heard."""
        path = self.folder / "heard.wav"
        # The header is only written when the call ends.
        return tones.heard(tones.decode(path.read_bytes()[WAV_HEADER:]) if path.exists() else [], frequencies)

    def pieces(self) -> int:
        """How often sound began."""
        return self.states().count("CallStreamsRunning")

    @property
    def log(self) -> str:
        path = self.folder / "debug"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def console(host: Namespace, folder: Path, *, user: str, password: str, server: str, tone: float, trust: Path) -> Iterator[Console]:
    """Start it in `host` with an account at `server` (address:port, TLS). Wait for RegistrationOk before calling it.

    `tone`: Hz played. `trust`: PEM of the authorities it verifies the server against.
    """
    for name in DATA:
        (folder / name).mkdir(parents=True)
    domain = server.rpartition(":")[0]
    (folder / "config").write_text(CONFIG.format(trust=trust, server=server, user=user, password=password, domain=domain))
    process = host.start(
        ["linphonec", "-c", folder / "config", "-d", "6", "-l", folder / "debug"],
        log=folder / "log",
        cwd=folder,
        env={"HOME": str(folder)},
        stdin=subprocess.PIPE,
    )
    phone = Console(host, folder, process)
    try:
        phone.command("soundcard use files")
        phone.command(f"play {tones.write_tone(folder / 'tone.wav', tone, TONE_SECONDS)}")
        phone.command(f"record {folder / 'heard.wav'}")
        until(lambda: "about to register" in phone.log, START_TIMEOUT, f"linphonec does not start, see {folder}/log")
        yield phone
        phone.command("quit")
        process.wait(QUIT_TIMEOUT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
