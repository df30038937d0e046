"""What speech may look like: codecs, suites, digits, fax. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from media.api import DTLS_SUITES
from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path, did_you_mean

# Audio formats peers really offer; another one may be right, but is more often a typing error.
KNOWN_CODECS = (
    *("PCMU", "PCMA", "G729", "G722", "G723", "G726-16", "G726-24", "G726-32", "G726-40", "G728", "GSM", "GSM-EFR", "iLBC", "L16"),
    *("opus", "speex", "SILK", "AMR", "AMR-WB", "EVS", "telephone-event", "CN"),
)
NOT_AUDIO = {"telephone-event", "cn"}


def check(checker: Checker) -> None:
    for name, media in checker.policy.media.items():
        folded = [codec.lower() for codec in media.codecs]
        for index, codec in enumerate(media.codecs):
            path: Path = ("media", name, "codecs", index)
            if folded[index] in folded[:index]:
                checker.error(path, f"{codec!r} is already in this list")
            elif folded[index] not in map(str.lower, KNOWN_CODECS):
                checker.warn(path, f"{codec!r} is not a usual codec name{did_you_mean(codec, KNOWN_CODECS)}")
        if not set(folded) - NOT_AUDIO:
            checker.error(("media", name, "codecs"), "no audio codec among them: every call would be refused")
        if media.suites is not None:
            _suites(checker, ("media", name, "suites"), media)
        if media.fax == "pass" and not isinstance(media.srtp, str):
            checker.error(("media", name, "fax"), f"T.38 has no encryption here: with 'srtp: {', '.join(media.srtp)}' it cannot pass")
        _offers(checker, name, media, folded)
        _digits(checker, name, media)
        if media.annexb is not None and "g729" not in folded:
            checker.error(("media", name, "annexb"), "G729 is not among the codecs")
        if media.ptime is not None and media.maxptime is not None and media.ptime > media.maxptime:
            checker.error(("media", name, "ptime"), f"is longer than maxptime, {media.maxptime}ms")
        if media.g711 == "translate" and not {"pcma", "pcmu"} & set(folded):
            checker.error(("media", name, "g711"), "neither PCMA nor PCMU is among the codecs: there is nothing to translate")
        if media.follow == "authenticated" and media.srtp == "off":
            checker.error(("media", name, "follow"), "plain RTP authenticates nothing: 'never', or 'same_address'")
        if media.follow == "same_address" and not isinstance(media.srtp, str):
            checker.error(("media", name, "follow"), f"is for plain RTP: with 'srtp: {', '.join(media.srtp)}' it is 'authenticated'")


def _offers(checker: Checker, name: str, media: model.MediaModel, codecs: Sequence[str]) -> None:
    for way in ("offers_from", "offers_to"):
        rules: model.OffersModel | None = getattr(media, way)
        if rules is None:
            continue
        left = _left(rules, codecs)
        for key in ("allow", "strip", "prefer", "require"):
            names = getattr(rules, key)
            for index, codec in enumerate(names if isinstance(names, list) else ()):
                path: Path = ("media", name, way, key, index)
                if codec.lower() not in {*codecs, *NOT_AUDIO}:
                    checker.error(path, f"{codec!r} is not among the codecs: it is never in such an offer")
                elif codec.lower() in [each.lower() for each in names[:index]]:
                    checker.error(path, f"{codec!r} is already in this list")
                elif key in ("prefer", "require") and codec.lower() not in left:
                    checker.error(path, f"{codec!r} is not left in such an offer: see '{'strip' if rules.strip else 'allow'}'")
        if not left - NOT_AUDIO:
            checker.error(("media", name, way), "no audio codec is left: every call would be refused")


def _left(rules: model.OffersModel, codecs: Sequence[str]) -> set[str]:
    """What may be in an offer."""
    left = {*codecs, *NOT_AUDIO}
    if rules.allow is not None:
        left &= {codec.lower() for codec in rules.allow} | NOT_AUDIO
    return left - {codec.lower() for codec in rules.strip or ()}


def _digits(checker: Checker, name: str, media: model.MediaModel) -> None:
    """What is withheld has to be told from speech."""
    if media.digits == "info":
        return
    stripped = [way for way in ("offers_from", "offers_to") if _strips_events(getattr(media, way))]
    if media.digits == "rfc4733" and stripped:
        checker.error(("media", name, "digits"), f"RFC 4733 is telephone-event, which {stripped[0]!r} strips")
    for key in ("digits_from", "digits_to"):
        if getattr(media, key) != "withhold":
            continue
        if stripped:
            what = f"without telephone-event, which {stripped[0]!r} strips, digits are tones in the speech, and pass"
            checker.error(("media", name, key), what)
        elif "red" in map(str.lower, media.codecs):
            checker.error(("media", name, key), "RED (RFC 2198) carries digits among the speech: take it from the codecs")


def _strips_events(rules: model.OffersModel | None) -> bool:
    return rules is not None and "telephone-event" in map(str.lower, rules.strip or ())


def _suites(checker: Checker, path: Path, media: model.MediaModel) -> None:
    if media.srtp == "off":
        checker.error(path, "suites without SRTP: 'srtp' is off")
    elif "dtls" in media.srtp and not DTLS_SUITES & set(media.suites or ()):
        checker.error(path, f"none of these can come of DTLS: {', '.join(sorted(DTLS_SUITES))} can")
    for index, suite in enumerate(media.suites or ()):
        if suite in (media.suites or ())[:index]:
            checker.error((*path, index), f"{suite!s} is already in this list")
        if suite not in checker.available:
            checker.error((*path, index), f"the media engine that runs here has no {suite!s}: install the compiled one, or leave it out")
