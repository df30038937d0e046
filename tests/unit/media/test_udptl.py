"""Whether a datagram is UDPTL."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.udptl import well_formed_udptl
from tests.unit.media.contract_fax import udptl


@given(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=127), st.lists(st.binary(min_size=1, max_size=127), max_size=8))
def test_FAX_01_every_whole_datagram_passes_and_no_cut_one(sequence: int, primary: bytes, earlier: list[bytes]) -> None:
    packet = udptl(sequence, primary, *earlier)
    assert well_formed_udptl(packet)
    without_recovery = 3 + len(primary)
    assert [size for size in range(len(packet)) if well_formed_udptl(packet[:size])] == [without_recovery]


@given(st.binary(max_size=1600))
def test_any_octets_are_judged(packet: bytes) -> None:
    assert well_formed_udptl(packet) in (True, False)
    assert not (well_formed_udptl(packet) and len(packet) > 1500)
