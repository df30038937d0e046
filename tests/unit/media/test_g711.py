"""The tables against the numbers of the Recommendation, and against linear samples."""

from __future__ import annotations

import warnings

from media.api import Law
from media.g711 import TABLES

# ITU-T G.711, tables 3 and 4: the values of one law by number, from the smallest, in numbers of the other.
A_NUMBERS = [
    *(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, *range(9, 25), 25, 27, 29, 31, *range(33, 45), 46),
    *(*range(48, 63), *range(64, 81), *range(82, 129)),
]
MU_NUMBERS = [
    *(1, 3, 5, 7, 9, 11, 13, 15, *range(16, 32), 32, 32, 33, 33, 34, 34, 35, 35, *range(36, 48), 48, 48, 49, 49),
    *(*range(50, 64), 64, 64, *range(65, 81), *range(80, 128)),
]
# On the line every other bit of A-law is inverted (s2.1.2), and every bit but the sign of mu-law (s2.2.2); the numbers of A-law in
# table 3 begin with 1, those of mu-law in table 4 with 0.
A_OF_MU = bytes((octet & 0x80) | ((A_NUMBERS[~octet & 0x7F] - 1) ^ 0x55) for octet in range(256))
MU_OF_A = bytes((octet & 0x80) | (MU_NUMBERS[(octet & 0x7F) ^ 0x55] ^ 0x7F) for octet in range(256))


def linear(law: Law) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    samples = (audioop.alaw2lin if law is Law.A else audioop.ulaw2lin)(bytes(range(256)), 2)
    return [int.from_bytes(samples[at : at + 2], "little", signed=True) for at in range(0, 512, 2)]


def test_COD_02_the_tables_are_those_of_the_recommendation() -> None:
    assert len(A_NUMBERS) == len(MU_NUMBERS) == 128
    assert TABLES == {Law.A: A_OF_MU, Law.MU: MU_OF_A}


def test_COD_02_what_comes_out_is_what_went_in_as_nearly_as_can_be() -> None:
    """Within two steps of the nearest value there is, and never of the other sign."""
    for law in Law:
        before, after = linear(law.other), linear(law)
        for octet, translated in enumerate(TABLES[law]):
            wanted, got = before[octet], after[translated]
            assert octet & 0x80 == translated & 0x80
            others = sorted(abs(value - wanted) for value in after)
            assert abs(got - wanted) <= others[0] + max(8, abs(wanted) // 32)


def test_COD_02_a_second_time_nothing_is_lost() -> None:
    for law in Law:
        there, back = TABLES[law], TABLES[law.other]
        once = bytes(range(256)).translate(there)
        assert once.translate(back).translate(there) == once
        assert sum(octet.to_bytes().translate(there).translate(back) != octet.to_bytes() for octet in range(256)) == 16
