"""What a verifier is asked, and what it says: values that the core knows without knowing a cipher."""

from __future__ import annotations

from enum import StrEnum

from sbc.frozen import frozen

FRESH_S = 60  # "a … value of sixty seconds is RECOMMENDED" (RFC 8224 s6.2 step 4), for clocks that are late as for ours
MAX_HEADERS = 10  # looked at of one request: one for each diversion and kind


class Verstat(StrEnum):
    """3GPP TS 24.229 s7.2A.20, as ATIS-1000074 has them."""

    PASSED = "TN-Validation-Passed"
    FAILED = "TN-Validation-Failed"
    NONE = "No-TN-Validation"


@frozen
class Claimed:
    """What a request says. `callers`: of P-Asserted-Identity where there is one, else of From. `date`: of its Date header."""

    identities: tuple[str, ...]
    callers: tuple[str, ...]
    called: str
    request: str
    date: int | None = None
    call_id: str = ""


@frozen
class Failure:
    """One header that proves nothing. `status` and `reason` are those of the answer, should the policy insist (RFC 8224 s6.2.2).

    ppi  its token in compact form (RFC 9410 s4); "": it is the only one, or none
    """

    status: int
    reason: str
    detail: str
    ppi: str = ""


NO_HEADER = Failure(428, "Use Identity Header", "no Identity header")


@frozen
class Verdict:
    """`attest` and `origid` of a valid shaken; `diverted`: who was called, from first to last; `name` of valid rich call data.

    `late`: a certificate did not come in time; nobody is to blame for that. `replayed`: another call has come with the same proof.
    """

    verstat: Verstat
    failures: tuple[Failure, ...] = ()
    attest: str | None = None
    origid: str | None = None
    signer: str | None = None
    diverted: tuple[str, ...] = ()
    name: str | None = None
    late: bool = False
    replayed: bool = False

    @property
    def refusal(self) -> Failure | None:
        """What to answer where a valid signature is required."""
        if self.verstat == Verstat.PASSED or self.late:
            return None
        return self.failures[0] if self.failures else NO_HEADER
