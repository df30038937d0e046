from __future__ import annotations

import pytest

from sbc.link.frames import LinkError
from sbc.link.session import TELL_EVERY, UNHEARD, Session
from sbc.sip.framing import Message

OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"


def test_octets_that_were_not_heard_of_are_said_again() -> None:
    said, heard = Session(b"edge"), Session(b"site")
    assert said.write(OPTIONS, "one")
    assert said.write(OPTIONS, "two")
    frames = heard.receive(OPTIONS + OPTIONS[:10])  # then the connection is gone, in the middle of a message
    assert [type(frame) for frame in frames] == [Message]
    again = said.resume(heard.received)
    assert again == OPTIONS[10:]
    assert [type(frame) for frame in heard.receive(again)] == [Message]
    assert said.lost() == ["two"]
    said.heard(heard.received)
    assert said.lost() == []
    assert said.resume(heard.received) == b""


def test_nobody_has_heard_what_was_never_said() -> None:
    session = Session(b"")
    session.write(b"four", "")
    for count in (5, -1):
        with pytest.raises(LinkError):
            session.resume(count)
    session.heard(3)
    with pytest.raises(LinkError):
        session.heard(2)


def test_what_waits_is_bounded() -> None:
    session = Session(b"")
    assert session.write(bytes(UNHEARD), "")
    assert not session.write(b"x", "key")
    assert session.lost() == []


def test_the_other_end_is_told_now_and_then() -> None:
    session = Session(b"")
    session.receive(b"\r\n" * (TELL_EVERY // 2 - 1))
    assert not session.shall_tell()
    session.receive(b"\r\n")
    assert session.shall_tell()
    session.told()
    assert not session.shall_tell()
