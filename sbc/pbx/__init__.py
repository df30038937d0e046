"""What to type into a PBX, or paste into its files, so that it fits one trunk of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sbc.errors import ConfigError
from sbc.pbx import asterisk, forms
from sbc.pbx.setup import Setup, setup_of
from sbc.policy.load import Loaded

MAKES: Mapping[str, Callable[[Setup], str]] = {"asterisk": asterisk.text, "freepbx": forms.freepbx, "3cx": forms.threecx}


def text(make: str, loaded: Loaded, trunk: str, *, show_password: bool, authority: str) -> str:
    """`authority`: where an Asterisk will have the certificate of ours. Raises ConfigError."""
    if make not in MAKES:
        raise ConfigError(f"{make!r} is none of the makes known here: {', '.join(MAKES)}")
    setup = setup_of(loaded, trunk, show_password=show_password)
    return asterisk.text(setup, authority) if make == "asterisk" else MAKES[make](setup)
