"""The a=crypto attribute."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from media.api import MOST_KEYS, Keys, Suite
from sbc.sdp.crypto import ALIASES, Crypto, choose, read_cryptos
from sbc.sdp.parse import SdpError
from tests.unit.sdp.bodies import KEY_A, KEY_B, vectors

DATA = vectors("crypto_attributes.json")
LINES = DATA["attributes"]
BASIC = f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_A}"
# Valid by the grammar, but not for us; see the reason of each vector.
NOT_FOR_US = ("FEC_ORDER", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", " FOO=1")


@pytest.mark.parametrize("vector", LINES, ids=[line["line"][9:60] for line in LINES])
def test_SRTP_05_lines(vector: dict[str, Any]) -> None:
    value = vector["line"].removeprefix("a=crypto:")
    if not vector["valid"]:
        with pytest.raises(SdpError) as caught:
            Crypto.parse(value)
        key = value.partition("inline:")[2]
        assert not key or key not in str(caught.value)
        return
    crypto = Crypto.parse(value)
    assert crypto.suite == value.split()[1]
    for name, actual in (("suite", crypto.suite), ("lifetime", crypto.lifetime), ("alias_of", ALIASES.get(crypto.suite))):
        assert vector.get(name) in (None, actual)
    if "mki" in vector:
        assert crypto.mki == (int(vector["mki"]), vector["mki_length"])
    assert list(crypto.parameters) == vector.get("session_params", list(crypto.parameters))
    supported = ALIASES.get(crypto.suite, crypto.suite) in set(Suite) and not any(mark in value for mark in NOT_FOR_US)
    assert (crypto.keys is not None) is supported
    if crypto.keys is not None:
        assert len(crypto.keys.master) == vector.get("key_salt_octets", crypto.keys.suite.key_length)


def test_SRTP_05_there_are_32_lines() -> None:
    assert len(LINES) == 32


@pytest.mark.parametrize(
    ("parameters", "usable"),
    [
        ("", True),
        ("KDR=0", True),
        ("KDR=24", False),
        ("WSH=64", True),
        ("-FOO", True),
        ("-UNENCRYPTED_SRTP", True),
        ("UNENCRYPTED_SRTP", False),
        ("FEC_ORDER=SRTP_FEC", False),
        (f"FEC_KEY=inline:{KEY_A}", False),
    ],
)
def test_SRTP_09_session_parameters(parameters: str, usable: bool) -> None:
    assert (Crypto.parse(f"{BASIC} {parameters}").keys is not None) is usable


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "01 AES_CM_128_HMAC_SHA1_80 inline:" + KEY_A,
        "\uff11 AES_CM_128_HMAC_SHA1_80 inline:" + KEY_A,
        BASIC + "|2^20|1:4|1:4",
        BASIC + "|1:4|2^20",
        BASIC + "|256:1",
        BASIC + "|1:0",
        BASIC + "|" + "9" * 5000,
        BASIC + "|2^" + "9" * 15,
        BASIC + "|" + "9" * 5000 + ":128",
        BASIC + " KDR=-1",
        BASIC + " WSH=63",
        BASIC + ";inline:" + KEY_A,
        BASIC + ";",
    ],
)
def test_SRTP_05_more_invalid_lines(value: str) -> None:
    with pytest.raises(SdpError):
        Crypto.parse(value)


def test_padding_is_written_and_not_required() -> None:
    master = bytes(range(28))
    text = base64.b64encode(master).decode()
    assert text.endswith("=")
    keys = Keys(Suite.AEAD_AES_128_GCM, master)
    assert Crypto(1, "AEAD_AES_128_GCM", keys).encode() == f"1 AEAD_AES_128_GCM inline:{text}"
    assert Crypto.parse(f"1 AEAD_AES_128_GCM inline:{text}").keys == keys
    assert Crypto.parse(f"1 AEAD_AES_128_GCM inline:{text.rstrip('=')}").keys == keys


def test_what_is_parsed_can_be_written_again() -> None:
    value = f"7 AES_CM_128_HMAC_SHA1_32 inline:{KEY_A}|1048576 WSH=128"
    assert Crypto.parse(value).encode() == value
    with pytest.raises(ValueError, match="no key"):
        Crypto.parse(f"{BASIC} FOO").encode()


@pytest.mark.parametrize(
    ("options", "mki", "lifetime"),
    [
        ("", b"", None),
        ("|2^20", b"", 1 << 20),
        ("|1:4", b"\0\0\0\1", None),
        ("|2^31|1:1", b"\1", 1 << 31),
        ("|2^48|0:1", b"\0", 1 << 48),
        ("|65535:2", b"\xff\xff", None),
        ("|7:128", bytes(127) + b"\7", None),
    ],
)
def test_SRTP_05_the_name_and_the_lifetime_of_a_key(options: str, mki: bytes, lifetime: int | None) -> None:
    crypto = Crypto.parse(BASIC + options)
    assert crypto.keys is not None
    assert (crypto.keys.mki, crypto.keys.lifetime) == (mki, lifetime)
    assert Crypto.parse(crypto.encode()) == crypto


def test_SRTP_05_several_keys_in_a_line() -> None:
    keys = Crypto.parse(f"{BASIC}|2^20|1:4;inline:{KEY_B}|2^21|2:4").keys
    assert keys is not None
    (other,) = keys.more
    assert [(each.mki, each.lifetime) for each in (keys, other)] == [(b"\0\0\0\1", 1 << 20), (b"\0\0\0\2", 1 << 21)]
    assert [base64.b64encode(each.master).decode() for each in (keys, other)] == [KEY_A, KEY_B]
    assert KEY_B not in repr(keys) + str(keys)


@pytest.mark.parametrize("second", [f"inline:{KEY_B}", f"inline:{KEY_B}|2:2", f"inline:{KEY_B}|1:4", f"inline:{KEY_B[:-4]}|2:4", ""])
def test_SRTP_05_keys_that_cannot_be_told_apart_are_no_line(second: str) -> None:
    with pytest.raises(SdpError):
        Crypto.parse(f"{BASIC}|1:4;{second}")


def test_SRTP_05_more_keys_than_we_take_are_left_to_others() -> None:
    line = BASIC + "|0:1" + "".join(f";inline:{KEY_B}|{number}:1" for number in range(1, MOST_KEYS))
    assert Crypto.parse(line).keys is not None
    assert Crypto.parse(f"{line};inline:{KEY_B}|{MOST_KEYS}:1").keys is None


def test_SRTP_07_keys_show_in_no_repr() -> None:
    crypto = Crypto.parse(BASIC)
    assert KEY_A not in repr(crypto) + str(crypto)
    assert crypto.keys is not None
    assert repr(crypto.keys.master) not in repr(crypto)
    assert KEY_A not in repr(Crypto.parse(f"{BASIC} FEC_KEY=inline:{KEY_A}"))


def test_one_tag_twice_spoils_the_section() -> None:
    other = BASIC.replace("_80", "_32")
    assert read_cryptos([BASIC, other]) == ()
    assert [crypto.tag for crypto in read_cryptos([BASIC, "2" + other[1:], "broken"])] == [1, 2]


def test_our_order_of_suites_decides() -> None:
    offered = read_cryptos([BASIC, "2" + BASIC[1:], "3" + BASIC[1:].replace("_80", "_32")])
    strong = choose(offered, (Suite.AEAD_AES_256_GCM, Suite.AES_CM_128_HMAC_SHA1_80))
    short = choose(offered, (Suite.AES_CM_128_HMAC_SHA1_32, Suite.AES_CM_128_HMAC_SHA1_80))
    assert strong is not None
    assert short is not None
    assert (strong.tag, short.tag) == (1, 3)
    assert choose(offered, (Suite.AEAD_AES_128_GCM,)) is None
