from __future__ import annotations

import pytest

from media.api import Suite
from sbc.errors import NotAcceptableHere
from sbc.probe.description import Audio, write
from sbc.probe.stream import new_keys
from sbc.probe.tones import Law
from sbc.sdp.crypto import Crypto
from sbc.sdp.model import Direction
from sbc.sdp.parse import SdpError


def _line(suite: Suite) -> Crypto:
    return Crypto(1, suite, new_keys(suite))


@pytest.mark.parametrize("suite", list(Suite))
def test_what_is_written_is_read_again(suite: Suite) -> None:
    line = _line(suite)
    audio = Audio.parse(write(("127.0.0.1", 4000), (Law.PCMA, Law.PCMU), (line,), 1, Direction.SENDONLY))
    assert audio == Audio(("127.0.0.1", 4000), (Law.PCMA, Law.PCMU), True, (line,), Direction.SENDONLY)


def test_without_keys_it_is_plain_rtp() -> None:
    audio = Audio.parse(write(("::1", 4000), (Law.PCMU,), (), 7))
    assert (audio.secure, audio.cryptos, audio.remote) == (False, (), ("::1", 4000))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(b"RTP/AVP 8 101", b"RTP/AVP 18"), (b"m=audio 4000", b"m=audio 0"), (b"m=audio", b"m=video"), (b"RTP/AVP", b"RTP/SAVP")],
    ids=["no G.711", "refused", "no audio", "no key"],
)
def test_what_cannot_be_used_is_not_acceptable(was: bytes, becomes: bytes) -> None:
    body = write(("127.0.0.1", 4000), (Law.PCMA,), (), 1)
    assert was in body
    with pytest.raises(NotAcceptableHere):
        Audio.parse(body.replace(was, becomes))


def test_what_is_no_description_is_a_bad_request() -> None:
    with pytest.raises(SdpError):
        Audio.parse(b"")
