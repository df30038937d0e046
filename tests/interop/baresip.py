"""A real soft phone without a head: baresip playing a tone, recording what it hears, driven over its control port."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import tones
from tests.interop.namespaces import Namespace
from tests.interop.wait import Expired, until

CONTROL_PORT = 4444
RECORDER_SECONDS = 300  # no test runs longer
APPLICATIONS = ("account.so", "menu.so", "ctrl_tcp.so")
MODULES = ("account", "g711", "opus", "srtp", "dtls_srtp", "ice", "aufile", "aubridge", "sndfile", "uuid", "menu", "ctrl_tcp")
# Debian and Ubuntu, with and without the multiarch folder
FOLDERS = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules")

CONFIG = """\
poll_method epoll
sip_listen {listen}
sip_certificate {certificate}
sip_cafile {trust}
call_local_timeout 60
call_max_calls 4
net_interface {interface}
audio_player aubridge,sink
audio_source aufile,{tone}
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
audio_level no
rtp_tos 184
rtp_ports 16384-16584
rtp_stats yes
rtcp_mux {mux}
audio_jitter_buffer_type off
module_path {modules}
{module_lines}
ctrl_tcp_listen 127.0.0.1:{port}
snd_path {recordings}
"""


@dataclass
class Phone:
    """`tone`: Hz played. The folder keeps config, log and recordings of this phone."""

    host: Namespace
    folder: Path
    process: subprocess.Popen[bytes]
    control: socket.socket
    events: list[dict[str, object]] = field(default_factory=list)
    answers: list[dict[str, object]] = field(default_factory=list)
    pending: bytes = b""

    def command(self, name: str, params: str = "") -> str:
        """Run a command of baresip's menu (dial, accept, hangup, hold, resume …) and return what it says."""
        text = json.dumps({"command": name, "params": params, "token": name})
        self.control.sendall(f"{len(text.encode())}:{text},".encode())
        seen = len(self.answers)
        until(lambda: len(self.answers) > seen, 5.0, f"no answer to {name}", self.pump)
        return str(self.answers[-1].get("data", ""))

    def expect(self, kind: str, seconds: float = 10.0) -> dict[str, object]:
        """Wait for an event of that type (CALL_ESTABLISHED, REGISTER_OK …), take it and all before it off the list."""

        def position() -> int | None:
            return next((i + 1 for i, event in enumerate(self.events) if event["type"] == kind), None)

        try:
            found = until(position, seconds, f"{self.host.name}: no {kind}", self.pump)
        except Expired as expired:
            raise Expired(f"{expired}; events: {self.events}; see {self.folder}/log") from None
        event = self.events[found - 1]
        del self.events[:found]
        return event

    def registered(self, seconds: float = 10.0) -> None:
        """Wait until the registrar has accepted this phone. It may have done so before the control port was there to say so."""
        until(lambda: "OK" in self.command("reginfo"), seconds, f"{self.host.name} is not registered, see {self.folder}/log", self.pump)

    def pump(self) -> None:
        """Take what the control port has for us, waiting for it for a twentieth of a second."""
        try:
            data = self.control.recv(65536)
        except TimeoutError:
            return
        if not data:
            raise Expired(f"{self.host.name}: baresip is gone, see {self.folder}/log")
        self.pending += data
        while (colon := self.pending.find(b":")) > 0 and len(self.pending) >= (end := colon + 2 + int(self.pending[:colon])):
            message: dict[str, object] = json.loads(self.pending[colon + 1 : end - 1])
            self.pending = self.pending[end:]
            (self.events if message.get("event") else self.answers).append(message)

    def recordings(self) -> list[Path]:
        """What this phone decoded, call after call, oldest first."""
        return sorted((self.folder / "recordings").glob("*-dec.wav"))

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all recordings, one after the other; see tests.tones.heard."""
        return [tone for path in self.recordings() for tone in tones.heard(tones.read(path), frequencies)]

    def pieces(self) -> int:
        """How often sound began: once in each recording."""
        return len(self.recordings())

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def modules_folder() -> Path:
    for folder in FOLDERS:
        if Path(folder).is_dir():
            return Path(folder)
    raise RuntimeError("baresip is not installed: run make test, or apt-get install baresip-core")


@contextlib.contextmanager
def phone(
    host: Namespace,
    folder: Path,
    account: str,
    *,
    tone: float,
    listen: str | None = None,
    certificate: Path | None = None,
    trust: Path | None = None,
    mux: bool = False,
    channels: int = 1,
) -> Iterator[Phone]:
    """Start baresip in `host` with one account line; it is ready when this returns.

    `certificate`: PEM of certificate and key, to accept TLS. `trust`: PEM of the authorities it verifies servers against.
    `mux`: it multiplexes RTCP. `channels`: of its codec, which is two for Opus.
    """
    (folder / "recordings").mkdir(parents=True)
    _record_only_what_is_heard(folder / "recordings")
    modules = modules_folder()
    wanted = [f"{name}.so" for name in MODULES if (modules / f"{name}.so").exists()]
    config = CONFIG.format(
        listen=listen or f"{host.address}:5060",
        certificate=certificate or "",
        trust=trust or "",
        mux="yes" if mux else "no",
        interface=host.links[0].network,
        tone=tones.write_tone(folder / "tone.wav", tone, channels=channels),
        modules=modules,
        module_lines="\n".join(f"{'module_app' if name in APPLICATIONS else 'module'} {name}" for name in wanted),
        port=CONTROL_PORT,
        recordings=folder / "recordings",
    )
    kept = [line for line in config.splitlines() if len(line.split()) > 1]  # an empty value is not the same as none
    (folder / "config").write_text("\n".join(kept) + "\n")
    (folder / "accounts").write_text(account + "\n")
    (folder / "contacts").write_text("")
    process = host.start(["baresip", "-f", folder, "-s"], log=folder / "log", env={"HOME": str(folder), "TZ": "UTC"})
    control: socket.socket | None = None
    try:
        control = until(lambda: _connect(host, process), 10.0, f"baresip does not start, see {folder}/log")
        ready = Phone(host, folder, process, control)
        yield ready
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
        if control is not None:
            control.close()


def _record_only_what_is_heard(recordings: Path) -> None:
    """Stand where baresip would record what it plays.

    A hold makes baresip 1.0 drop the recorder of the decoded side, and it sets up a new one only when the encoded side has
    none either. Its recordings are called by the second they begin in; a folder of that name makes the encoded one fail.
    """
    begin = int(time.time())
    for second in range(begin, begin + RECORDER_SECONDS):
        (recordings / time.strftime("dump-%Y-%m-%d-%H-%M-%S-enc.wav", time.gmtime(second))).mkdir()


def _connect(host: Namespace, process: subprocess.Popen[bytes]) -> socket.socket | None:
    if process.poll() is not None:
        raise Expired(f"baresip ended with {process.returncode}")
    control = host.socket(socket.SOCK_STREAM)
    try:
        control.connect(("127.0.0.1", CONTROL_PORT))
    except OSError:
        control.close()
        time.sleep(0.05)
        return None
    control.settimeout(0.05)
    return control
