"""The engine in C under churn for a long time, under AddressSanitizer (with leaks) and then ThreadSanitizer, half the time each:
`python -m tests.bench.soak_media --minutes N`. Ends with 1 as soon as either of them, or the traffic, finds something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.native.build import ENGINE, compiled

SOURCE = Path(__file__).with_name("soak_media.c")
PARTS = ("digits", "flows", "g711", "keying", "latch", "packet", "relay", "srtp", "stream", "stun", "worker", "workers")
SANITIZERS = {"addresses": "address,undefined", "threads": "thread"}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--churn", type=float, default=100.0, help="calls a second that are closed and opened")
    chosen = arguments.parse_args()
    seconds = 60 * chosen.minutes / len(SANITIZERS)
    for name in SANITIZERS:
        print(f"{name}: {seconds:.0f} s", flush=True)
        if subprocess.run([soak(name), f"{seconds:g}", f"{chosen.churn:g}"], check=False).returncode:
            return 1
    return 0


def soak(name: str) -> Path:
    sources = [SOURCE, *(ENGINE / f"{part}.c" for part in PARTS)]
    flags = (f"-fsanitize={SANITIZERS[name]}", "-fno-sanitize-recover=all")
    return compiled(f"soak_{name}", sources, flags, ("-lcrypto", "-lm", "-lpthread"))


if __name__ == "__main__":
    sys.exit(main())
