"""Compiles parts of what is in C with what tests them, under sanitizers, into build/fuzz.

With gcc the fuzz targets get tests/fuzz/native/driver.c, with CC=clang libFuzzer. A compiler that is missing is an error: nothing is
skipped.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENGINE = ROOT / "media/native"
ROWS = ROOT / "sbc/native"
HERE = Path(__file__).parent
BUILD = ROOT / "build/fuzz"

# A target and what it needs.
TARGETS = {
    "packet": (ENGINE / "packet.c",),
    "srtp": (ENGINE / "packet.c", ENGINE / "srtp.c"),
    "relay": tuple(ENGINE / f"{part}.c" for part in ("packet", "srtp", "keying", "stun", "latch", "g711", "stream", "digits", "relay")),
    "rows": (ROWS / "rows.c",),
    "frame": (ENGINE / "xdp/frame.c",),
    "planted": (),
}

CFLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer", f"-I{ENGINE}", f"-I{HERE}")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "gcc"))


def compiled(name: str, sources: Sequence[Path], flags: Sequence[str], libraries: Sequence[str] = ()) -> Path:
    """`sources` as one file of that name, made again only when one of them changed."""
    made = BUILD / name
    looked_at = [*sources, *ENGINE.rglob("*.[ch]"), *ROWS.glob("*.[ch]"), *HERE.glob("*.[ch]"), Path(__file__)]
    if not made.exists() or made.stat().st_mtime < max(each.stat().st_mtime for each in looked_at):
        BUILD.mkdir(parents=True, exist_ok=True)
        part = made.with_name(f"{name}.{os.getpid()}.part")
        subprocess.run([*compiler(), *CFLAGS, *flags, *map(str, sources), *libraries, "-o", str(part)], check=True, cwd=ROOT)
        part.rename(made)
    return made


def target(name: str) -> Path:
    """The fuzz target of that name, ready to run."""
    sources = [HERE / f"{name}_target.c", *TARGETS[name]]
    libraries = ("-lcrypto", "-lm")
    if "clang" in compiler()[0]:
        return compiled(f"{name}_libfuzzer", sources, ("-fsanitize=fuzzer", *SANITIZED), libraries)
    driver = compiled("driver.o", [HERE / "driver.c"], ("-c",))
    return compiled(name, sources, (*SANITIZED, "-fsanitize-coverage=trace-pc"), (str(driver), *libraries))


def driven_core() -> Path:
    """media.native.core whose packets come from and go to the test: see drive.c."""
    hidden = ("-Drelay_send=send_by_socket", "-Dengine_start=start_engine")
    threads = [str(compiled(f"driven_{name}.o", [ENGINE / f"{name}.c"], ("-c", "-fPIC", *hidden))) for name in ("worker", "workers")]
    python = [ENGINE / f"{name}.c" for name in ("module", "arguments", "context")]
    sources = [HERE / "drive.c", *python, ENGINE / "flows.c", *TARGETS["relay"]]
    include = f"-I{sysconfig.get_path('include')}"
    flags = ("-fPIC", "-shared", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-DPy_LIMITED_API=0x030B0000", include)
    return compiled("driven_core.abi3.so", sources, flags, (*threads, "-lcrypto", "-lm"))
