"""The product with its core compiled to C by mypyc: `python -m deploy.compiled.build FOLDER`.

FOLDER gets a copy of sbc/ and media/ in which the modules below are compiled, and a wheel of both; whoever has it first on the
Python path runs them, from the same source, at two thirds of the CPU. Needs a C compiler and the headers of Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from deploy.compiled.constants import settle
from deploy.compiled.values import NotCompilable, expand

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

# All that a call or a packet passes through. The rest waits, reads files or talks to people.
COMPILED = (
    "media/*.py",
    "media/native/*.py",
    "sbc/*.py",
    "sbc/call/*.py",
    "sbc/identity/parties.py",
    "sbc/identity/signature.py",
    "sbc/identity/verdict.py",
    "sbc/net/engine.py",
    "sbc/net/inbox.py",
    "sbc/net/udp.py",
    "sbc/policy/counters.py",
    "sbc/policy/decide.py",
    "sbc/policy/edits.py",
    "sbc/policy/inventory.py",
    "sbc/policy/lasting.py",
    "sbc/policy/limits.py",
    "sbc/policy/plans.py",
    "sbc/policy/realms.py",
    "sbc/policy/snapshot.py",
    "sbc/recording/core.py",
    "sbc/recording/plain.py",
    "sbc/recording/recorded.py",
    "sbc/recording/recorder.py",
    "sbc/recording/secrets.py",
    "sbc/recording/tape.py",
    "sbc/recording/wanted.py",
    "sbc/registrar/*.py",
    "sbc/sdp/*.py",
    "sbc/shield/*.py",
    "sbc/sip/*.py",
    "sbc/sip/fields/*.py",
)
INTERPRETED = frozenset({
    "media/dtls.py",  # they wait for OpenSSL
    "media/handshake.py",
    "sbc/__main__.py",
    "sbc/app.py",
    "sbc/cli.py",
    "sbc/companion.py",
    "sbc/devcerts.py",
    "sbc/examples.py",
    "sbc/identity_cli.py",
    "sbc/judge.py",
    "sbc/explain_cli.py",
    "sbc/running.py",
    "sbc/changes.py",
    "sbc/notify.py",
    "sbc/passports.py",
    "sbc/policy_cli.py",
    "sbc/probation.py",
    "sbc/provision.py",
    "sbc/usage.py",
    "sbc/watch.py",
    "sbc/errors.py",  # an exception with defaults in its class
    "sbc/init.py",
    "sbc/log.py",
    "sbc/shield/kernel.py",  # it waits for nft
    "sbc/sip/header_name.py",  # a str that is more than a str
})  # fmt: skip
_GIVEN = {"sbc/frozen.py": "frozen.py", "media/value.py": "value.py"}  # what the written-out values need, from this folder

_XDP = "media/native/xdp"
_ANY_PYTHON = """\
[tool.distutils.bdist_wheel]
py-limited-api = "cp311"
"""

# Nobody outside calls into it: its own calls and variables then need no table of addresses.
_FLAGS = "-fvisibility=hidden -fno-plt"

# A call runs 65,000 instructions of the seven megabytes, once each: what is run has to stand together. What the counting did not see run
# is compiled as ever (partial training).
_COUNTING = "-fprofile-generate -fprofile-update=single"
_COUNTED = "-fprofile-use -fprofile-partial-training -fprofile-correction -Wno-missing-profile -Wno-coverage-mismatch"

_SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

setup(ext_modules=mypycify({modules!r}, opt_level={level!r}, multi_file=True), zip_safe=False)
"""


def prepare(folder: Path, level: str) -> None:
    """Fill the empty `folder` with everything `setup.py` there needs."""
    for package in ("sbc", "media"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for made in (ROOT / _XDP).glob("*.so"):  # of no version of Python, and not built here
        shutil.copy(made, folder / _XDP)
    for target, source in _GIVEN.items():
        shutil.copy(HERE / source, folder / target)
    shutil.copy(ROOT / "README.md", folder)
    # What mypyc makes is for one version of Python, unlike the media engine.
    project = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project.replace(_ANY_PYTHON, ""))
    modules = compiled_modules(folder)
    for module in modules:
        if module not in _GIVEN:
            path = folder / module
            try:
                path.write_text(expand(settle(path.read_text())))
            except NotCompilable as error:
                raise SystemExit(f"{module}:{error}") from error
    (folder / "setup.cfg").write_text("[build_ext]\nparallel = 2\nforce = 1\n")
    (folder / "setup.py").write_text(_SETUP.format(modules=modules, level=level))


def compiled_modules(folder: Path) -> list[str]:
    """Paths of what is compiled, relative to `folder`."""
    found = {str(path.relative_to(folder)) for pattern in COMPILED for path in folder.glob(pattern)}
    return sorted(name for name in found - INTERPRETED if not name.endswith("__init__.py"))


def build(folder: Path, flags: str, into: str) -> Path:
    """The wheel of what `prepare` put into `folder`, unpacked in `into` there. SystemExit with what the compiler says against it."""
    log = folder.with_name("log")
    environment = os.environ | {"CFLAGS": f"{os.environ.get('CFLAGS', '')} {_FLAGS} {flags}"}
    with log.open("wb") as sink:
        command = [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", into]
        code = subprocess.run(command, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        lines = log.read_text(errors="replace").splitlines()
        print("\n".join(line for line in lines if "error" in line.lower() and "gcc -" not in line) or "\n".join(lines[-20:]))
        raise SystemExit(1)
    (wheel,) = (folder / into).glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / into)
    return folder / into


def rehearse(tree: Path) -> None:
    """Calls through what was built to count: over UDP, and over TLS with credentials and keys."""
    environment = os.environ | {"PYTHONPATH": f"{tree}:{ROOT}"}
    for kind in ((), ("--tls",)):
        command = [sys.executable, "-P", "-m", "tests.bench.signalling", "--rates", "50", "--seconds", "5", *kind]
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            raise SystemExit("the calls that show what to arrange by failed: see above, and whether 127.0.0.21 to 127.0.0.33 are free")


def main() -> int:
    parser = argparse.ArgumentParser(description="compile the core")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--level", default="2", help="of optimisation, as gcc's -O")
    parser.add_argument(
        "--trained", action="store_true", help="compile twice, the second time with what calls through the first one showed"
    )
    options = parser.parse_args()
    into: Path = options.folder.resolve()
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        folder = Path(name) / "tree"
        folder.mkdir()
        prepare(folder, options.level)
        if options.trained:
            rehearse(build(folder, _COUNTING, "counting"))
            made = build(folder, _COUNTED, "made")
        else:
            made = build(folder, "", "made")
        shutil.rmtree(into, ignore_errors=True)
        made.rename(into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
