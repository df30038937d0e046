"""Load from one process to another through whatever stands between them.

    result = run_load(LoadSpec(rate=50, seconds=60, server=("127.0.0.1", 5060), ...))
    assert not result.failures

`python -m tests.bench.generator` calls itself directly, over UDP and over TLS, to show what the generator alone can do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Literal

from sbc import devcerts
from tests.bench.speech import Speech, Spoken
from tests.bench.uac import Calls, Tally, Uac
from tests.bench.uas import Served, Uas
from tests.bench.wire import Address, TlsWire, UdpWire, Wire

Transport = Literal["UDP", "TLS"]
Within = Callable[[Callable[[], "Half"]], "Half"]
Half = tuple[multiprocessing.process.BaseProcess, Pipe]
SPEECH_PORT = 40000  # in the descriptions of both halves
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class LoadSpec:
    """One run. Files are PEM.

    server        where the INVITEs go
    caller        the address they come from (TLS uses the host only)
    callee        where the called half listens
    connections   TLS connections of the caller, kept open; calls take turns on them
    hold, ring    seconds between answer and BYE, between 180 and 200
    speech        seconds of RTP each way, 50 packets a second; shorter than `hold` by what a machine may be held up
    user          digest name; empty: no credentials
    ca            what the server's certificate is checked against, under `server_name`; empty: not checked
    certificate   (certificate, key) of the called half when its transport is TLS
    """

    rate: float
    seconds: float
    server: Address
    caller: Address
    callee: Address
    transport: Transport = "UDP"
    callee_transport: Transport = "UDP"
    connections: int = 10
    hold: float = 0.0
    ring: float = 0.0
    speech: float = 0.0
    number: str = "+4930123456"
    user: str = ""
    password: str = ""
    crypto: bool = False
    ca: str = ""
    server_name: str = "localhost"
    certificate: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class LoadResult:
    """`achieved` in calls a second, setup times (INVITE to 200) in milliseconds.

    `late_ms` is the generator's own worst lag behind its schedule, `generator_cpu_ms` what both its halves took per call:
    a lag beyond a few hundred says that the figures describe the generator or the machine, not what was under test.
    """

    rate: float
    achieved: float
    offered: int
    completed: int
    failed: dict[str, int]
    retransmissions: int
    challenges: int
    setup_p50_ms: float
    setup_p99_ms: float
    setup_max_ms: float
    late_ms: float
    generator_cpu_ms: float
    served: Served
    spoken: tuple[Spoken, ...] = ()

    @property
    def failures(self) -> int:
        return sum(self.failed.values())

    @property
    def media_lost(self) -> float:
        """The part of all packets of either half that did not arrive at the other."""
        sent = sum(half.sent for half in self.spoken)
        return 1 - sum(half.arrived for half in self.spoken) / sent if sent else 0.0


def here(start: Callable[[], Half]) -> Half:
    return start()


def run_load(spec: LoadSpec, calling: Within = here, called: Within = here) -> LoadResult:
    """Runs both halves in processes of their own; returns when every call is over. RuntimeError when a half cannot start.

    `calling`, `called`: start a half where it belongs.
    """
    callee, callee_pipe = called(lambda: _start(_callee, spec))
    try:
        _take(callee_pipe, "called")
        caller, caller_pipe = calling(lambda: _start(_caller, spec))
        try:
            (tally, said), caller_cpu = _take(caller_pipe, "calling")
        finally:
            caller_pipe.close()
            caller.join(5)
        callee_pipe.send("stop")
        (served, answered), callee_cpu = _take(callee_pipe, "called")
    finally:
        callee_pipe.close()
        callee.join(5)
    return _result(spec, tally, served, (said, answered), caller_cpu + callee_cpu)


def _result(spec: LoadSpec, tally: Tally, served: Served, spoken: tuple[Spoken, Spoken], cpu: float) -> LoadResult:
    setup = sorted(tally.setup) or [0.0]
    return LoadResult(
        rate=spec.rate,
        achieved=round((tally.offered - 1) / tally.seconds, 1) if tally.seconds else 0.0,
        offered=tally.offered,
        completed=tally.completed,
        failed=dict(tally.failed),
        retransmissions=tally.retransmissions + served.retransmissions,
        challenges=tally.challenges,
        setup_p50_ms=round(1000 * setup[len(setup) // 2], 2),
        setup_p99_ms=round(1000 * setup[len(setup) * 99 // 100], 2),
        setup_max_ms=round(1000 * setup[-1], 2),
        late_ms=round(1000 * tally.late, 1),
        generator_cpu_ms=round(1000 * cpu / max(1, tally.offered), 3),
        served=served,
        spoken=spoken,
    )


def _start(half: Callable[[Pipe, LoadSpec], None], spec: LoadSpec) -> Half:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=half, args=(theirs, spec), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _take(pipe: Pipe, half: str) -> tuple[Any, float]:
    try:
        result, cpu = pipe.recv()
        return result, cpu
    except EOFError:
        raise RuntimeError(f"the {half} half failed; its traceback is above") from None


def _caller(pipe: Pipe, spec: LoadSpec) -> None:
    if spec.transport == "UDP":
        wire: Wire = UdpWire(spec.caller, spec.server)
    else:
        context = ssl.create_default_context(cafile=spec.ca or None)
        if not spec.ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        wire = TlsWire.connect(context, spec.caller[0], spec.server, spec.connections, spec.server_name)
    calls = Calls(
        rate=spec.rate,
        count=max(1, round(spec.rate * spec.seconds)),
        number=spec.number,
        server=spec.server,
        hold=spec.hold,
        user=spec.user,
        password=spec.password,
        crypto=spec.crypto,
        speech=spec.speech,
    )
    started = time.process_time()
    speech = Speech((spec.caller[0], SPEECH_PORT)) if spec.speech else None
    tally = Uac(wire, calls, os.urandom(4).hex(), speech).run()
    pipe.send(((tally, speech.close() if speech else Spoken()), time.process_time() - started))


def _callee(pipe: Pipe, spec: LoadSpec) -> None:
    if spec.callee_transport == "UDP":
        wire: Wire = UdpWire(spec.callee)
    else:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*spec.certificate)
        wire = TlsWire.listen(context, spec.callee)
    speech = Speech((spec.callee[0], SPEECH_PORT)) if spec.speech else None
    pipe.send(("ready", 0.0))
    started = time.process_time()
    served = Uas(wire, spec.ring, speech, spec.speech).run(lambda: pipe.poll(0))
    pipe.send(((served, speech.close() if speech else Spoken()), time.process_time() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description="the load generator against itself")
    parser.add_argument("--rates", default="400,800,1600")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        devcerts.make(Path(folder), ["127.0.0.3"], users=())
        transports: tuple[Transport, ...] = ("UDP", "TLS")
        for transport in transports:
            for rate in options.rates.split(","):
                result = run_load(
                    LoadSpec(
                        rate=float(rate),
                        seconds=options.seconds,
                        server=("127.0.0.3", 15060),
                        caller=("127.0.0.2", 15060),
                        callee=("127.0.0.3", 15060),
                        transport=transport,
                        callee_transport=transport,
                        crypto=transport == "TLS",
                        ca=f"{folder}/ca.pem",
                        certificate=(f"{folder}/edge.pem", f"{folder}/edge.key"),
                    )
                )
                print(transport, result)


if __name__ == "__main__":
    main()
