"""A carrier that wants to be registered at: Kamailio with its registrar, which challenges REGISTER and every call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.carrier.kamailio import kamailio
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, POLICY, serve
from tests.interop.sipp import sipp
from tests.interop.wait import until

ACCOUNT = "4930123"
DOMAIN = "tel.example"
PHONE_PORT, CALLER_PORT = 5070, 5080  # beside Kamailio, on the carrier's host
_BEFORE = """\
    accept_from: [{carrier}]
    peer: sip:{carrier}:5060
    media: plain
    limits: carrier
"""
_REGISTERED = """\
    register_to:
      registrar: sip:{{carrier}}:5060;transport={transport}
      domain: tel.example
      user: "4930123"
      password: {{{{file: ../certs/alice.secret}}}}
      expires: 60s
    media: plain
    limits: carrier
"""
_ROUTES = """\
routes:
  - name: from-tel
    when: {{trunk: carrier, to: "*"}}
    send_to: [plain_pbx]
"""


def policy(transport: str) -> str:
    assert _BEFORE in POLICY
    return POLICY.replace(_BEFORE, _REGISTERED.format(transport=transport)).replace("routes:\n", _ROUTES, 1)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_registered_called_calling_refreshed_and_gone(lab: Lab, tmp_path: Path, transport: str) -> None:
    host = lab.carrier.address
    values = {
        "host": host,
        "customer": lab.inside,
        "phone": f"{host}:{PHONE_PORT}",
        "domain": DOMAIN,
        "password": PASSWORD,
        "account": ACCOUNT,
    }
    with kamailio(lab.carrier, tmp_path / "kamailio", **values) as registrar:
        with serve(lab, tmp_path / "sbc", policy(transport)) as sbc:
            registrar.wait_for(1)
            until(lambda: " registered trunk=carrier" in sbc.log, 10, sbc.log)
            # To us: our Contact is all that Kamailio has of us
            office = sipp(lab.attacker, tmp_path / "office", "callee")
            caller = sipp(lab.carrier, tmp_path / "caller", "caller", f"{host}:5060", port=CALLER_PORT, keys={"caller": "1", "called": "2"})
            assert (caller.result().failed, office.result().failed) == (0, 0)
            # From us: each call is challenged
            phone = sipp(lab.carrier, tmp_path / "phone", "callee", port=PHONE_PORT)
            pbx = sipp(lab.attacker, tmp_path / "pbx", "caller", f"{lab.outside}:5060", keys={"caller": "+4940222", "called": "+4930999"})
            assert (pbx.result().failed, phone.result().failed) == (0, 0)
            assert f"@{DOMAIN}" in phone.received()[0].partition("From:")[2].partition("\n")[0]
            incoming, outgoing = sbc.records(2)
            assert (incoming["route"], incoming["sip_status"]) == ("from-tel", 200)
            assert (outgoing["route"], outgoing["sip_status"]) == ("out", 200)
            until(lambda: len(registrar.told()) >= 2, 45, "the refresh did not come")
        told = registrar.told()
        assert [line.split()[0] for line in told] == ["expires=60", "expires=60", "expires=0"], "and it said goodbye"
        assert len({line.split()[1] for line in told}) == 1, "from one address and port"
