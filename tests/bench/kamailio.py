"""Kamailio as a plain stateful proxy, for comparison under the same load at the same time: machines differ, and so do their days."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import Usage, usage
from tests.bench.subject import CALLEE, OUTSIDE, UDP_PORT

_CONFIG = f"""\
children=2
log_stderror=yes
debug=0
fork=yes
listen=udp:{OUTSIDE}:{UDP_PORT}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {{
    if (has_totag()) {{
        loose_route();
    }} else if (is_method("ACK")) {{
        exit;
    }} else {{
        record_route();
    }}
    $du = "sip:{CALLEE}:{UDP_PORT}";
    t_relay();
}}
"""


@dataclass(frozen=True)
class Kamailio:
    process: int

    def usage(self) -> Usage:
        return usage(self.process)


@contextlib.contextmanager
def kamailio(folder: Path) -> Iterator[Kamailio]:
    """In the place of the SBC, with its configuration in `folder`. RuntimeError when it does not run."""
    config, log = folder / "kamailio.cfg", folder / "kamailio.log"
    config.write_text(_CONFIG)
    with log.open("wb") as sink:
        command = ["kamailio", "-f", str(config), "-DD", "-E", "-m", "256", "-M", "16", "-Y", str(folder)]
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        time.sleep(2)  # it listens before it says so
        if process.poll() is not None:
            raise RuntimeError(f"Kamailio ended with {process.returncode}:\n{log.read_text(errors='replace')[-1000:]}")
        yield Kamailio(process.pid)
    finally:
        process.terminate()
        process.wait()
