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
    "sbc/net/engine.py",
    "sbc/net/udp.py",
    "sbc/policy/decide.py",
    "sbc/policy/limits.py",
    "sbc/policy/snapshot.py",
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
    "sbc/devcerts.py",
    "sbc/identity_cli.py",
    "sbc/passports.py",
    "sbc/errors.py",  # an exception with defaults in its class
    "sbc/init.py",
    "sbc/log.py",
    "sbc/sip/header_name.py",  # a str that is more than a str
})  # fmt: skip
_GIVEN = {"sbc/frozen.py": "frozen.py", "media/value.py": "value.py"}  # what the written-out values need, from this folder

_ANY_PYTHON = """\
[tool.distutils.bdist_wheel]
py-limited-api = "cp311"
"""

# Nobody outside calls into it: its own calls and variables then need no table of addresses.
_FLAGS = "-fvisibility=hidden -fno-plt"

_SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

setup(ext_modules=mypycify({modules!r}, opt_level={level!r}, multi_file=True), zip_safe=False)
"""


def prepare(folder: Path, level: str) -> None:
    """Fill the empty `folder` with everything `setup.py` there needs."""
    for package in ("sbc", "media"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
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
    (folder / "setup.cfg").write_text("[build_ext]\nparallel = 2\n")
    (folder / "setup.py").write_text(_SETUP.format(modules=modules, level=level))


def compiled_modules(folder: Path) -> list[str]:
    """Paths of what is compiled, relative to `folder`."""
    found = {str(path.relative_to(folder)) for pattern in COMPILED for path in folder.glob(pattern)}
    return sorted(name for name in found - INTERPRETED if not name.endswith("__init__.py"))


def main() -> int:
    parser = argparse.ArgumentParser(description="compile the core")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--level", default="2", help="of optimisation, as gcc's -O")
    options = parser.parse_args()
    into: Path = options.folder
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        folder = Path(name) / "tree"
        folder.mkdir()
        prepare(folder, options.level)
        log = Path(name) / "log"
        with log.open("wb") as sink:
            command = [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", "made"]
            flags = os.environ | {"CFLAGS": f"{os.environ.get('CFLAGS', '')} {_FLAGS}"}
            code = subprocess.run(command, cwd=folder, env=flags, stdout=sink, stderr=subprocess.STDOUT, check=False).returncode
        if code:
            lines = log.read_text(errors="replace").splitlines()
            print("\n".join(line for line in lines if "error" in line.lower() and "gcc -" not in line) or "\n".join(lines[-20:]))
            return 1
        (wheel,) = (folder / "made").glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder / "made")
        shutil.rmtree(into, ignore_errors=True)
        (folder / "made").rename(into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
