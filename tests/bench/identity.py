"""What signing and verifying calls cost: of one call, and of a load through two real SBCs, of which one signs and the other verifies.

    python -m tests.bench.identity --rate 50 --seconds 60

The same load goes through both before without any signature, so that the difference is the price of identity. The second takes no call that
is not signed well; certificates are at hand, as they are but for the first call of each signer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sbc import devcerts
from sbc.identity.credential import Trust, read_chain
from sbc.identity.sign import Key
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Claimed, Verstat
from sbc.identity.verify import Credentials, verify
from tests.bench.generator import LoadResult, LoadSpec, run_load
from tests.bench.subject import CALLEE, CALLER, INSIDE, OUTSIDE, POLICY, UDP_PORT, Subject, subject

SECOND_OUTSIDE, SECOND_INSIDE = "127.0.0.41", "127.0.0.42"
NUMBER = "+493011"  # of the generator's caller
URL = "https://certs.example.com/bench.pem"
SIGN = f"sign: {{certificate: stir, url: {URL}}}"
SETTLE_S = 2.0  # after the last call, until its record is written


@dataclass(frozen=True)
class Cost:
    """CPU of one call in µs, the certificate at hand."""

    sign_us: float
    verify_us: float


def cost(folder: Path, rounds: int = 1000) -> Cost:
    devcerts.make_stir(folder)
    private = load_pem_private_key((folder / "stir.key").read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key, chain = Key(private, URL), {URL: (folder / "stir.pem").read_bytes()}
    credentials = Credentials(Trust(tuple(read_chain((folder / "sti-ca.pem").read_bytes()))))
    now = time.time()
    asked = ToSign("office", "A", NUMBER[1:], "4930123456", int(now))
    question = Claimed((key.sign(asked, "origid"),), (asked.caller,), asked.called, asked.called)
    assert verify(question, chain, credentials, now).verstat == Verstat.PASSED
    return Cost(_each_us(lambda: key.sign(asked, "origid"), rounds), _each_us(lambda: verify(question, chain, credentials, now), rounds))


def _each_us(action: Callable[[], object], rounds: int) -> float:
    """The best of five: what else the machine does only adds to it."""
    found = []
    for _ in range(5):
        begin = time.process_time()
        for _ in range(rounds // 5):
            action()
        found.append((time.process_time() - begin) / (rounds // 5))
    return round(1e6 * min(found), 1)


@dataclass(frozen=True)
class Measurement:
    """CPU in ms per call of the SBC that signs and of the one that verifies; how many calls of the records came signed, and passed."""

    load: LoadResult
    signs_ms: float
    verifies_ms: float
    signed: int
    passed: int


def measure(folder: Path, rate: float, seconds: float, *, identity: bool) -> Measurement:
    with both(folder, identity=identity) as (first, second):
        begin = first.usage().cpu, second.usage().cpu
        load = run_load(LoadSpec(rate, seconds, (OUTSIDE, UDP_PORT), (CALLER, UDP_PORT), (CALLEE, UDP_PORT)))
        time.sleep(SETTLE_S)
        used = [1000 * (node.usage().cpu - before) / max(1, load.offered) for node, before in zip((first, second), begin, strict=True)]
        signed = Counter(bool(record["b"] and record["b"]["signed"] and record["b"]["signed"]["ppt"]) for record in _records(first))
        passed = Counter((record["stir"] or {}).get("verstat") for record in _records(second))
    return Measurement(load, round(used[0], 3), round(used[1], 3), signed[True], passed["TN-Validation-Passed"])


@contextmanager
def both(folder: Path, *, identity: bool) -> Iterator[tuple[Subject, Subject]]:
    first, second = folder / "first", folder / "second"
    devcerts.make_stir(first / "certs")
    shutil.copytree(first / "certs", second / "certs", dirs_exist_ok=True)
    with ExitStack() as running:
        verifier = running.enter_context(subject(second, policy=_verifying(identity), outside=SECOND_OUTSIDE))
        yield running.enter_context(subject(first, policy=_signing(identity))), verifier


def _signing(identity: bool) -> str:
    """The usual policy; what is called is the second SBC."""
    policy = POLICY.replace(CALLEE, SECOND_OUTSIDE)
    if not identity:
        return policy
    policy = policy.replace("  callers:\n", f'  callers:\n    numbers: ["{NUMBER}"]\n').replace("  callees:\n", "  callees:\n    sign: A\n")
    return f"{policy}identity: {{{SIGN}}}\n"


def _verifying(identity: bool) -> str:
    """The same at other addresses; who calls is the first SBC. It knows the certificate, as it signs with the same itself."""
    policy = POLICY.replace(CALLER, "FIRST").replace(OUTSIDE, SECOND_OUTSIDE).replace(INSIDE, SECOND_INSIDE).replace("FIRST", INSIDE)
    if not identity:
        return policy
    policy = policy.replace("  callers:\n", "  callers:\n    verify: require\n")
    return f"{policy}identity: {{roots: ../certs/sti-ca.pem, {SIGN}}}\n"


def _records(node: Subject) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (node.folder / "var" / "records.jsonl").read_text().splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description="cost of signing and verifying calls")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        alone = cost(Path(name) / "cost")
        print(f"one call: {alone.sign_us} µs to sign, {alone.verify_us} µs to verify")
        runs = [measure(Path(name) / str(each), options.rate, options.seconds, identity=each) for each in (False, True)]
    for run, what in zip(runs, ("plain", "signed and verified"), strict=True):
        load = run.load
        print(f"{load.achieved:.0f} calls/s {what}: {load.completed} of {load.offered}, {run.signed} signed, {run.passed} verified")
        print(f"  CPU {run.signs_ms} and {run.verifies_ms} ms/call; set up in {load.setup_p50_ms} ms, p99 {load.setup_p99_ms}")
    plain, proved = runs
    print(f"identity costs {proved.signs_ms - plain.signs_ms:.3f} ms to sign, {proved.verifies_ms - plain.verifies_ms:.3f} ms to verify")
    good = proved.load.completed == proved.load.offered == proved.signed == proved.passed
    print("every call was signed and verified" if good else "NOT every call was signed and verified")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
