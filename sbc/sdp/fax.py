"""T.38: fax as a UDPTL stream of its own (ITU-T T.38 Annex D). What both ends agree on crosses, in one spelling."""

from __future__ import annotations

from collections.abc import Mapping

from sbc.sdp.model import Attribute, Media
from sbc.sdp.text import is_number

KIND = "image"
PROTOCOL = "udptl"
FORMAT = "t38"

_LONGEST_NUMBER = 10  # digits; T38MaxBitRate:33600 is the longest with a meaning
_NUMBERS = {
    name.lower(): name
    for name in ("T38FaxVersion", "T38MaxBitRate", "T38FaxMaxBuffer", "T38FaxMaxDatagram", "T38FaxMaxIFP", "T38FaxUdpFECMaxSpan")
}
_FLAGS = {name.lower(): name for name in ("T38FaxFillBitRemoval", "T38FaxTranscodingMMR", "T38FaxTranscodingJBIG")}
_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    name.lower(): (name, {word.lower(): word for word in words})
    for name, words in (
        ("T38FaxRateManagement", ("localTCF", "transferredTCF")),
        ("T38FaxUdpEC", ("t38UDPFEC", "t38UDPRedundancy", "t38UDPNoEC")),
        ("T38ModemType", ("t38G3FaxOnly", "t38G3AndV34G3")),
    )
}


def is_fax(media: Media) -> bool:
    """Whether an m= section is T.38 over UDPTL, in any of the spellings in use."""
    return media.kind == KIND and media.protocol.lower() == PROTOCOL and FORMAT in map(str.lower, media.formats)


def fax_parameters(media: Media) -> tuple[Attribute, ...]:
    """The T.38 attributes of a section as the recommendation spells them; what is malformed, unknown or about the maker is left out."""
    read = (_parameter(name.lower(), (value or "").strip()) for name, value in media.attributes)
    return tuple({parameter[0]: parameter for parameter in read if parameter is not None}.values())


def _parameter(name: str, value: str) -> Attribute | None:
    if name in _NUMBERS:
        return (_NUMBERS[name], str(int(value))) if is_number(value, _LONGEST_NUMBER) else None
    if name in _FLAGS:
        # There or not there is the whole value (T.38 Annex D.2.3.2), but many write it out, and mean "no" with 0.
        return None if value == "0" else (_FLAGS[name], None)
    if name in _WORDS:
        written, words = _WORDS[name]
        return (written, words[value.lower()]) if value.lower() in words else None
    return None
