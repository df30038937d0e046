"""rtpengine in user space with one thread, for comparison on the same work at the same time: machines differ, and so do their days.

Driven over its ng protocol: bencoded dictionaries in UDP, `COOKIE {…}` there and back.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import TypeAlias

from media.api import Address, Keys, Suite
from tests.bench.packets import LOOPBACK, PAYLOAD_TYPE, Network, Relay
from tests.bench.process import usage
from tests.bench.relays import Modes, peer_keys, prefer

Bencoded: TypeAlias = "int | str | list[Bencoded] | dict[str, Bencoded]"

NEAR, AWAY = 8, 9  # hosts of the network
CONTROL = ("127.0.0.8", 2223)
SUITES = frozenset((Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32))


class Rtpengine:
    """A Subject. FileNotFoundError where it is not installed, RuntimeError when it does not run."""

    name = "rtpengine"
    suites = SUITES

    def __init__(self, cpu: int = -1, *, network: Network = LOOPBACK, first: bool = True) -> None:
        self.network = network
        program = shutil.which("rtpengine")
        if program is None:
            raise FileNotFoundError("rtpengine")
        options = "--config-file=none --foreground --log-stderr --log-level=3 --table=-1 --num-threads=1 --port-min=2300 --port-max=65534"
        options += " --timeout=3600 --silent-timeout=3600 --delete-delay=0 --listen-ng={}:{}".format(*CONTROL)
        options += f" --interface=near/{network.host(NEAR)} --interface=away/{network.host(AWAY)}"
        command = [program, *options.split()]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: _settle(cpu, first=first),
        )
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._control.connect(CONTROL)
        self._control.settimeout(2)
        self._cookie = self._calls = 0
        self._open: list[str] = []
        self._wait()

    def open(self, count: int, mode: Modes, *, mux: bool = False) -> list[Relay]:
        opened = []
        for _ in range(count):
            name, relay = self._one(mode, mux=mux)
            self._open.append(name)
            opened.append(relay)
        return opened

    def turnover(self, count: int, mode: Modes) -> float:
        before = self.cpu()
        for _ in range(count):
            self._delete(self._one(mode)[0])
        return (self.cpu() - before) / count

    def close(self) -> None:
        for name in self._open:
            self._delete(name)
        self._open.clear()

    def cpu(self) -> float:
        return usage(self._process.pid).cpu

    def memory(self) -> float:
        return usage(self._process.pid).memory * 1024

    def end(self) -> None:
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _one(self, mode: Modes, *, mux: bool = False) -> tuple[str, Relay]:
        """Offer and answer of one call. Each side has its own suite, so that it has to encrypt anew and does not pass SRTP through."""
        self._calls += 1
        name = f"bench-{self._calls}"
        common: dict[str, Bencoded] = {"call-id": name, "from-tag": "a", "ICE": "remove", "DTLS": "off"}
        common["replace"] = ["origin"]
        common["rtcp-mux"] = ["accept" if mux else "demux"]
        offer = self._ask("offer", {**common, "direction": ["near", "away"], "sdp": _description(self.network.peers[0], mode[0], mux=mux),
                                    "transport-protocol": _transport(mode[1]), **({"rtcp-mux": ["offer"]} if mux else {}),
                                    **({"SDES": [f"only-{mode[1]}"]} if mode[1] else {})})  # fmt: skip
        answer = self._ask("answer", {**common, "to-tag": "b", "sdp": _description(self.network.peers[1], mode[1], offer, mux=mux),
                                      "transport-protocol": _transport(mode[0])})  # fmt: skip
        relay = Relay(
            (_address(answer, self.network.host(NEAR)), _address(offer, self.network.host(AWAY))),
            (_keys(answer, mode[0]), _keys(offer, mode[1])),
        )
        return name, relay

    def _delete(self, name: str) -> None:
        self._request({"command": "delete", "call-id": name, "from-tag": "a", "delete delay": 0})

    def _ask(self, command: str, content: Mapping[str, Bencoded]) -> str:
        answer = self._request({"command": command, **content})
        sdp = answer.get("sdp")
        if not isinstance(sdp, str):
            raise RuntimeError(f"rtpengine to an {command}: {answer}")
        return sdp

    def _request(self, content: dict[str, Bencoded]) -> dict[str, Bencoded]:
        self._cookie += 1
        cookie = str(self._cookie).encode()
        self._control.send(cookie + b" " + encode(content))
        while True:
            head, _, body = self._control.recv(65535).partition(b" ")
            if head == cookie:
                answer = decode(body)
                assert isinstance(answer, dict)
                return answer

    def _wait(self) -> None:
        for _ in range(50):
            try:
                self._request({"command": "ping"})
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        self.end()
        raise RuntimeError(f"rtpengine did not come up ({self._process.returncode})")


def _settle(cpu: int, *, first: bool) -> None:
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    if first:
        prefer()


def _transport(suite: Suite | None) -> str:
    return "RTP/SAVP" if suite else "RTP/AVP"


def _description(peer: Address, suite: Suite | None, offer: str = "", *, mux: bool = False) -> str:
    host, port = peer
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
             f"m=audio {port} {_transport(suite)} {PAYLOAD_TYPE}", f"a=rtpmap:{PAYLOAD_TYPE} PCMA/8000", "a=sendrecv"]  # fmt: skip
    if mux:
        lines.append("a=rtcp-mux")
    keys = peer_keys(suite)
    if keys:
        tag = _crypto(offer, keys.suite)[0] if offer else "1"
        lines.append(f"a=crypto:{tag} {keys.suite} inline:{base64.b64encode(keys.master).decode()}")
    return "".join(f"{line}\r\n" for line in lines)


def _crypto(sdp: str, suite: Suite) -> tuple[str, str]:
    """Tag and base64 of key and salt."""
    found = re.search(rf"^a=crypto:(\d+) {suite} inline:([A-Za-z0-9+/=]+)", sdp, re.MULTILINE)
    if not found:
        raise RuntimeError(f"rtpengine does not offer {suite}:\n{sdp}")
    return found[1], found[2]


def _keys(sdp: str, suite: Suite | None) -> Keys | None:
    if suite is None:
        return None
    text = _crypto(sdp, suite)[1]
    return Keys(suite, base64.b64decode(text + "=" * (-len(text) % 4)))


def _address(sdp: str, host: str) -> Address:
    found = re.search(r"^m=audio (\d+) ", sdp, re.MULTILINE)
    if not found or f"IN IP4 {host}" not in sdp:
        raise RuntimeError(f"rtpengine does not say where at {host}:\n{sdp}")
    return host, int(found[1])


def encode(value: Bencoded) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        data = value.encode()
        return b"%d:%s" % (len(data), data)
    if isinstance(value, list):
        return b"l" + b"".join(encode(each) for each in value) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data: bytes) -> Bencoded:
    """ValueError for anything that is not one value and nothing else."""
    value, end = _decode(data, 0)
    if end != len(data):
        raise ValueError("more than one value")
    return value


def _decode(data: bytes, at: int) -> tuple[Bencoded, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        values: list[Bencoded] = []
        at += 1
        while data[at : at + 1] != b"e":
            value, at = _decode(data, at)
            values.append(value)
        if kind == b"l":
            return values, at + 1
        return {str(key): value for key, value in zip(values[::2], values[1::2], strict=True)}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(), end
