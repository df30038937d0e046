"""The C fuzz targets, each for a few seconds, or as long as --fuzz-seconds says. See tests/fuzz/native."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from media.api import Suite
from sbc.frozen import replace
from tests.bench.soak_media import soak
from tests.fuzz.mutate import messages
from tests.fuzz.native import build
from tests.unit.media.frames import Frame
from tests.unit.media.packets import rtcp, rtp

VECTORS = Path(__file__).parents[1] / "vectors"
FAX = b"\0\1\2\xc0\x11\0\0"


def packets(found: Any) -> Iterator[bytes]:
    """Every packet of a file of vectors."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in ("hex", "plain_packet", "protected_packet") and isinstance(value, str):
                yield bytes.fromhex(value)
            else:
                yield from packets(value)
    elif isinstance(found, list):
        for each in found:
            yield from packets(each)


def known_packets() -> list[bytes]:
    files = [VECTORS / "media/rtp_rtcp.json", *sorted((VECTORS / "srtp").glob("*.json"))]
    return [FAX, rtp(1), rtcp(), *(packet for file in files for packet in packets(json.loads(file.read_text())))]


def side(what: int, keys: int) -> bytes:
    """One side of an update, as relay_target.c reads it: 10.0.0.1:4000, keys both ways, payload types that go on as they are; events of
    our own, and one stream with some keys.
    """
    return bytes((what, 0x40, keys, keys, *range(0, 128, 8), 3 | keys << 2 & 4))


def inputs(target: str) -> list[bytes]:
    known = known_packets()
    match target:
        case "srtp":  # a suite and one packet; or sent and received, sent and changed
            game = bytes((0, 0, *(0, 2, 40, 1, 2, 3, 4, 2, 2) * 4, *(16, 1, 40, 1, 2, 3, 4, 17, 8, 0, 20, 18)))
            suites = range(len(Suite))
            return [bytes((suite,)) + packet for suite in suites for packet in known] + [bytes((0x80 | suite,)) + game for suite in suites]
        case "relay":  # an update, then packets from where they are expected
            updates = [b"\0\1" + side(0x43 | mux, keys) * 2 for mux in (0, 0x10) for keys in (0, 1, 0x13, 0x0D)]
            speech = bytes((3, 0, 0, 1, 0, 60, 8, 1)) * 4 + bytes((3, 1, 0, 1, 0, 60, 8, 2)) * 4 + bytes((3, 2, 1, 6, 0, 0))
            digits = bytes((2, 3, 4, 200)) + bytes((2, 0, 200))
            raw = [bytes((3, 0, 0, 0x80)) + len(packet).to_bytes(2, "big") + packet for packet in known if len(packet) <= 64]
            return [update + speech + digits + speech + b"\1\xff" * 6 for update in updates] + [updates[0] + each for each in raw]
        case "rows":  # heads, and the parameters in them
            heads = [message.partition(b"\r\n\r\n")[0] for message in messages()]
            return heads + [cut[at:].partition(b"\r\n")[0] for cut in heads[:400] if (at := cut.find(b";")) >= 0]
        case "frame":  # whole ones, with a tag and without a checksum
            whole = Frame(bytes(6), ("10.0.0.1", 4000), ("10.0.0.2", 5000), rtp(1))
            return [each.octets for each in (whole, replace(whole, vlan=7), replace(whole, check=None))]
        case _:  # and numbers of packets about to pass 2^32
            return [*known, b"\xff\xf0\1" + bytes(64)]


@pytest.mark.parametrize("target", [name for name in build.TARGETS if name != "planted"])
def test_fuzz(target: str, request: pytest.FixtureRequest) -> None:
    binary = build.target(target)
    corpus = build.BUILD / "corpus" / target
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    for number, octets in enumerate(inputs(target)):
        (corpus / f"{number:04}").write_bytes(octets)
    seconds = request.config.getoption("--fuzz-seconds")
    report = run(binary, seconds, corpus, f"{build.BUILD}/{target}-")
    print(report.stderr)
    assert report.returncode == 0, report.stderr


def test_a_fault_is_found(tmp_path: Path) -> None:
    """Or the above would prove nothing: an octet beyond a packet that begins with certain three is read, and the input is kept."""
    binary = build.target("planted")
    report = run(binary, 60, tmp_path, f"{tmp_path}/")
    assert report.returncode != 0
    assert "heap-buffer-overflow" in report.stderr
    (kept,) = tmp_path.glob("crash-*")
    assert kept.read_bytes().startswith(b"BUG")
    again = subprocess.run([binary, kept], capture_output=True, text=True, check=False)
    assert "heap-buffer-overflow" in again.stderr


def test_threads_and_sockets_under_churn() -> None:
    """The beginning of `make soak-media`."""
    soaked = subprocess.run([soak("addresses"), "3", "100"], capture_output=True, text=True, timeout=100, check=False)
    assert soaked.returncode == 0, soaked.stderr
    assert "2 engines" in soaked.stdout


def run(binary: Path, seconds: float, corpus: Path, failures: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary), f"-max_total_time={seconds:g}", f"-artifact_prefix={failures}", str(corpus)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds + 100, check=False)
