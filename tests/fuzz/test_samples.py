"""Each sample of real equipment, spoilt a thousand times over (`make fuzz`; a hundred in `make test`): cheap, and nothing but refusals."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from hypothesis import settings

from sbc.errors import SipError
from sbc.sdp.offer import MediaLeg, MediaRules
from sbc.sip.message import Response
from sbc.sip.multipart import sdp_of
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.validate import KNOWN_METHODS, check_request, check_response
from tests.cost import least_cpu
from tests.fuzz.mutate import messages, mutate
from tests.unit.sdp.bodies import OUR_A
from tests.vectors.messages import SUPPORTED, index, octets

MUTATIONS = min(1000, settings().max_examples)
DEAREST_S = 0.005  # of CPU for one message from its octets to what the core would take of it
TRIES = 3
RULES = MediaRules(("PCMA", "PCMU", "G729", "opus", "telephone-event", "CN"), "optional", fax="pass")


@pytest.mark.parametrize("file", index("samples", "samples"))
def test_a_spoilt_sample_is_refused_or_taken_within_5_ms(file: str) -> None:
    sample = octets("samples", file)
    for seed in range(MUTATIONS):
        data = mutate(sample, Random(seed), messages())
        assert least_cpu(partial(_take, data), tries=TRIES, enough=DEAREST_S) < DEAREST_S, f"seed {seed}"


def _take(data: bytes) -> None:
    """All that is read of a message before anybody is asked."""
    try:
        message = parse_datagram(data)
    except Malformed:
        return
    status = 400
    try:
        if isinstance(message, Response):
            check_response(message)
        else:
            check_request(message, methods=KNOWN_METHODS, supported=SUPPORTED)
        body = sdp_of(message)
        if body is not None:
            leg = MediaLeg(RULES, 1)
            leg.listen(OUR_A)
            leg.receive_offer(body, True)
    except SipError as refused:
        status = refused.status
    assert 400 <= status < 700
    message.encode()
