"""What a signer is asked, and what it says: values that the core knows without knowing a cipher."""

from __future__ import annotations

from sbc.frozen import frozen


@frozen
class ToSign:
    """One PASSporT for one call. Numbers are canonical (RFC 8224 s8.3).

    customer  who answers for the call: `origid` stands for it, and says no more than that it is the same
    attest    A, B or C of a shaken; "": this is a div
    diverted  of a div: who was called before (RFC 8946)
    iat       seconds since 1970
    """

    customer: str
    attest: str
    caller: str
    called: str
    iat: int
    diverted: str = ""

    @property
    def ppt(self) -> str:
        return "shaken" if self.attest else "div"


@frozen
class Signature:
    """`identity`: the header value, and what it says; "" when there is none, and then `problem` says why."""

    identity: str = ""
    attest: str | None = None
    origid: str | None = None
    problem: str = ""
