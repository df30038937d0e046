from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sbc.net.expiry import ExpiryWatch
from tests.unit.net.bench import Authority


def test_TLS_09_each_stage_is_said_once(authority: Authority) -> None:
    watch = ExpiryWatch()
    edge = str(authority.edge())  # for 365 days
    watch.take({edge: "realm outside"})
    now = datetime.now(UTC)
    said = {day: watch.due(now + timedelta(days=day)) for day in range(368)}
    assert [day for day, expiring in said.items() if expiring] == [335, 351, 358, 364, 365]
    (first,), (last,), (over,) = said[335], said[364], said[365]
    assert first.text.startswith(f"realm outside: certificate {edge} expires in 29 days (")
    assert (first.level, last.level) == ("warning", "error")
    assert "has expired" in over.text


def test_TLS_09_a_new_certificate_is_watched_anew_and_one_loaded_again_is_not(authority: Authority) -> None:
    watch = ExpiryWatch()
    edge = str(authority.issue("edge", x509.DNSName("edge.example"), days=20))
    watch.take({edge: "realm outside"})
    assert len(watch.due()) == 1
    watch.take({edge: "realm outside"})
    assert watch.due() == []
    authority.issue("edge", x509.DNSName("edge.example"), days=10)
    assert watch.due() == []  # nobody has loaded that yet
    watch.take({edge: "realm outside"})
    (expiring,) = watch.due()
    assert "expires in 9 days" in expiring.text
    watch.take({})
    assert watch.due(datetime.now(UTC) + timedelta(days=100)) == []


def test_what_cannot_be_read_is_an_error_of_the_caller_s(authority: Authority) -> None:
    with pytest.raises(OSError, match="No such file"):
        ExpiryWatch().take({str(authority.pem.with_name("none.pem")): "realm outside"})
