from __future__ import annotations

import pytest

from sbc.net.identity import MAX_NAMES, Expected, names


def certificate(*alternatives: tuple[str, str]) -> dict[str, object]:
    return {"subject": ((("commonName", "cn.example"),),), "subjectAltName": alternatives}


@pytest.mark.parametrize(
    ("alternatives", "domain", "matches"),
    [
        ([("DNS", "Gw.Example")], "gw.example", True),
        ([("DNS", "gw.example.")], "gw.example", True),
        ([("DNS", "gw.example")], "other.example", False),
        ([("DNS", "example")], "gw.example", False),
        ([("DNS", "gw.example")], "example", False),
        ([("DNS", "gw.example\0.evil.example")], "gw.example", False),
        ([("DNS", "xn--bcher-KVA.example")], "xn--bcher-kva.example", True),  # IDNA: both sides in ASCII
        ([("URI", "sip:gw.example"), ("DNS", "other.example")], "gw.example", True),
        ([("URI", "sip:gw.example"), ("DNS", "other.example")], "other.example", False),
        ([("URI", "sip:GW.example:5061;transport=tls")], "gw.example", True),
        ([("URI", "sips:gw.example")], "gw.example", False),
        ([("URI", "sip:user@gw.example")], "gw.example", False),
        ([("URI", "sip:user@gw.example"), ("DNS", "gw.example")], "gw.example", True),
        ([("URI", "sip:"), ("URI", "sip:[::1")], "", False),
        ([("IP Address", "192.0.2.1")], "192.0.2.1", True),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1\n")], "2001:db8::1", True),
        ([], "cn.example", True),
        ([("DNS", "gw.example")], "cn.example", False),
        ([("URI", "https://cn.example")], "cn.example", False),
    ],
)
def test_TLS_02_who_a_certificate_is_for(alternatives: list[tuple[str, str]], domain: str, matches: bool) -> None:
    assert (Expected(domain).refusal(certificate(*alternatives)) == "") is matches
    assert (domain in names(certificate(*alternatives))) is matches


@pytest.mark.parametrize(
    ("name", "domain", "allowed"),
    [
        ("*.example.com", "gw.example.com", True),
        ("*.example.com", "a.gw.example.com", False),
        ("*.example.com", "example.com", False),
        ("gw*.example.com", "gw1.example.com", False),
        ("*", "example", False),
        ("*.com", "*.com", True),
    ],
)
def test_TLS_03_a_wildcard_is_a_name_nobody_has_unless_the_operator_says_so(name: str, domain: str, allowed: bool) -> None:
    wildcard = certificate(("DNS", name))
    assert Expected(domain).refusal(wildcard) == ("" if name == domain else f"the certificate is for {name}, not for {domain}")
    assert (Expected(domain, wildcards=True).refusal(wildcard) == "") is allowed


def test_TLS_04_no_certificate_is_nobody() -> None:
    assert Expected("a.example").refusal(None)
    assert Expected("a.example").refusal({})
    assert names(None) == names({}) == ()


def test_the_names_of_one_certificate_are_bounded() -> None:
    assert len(names(certificate(*(("DNS", f"n{number}.example") for number in range(10_000))))) == MAX_NAMES
