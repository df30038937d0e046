"""Whether those who verify find, where we say it is, the certificate that we sign with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sbc.errors import SipError
from sbc.identity.credential import read_chain
from sbc.net.fetch import Certificates, Unavailable


class Publication:
    """`say` hears of each change: the URL, and what is wrong, or "" when all is well."""

    def __init__(self, certificates: Certificates, say: Callable[[str, str], None]) -> None:
        self._certificates = certificates
        self._say = say
        self._ours: Mapping[str, bytes] = {}
        self._said: dict[str, str] = {}

    def apply(self, ours: Mapping[str, bytes]) -> None:
        """Chains in use from now on, by their URL."""
        self._ours = ours
        self._said = {}

    async def look(self) -> None:
        for url, chain in self._ours.items():
            found = await problem(self._certificates, url, chain)
            if self._ours.get(url) == chain and self._said.get(url) != found:
                self._said[url] = found
                self._say(url, found)


async def problem(certificates: Certificates, url: str, chain: bytes) -> str:
    """Why a verifier that knows nothing yet would not take our signatures; "" when it would find what it needs."""
    try:
        published = read_chain(await certificates.fetch(url))
        ours = read_chain(chain)
    except (Unavailable, SipError) as error:
        return str(error)
    if published[0] != ours[0]:
        return f"there is another certificate there, with serial number {published[0].serial_number:x} instead of {ours[0].serial_number:x}"
    if missing := [each for each in ours if each not in published]:
        return f"the certificate of {missing[0].subject.rfc4514_string()}, which stands behind ours, is missing there"
    return ""
