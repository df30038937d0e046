"""Every error says whose fault it is and what to answer: a SIP status, a reason, and headers to send along."""

from __future__ import annotations


class SbcError(Exception):
    """Base of everything this project raises on purpose."""


class SipError(SbcError):
    """A request cannot be served; `status` and `reason` are the answer the peer gets (RFC 3261 s21).

    The text of the exception is for the log; only `reason` and `headers` ever reach the wire.
    """

    status = 500
    reason = "Server Internal Error"

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        reason: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail or reason or self.reason)
        if status is not None:
            self.status = status
        if reason is not None:
            self.reason = reason
        self.headers = headers


class ParseError(SipError):
    """The octets are not what the grammar allows."""

    status = 400
    reason = "Bad Request"


class NotAcceptableHere(SipError):
    """The session description cannot be agreed on (RFC 3261 s21.4.26), with a Warning that says why."""

    status = 488
    reason = "Not Acceptable Here"


class ConfigError(SbcError):
    """The operator has to change something before we can start; the text is one line that says what."""
