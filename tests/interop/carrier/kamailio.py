"""Kamailio as the carrier's server: it wants a REGISTER, challenges that and each call, and calls us at our Contact."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.namespaces import Namespace
from tests.interop.wait import until

# {host}: where it listens; {customer}: us; {phone}: whom our calls are for
_CONFIG = """\
exit_timeout=5
children=2
tcp_children=2
log_stderror=yes
auto_aliases=no
debug=0
listen=udp:{host}:5060
listen=tcp:{host}:5060
tcp_accept_aliases=yes
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
request_route {{
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{domain}", "{password}", "0")) {{
            www_challenge("{domain}", "1");
            exit;
        }}
        xlog("L_ERR", "TOLD expires=$hdr(Expires) from=$si:$sp proto=$proto\\n");
        save("location");
        exit;
    }}
    if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }}
    if (is_method("CANCEL|ACK")) {{
        t_relay();
        exit;
    }}
    record_route();
    if ($si == "{customer}") {{
        if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
            proxy_challenge("{domain}", "1");
            exit;
        }}
        consume_credentials();
        $du = "sip:{phone}";
    }} else {{
        $ru = "sip:{account}@{domain}";
        if (!lookup("location")) {{
            sl_send_reply("480", "Not Registered");
            exit;
        }}
    }}
    t_relay();
}}
"""


@dataclass(frozen=True)
class Kamailio:
    log: Path

    def told(self) -> list[str]:
        """What each REGISTER with the right password asked for, and where it came from."""
        return [line.partition("TOLD ")[2] for line in self.log.read_text(errors="replace").splitlines() if "TOLD " in line]

    def wait_for(self, registers: int) -> None:
        until(lambda: len(self.told()) >= registers, 20.0, "a REGISTER with the right password")


@contextlib.contextmanager
def kamailio(on: Namespace, folder: Path, **values: str) -> Iterator[Kamailio]:
    folder.mkdir()
    config, log = folder / "kamailio.cfg", folder / "kamailio.log"
    config.write_text(_CONFIG.format(**values))
    command = ["kamailio", "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(folder), "-P", str(folder / "pid")]
    process = on.start(command, log=log)
    try:
        until(lambda: f"{values['host']}:5060" in on.run(["ss", "-Hltn"]), 20.0, f"Kamailio does not listen, see {log}")
        yield Kamailio(log)
    finally:
        process.terminate()  # and its children, which it waits for
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.terminate()  # it may miss the first one as it goes to sleep
            process.wait(60)
