"""What a PBX has to know of us, whatever make it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography import x509

from sbc.errors import ConfigError
from sbc.flow import Transport
from sbc.net.tls import alternative_names
from sbc.policy.load import Loaded
from sbc.policy.realms import KeyPair, Listener, Realm
from sbc.policy.snapshot import Trunk

PREFERRED: tuple[Transport, ...] = ("TLS", "TCP", "UDP")
RENEW_S = 3600  # how long a registration is asked for, where we grant as much: a PBX notices within the hour that it is gone
Encryption = Literal["none", "sdes", "optional", "dtls"]


@dataclass(frozen=True, slots=True)
class Setup:
    """For one trunk.

    host, port, transport   where the PBX connects to
    addresses               where our requests come from
    user                    of its account; None: it is known by its address or certificate
    password                None: not to be shown, or not known to us; `kept_in` says where it is
    expires                 seconds a registration is asked for
    codecs                  encoding names in order of preference, without telephone-event
    digits                  telephone-event is among them
    authority               the certificate that the PBX has to trust, as a file of ours; None: a public one
    certificate_wanted      it has to show one itself
    asserts                 it may say who calls, for it has numbers of its own
    calls                   at a time; None: no limit
    warnings                what will not work so
    """

    trunk: str
    host: str
    port: int
    transport: Transport
    addresses: tuple[str, ...]
    user: str | None
    password: str | None = field(repr=False)
    kept_in: str
    algorithms: tuple[str, ...]
    expires: int
    codecs: tuple[str, ...]
    digits: bool
    fax: bool
    encryption: Encryption
    authority: str | None
    certificate_wanted: bool
    asserts: bool
    calls: int | None
    warnings: tuple[str, ...]

    @property
    def secret(self) -> str:
        """The password, or where it is."""
        return self.password if self.password is not None else f"(password: {self.kept_in})"


def setup_of(loaded: Loaded, name: str, *, show_password: bool) -> Setup:
    """Raises ConfigError when there is no such trunk, or nothing could come from it."""
    snapshot = loaded.snapshot
    trunk = snapshot.trunks.get(name)
    if trunk is None:
        raise ConfigError(f"there is no trunk {name!r}; there are: {', '.join(snapshot.trunks) or 'none'}")
    if trunk.registers is None and not trunk.accept_from and not trunk.accept_certificate:
        raise ConfigError(
            f"trunk {name!r} is only called: for a PBX behind it give it accepts_registration, accept_from or accept_certificate"
        )
    realm = snapshot.realms[trunk.realm]
    listener = _listener(realm)
    host = realm.domains[0]
    media = trunk.media
    password = trunk.registers.password if trunk.registers is not None and trunk.register_at is None else None
    return Setup(
        trunk=name,
        host=host,
        port=listener.port,
        transport=listener.transport,
        addresses=tuple(dict.fromkeys(each.advertise for each in realm.listeners if each.transport == listener.transport)),
        user=trunk.registers.user if trunk.registers is not None else None,
        password=password if show_password else None,
        kept_in=f"the registrar of trunk {trunk.register_at} has it" if trunk.register_at is not None else loaded.kept_in.get(name, ""),
        algorithms=realm.digest_algorithms,
        expires=min(RENEW_S, realm.terms.longest),
        codecs=tuple(codec for codec in media.codecs if codec.lower() not in ("telephone-event", "cn")),
        digits=media.knows("telephone-event"),
        fax=media.relays_fax,
        encryption="none" if media.srtp == "off" else "optional" if media.srtp == "optional" else media.keying[0],
        authority=_authority(realm.certificates[0]) if listener.transport == "TLS" else None,
        certificate_wanted=listener.transport == "TLS" and (realm.client_certificates == "required" or bool(trunk.accept_certificate)),
        asserts=trunk.headers.numbers.exact != frozenset() or trunk.headers.numbers.prefixes != (),
        calls=min([rules.calls for rules in trunk.limits if rules.calls is not None and not rules.for_each], default=None),
        warnings=_warnings(trunk, realm, listener, host),
    )


def _listener(realm: Realm) -> Listener:
    for transport in PREFERRED:
        for listener in sorted(realm.listeners, key=lambda each: ":" in each.address):  # IPv4 first
            if listener.transport == transport:
                return listener
    raise ConfigError(f"realm {realm.name!r} has WebSockets only: a PBX needs tls://, tcp:// or udp://")


def _authority(pair: KeyPair) -> str | None:
    """certs/ca.pem, if it has signed the certificate we show."""
    file = Path(pair.certificate).with_name("ca.pem")
    try:
        chain = x509.load_pem_x509_certificates(Path(pair.certificate).read_bytes())
        authority = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None
    return str(file) if chain[-1].issuer == authority.subject else None


def _warnings(trunk: Trunk, realm: Realm, listener: Listener, host: str) -> tuple[str, ...]:
    found = []
    if listener.transport != "TLS" and trunk.media.srtp != "off" and "sdes" in trunk.media.keying:
        found.append(f"The keys of SRTP cross the network readable: realm {realm.name} has no tls:// listener.")
    if listener.transport == "TLS":
        names = [each for pair in realm.certificates for each in alternative_names(pair)]
        if host not in names:
            found.append(
                f"The PBX will refuse us: our certificate is for {', '.join(names) or 'nobody'}, not for {host}. Put the name that "
                f"PBXs use first in 'domains' of realm {realm.name}, and a certificate for it into certs/."
            )
    return tuple(found)
