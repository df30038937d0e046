"""Who sent this? By certificate, by digest where the request brings an answer to our challenge, by the registration that came over
the same flow, by one of ours that it came because of, else by address. The first that says anything decides: a wrong password is not
made good by a known address.

A stranger may earn a challenge, and so may a trunk whose address is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sbc.call.context import Context
from sbc.clock import Now
from sbc.effects import Log, Offended
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.policy.decide import Admitted, account, account_name, certified, identify, password, registers_through, trunks_from
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Trunk
from sbc.shield.amplification import not_longer
from sbc.shield.bans import Proof
from sbc.shield.budgets import Budget, source_key
from sbc.shield.offences import Offence
from sbc.sip.digest import DigestRealm, Verified
from sbc.sip.fields.auth import Credentials
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION
from sbc.sip.uri import format_host

CHALLENGED_METHODS = frozenset({"REGISTER", "INVITE", "MESSAGE", "PUBLISH", "SUBSCRIBE"})
ANSWERS_PER_SOURCE = 5.0  # a second, to one stranger, when the policy says nothing else
ANSWERS_AT_ONCE = 20.0  # an office of 20 phones behind one NAT comes back from a power cut
ANSWERS_TO_CONNECTED = (50.0, 200.0)  # where a handshake proved the source, nobody can be flooded through us
ANSWERS_IN_ALL = (2000.0, 4000.0)  # a bound on what spoofed sources can make us send; a storm of 10,000 users fits in seconds
# Wrong passwords of one user from one source: after ten, one try in five seconds, which is how often an Asterisk set up by
# `sbc pbx-config` comes back. Who it really is comes from elsewhere and is not held up
FAILURES = (0.2, 10.0)
FAILURES_PER_SOURCE = (1.0, 100.0)  # of all users from there: an office of 100 phones that nobody has told the new password
RETRY_S = 60  # a PBX asks again each minute by default


class Doorkeeper:
    """`admit` answers with the party, with a challenge to send, or with None: not a word.

    `accounts_at` tells of a flow who proved to be on it: whoever is there is no stranger, and each of its calls may need a
    challenge. `carrier_of` knows what comes because we are registered somewhere.
    """

    def __init__(
        self,
        context: Context,
        accounts_at: Callable[[Flow, Now], tuple[str, ...]],
        carrier_of: Callable[[Request, Flow], Trunk | None],
    ) -> None:
        self._context = context
        self._carrier_of = carrier_of
        self._accounts_at = accounts_at
        self._connected = Budget(*ANSWERS_TO_CONNECTED)
        self._realms: dict[tuple[str, tuple[str, ...]], DigestRealm] = {}
        self._rate = 0.0
        self._per_source = Budget(0.0, 0.0)
        self._in_all = Budget(*ANSWERS_IN_ALL)
        self._failures = Budget(*FAILURES)
        self._failures_in_all = Budget(*FAILURES_PER_SOURCE)

    def admit(self, request: Request, realm: Realm, flow: Flow, now: Now) -> Admitted | Response | None:
        """The order of proof: certificate, digest, registration, ours, address.

        Nothing is remembered of a stranger but a token in a bounded bucket.
        """
        proven = certified(self._context.snapshot, flow)
        if proven is not None:
            return Admitted(proven, "certificate")
        if request.method == "REGISTER" and is_ours(request, realm):
            elsewhere = registers_through(self._context.snapshot, realm.name, request.to.uri.decoded_user)
            if elsewhere is not None:  # who proves it to the registrar behind us, or not
                return self._pass_on(elsewhere, request, flow, now)
        if realm.has_digest_users:
            credentials = self._credentials(request, realm)
            if credentials is not None:
                return self._verify(credentials, request, realm, flow, now)
        registered = self._registered_through(request, flow, now)
        if registered is not None:
            return Admitted(registered, "registration")
        carrier = self._carrier_of(request, flow)
        if carrier is not None:
            return Admitted(carrier, "registration")
        trunk = identify(self._context.snapshot, realm.name, flow.remote[0])
        if trunk is not None:
            if trunk.authenticates is None or request.method not in CHALLENGED_METHODS:
                return Admitted(trunk, "address")
            return self._challenge(request, realm, flow, now, stale=False)
        if realm.has_digest_users and self._is_challenged(request, flow, now) and is_ours(request, realm):
            challenge = self._challenge(request, realm, flow, now, stale=False)
            if challenge is not None and not self._accounts_at(flow, now):
                self._context.emit(Offended(flow, "unanswered", "connection" if flow.reliable else None))
            return challenge
        return None

    def _registered_through(self, request: Request, flow: Flow, now: Now) -> Party | None:
        """Whose password we do not know is known by the flow it registered over, as a trunk is by its address."""
        snapshot, user = self._context.snapshot, request.from_.uri.decoded_user
        first = None
        for name in self._accounts_at(flow, now):
            party = snapshot.trunks.get(name) or snapshot.users.get(name)
            if party is not None and party.register_at is not None:
                if user in (party.name, account_name(party)):
                    return party
                first = first or party
        # A PBX calls with its callers' numbers; whoever has a password of ours on the same connection has to prove that
        return first if password(snapshot, flow.realm, user) is None else None

    def _credentials(self, request: Request, realm: Realm) -> Credentials | None:
        for name in (AUTHORIZATION, PROXY_AUTHORIZATION):
            for value in request.headers.all(name):
                try:
                    credentials = Credentials.parse(value)
                except ParseError:
                    continue
                if credentials.scheme.lower() == "digest" and credentials.params.get("realm") == realm.digest_realm:
                    return credentials
        return None

    def _verify(self, credentials: Credentials, request: Request, realm: Realm, flow: Flow, now: Now) -> Admitted | Response | None:
        source = source_key(flow.remote[0])
        user = credentials.params.get("username", "")
        digest = self._digest(realm)
        # Who answers no challenge of ours may be anybody: counted apart, or datagrams in its name would lock out a trunk
        proven = flow.reliable or digest.has_issued(credentials.params.get("nonce", ""), source)
        guesser = source if proven else f"{source} perhaps"
        if self._has_failed_too_often(user, guesser, flow, now):
            self._accuse("wrong_password", proven, user, flow)
            return self._hold_off(request, flow, now) if proven else self._challenge(request, realm, flow, now, stale=True)

        def secret_for(user: str) -> str | None:
            return password(self._context.snapshot, realm.name, user)

        outcome = digest.verify(credentials, request.method, request.body, secret_for, source, now, request.uri)
        if isinstance(outcome, Verified):
            party = account(self._context.snapshot, realm.name, outcome.user)
            return self._at_its_address(party, user, request, flow, now) if party is not None else None
        # Used twice, but right: whoever knows the password is told that only the nonce has to be another one (RFC 7616 s3.3)
        stale = outcome.reason in ("stale", "replay")
        if not stale:
            self._count_failure(user, guesser, now)
            self._accuse("unknown_user" if outcome.reason == "unknown_user" else "wrong_password", proven, user, flow)
            if proven:
                self._log("wrong password", user, flow)
        return self._challenge(request, realm, flow, now, stale=stale)

    def _at_its_address(self, party: Party, user: str, request: Request, flow: Flow, now: Now) -> Admitted | Response | None:
        """The password is right. A trunk whose address is known, too, has to be there: passwords are stolen."""
        wants_address = isinstance(party, Trunk) and party.authenticates is not None and party.accept_from
        if not wants_address or party.name in trunks_from(self._context.snapshot, flow.realm, flow.remote[0]):
            return Admitted(party, "digest")
        self._log("password from elsewhere", user, flow)
        return self._context.answer(request, 403) if self.may_answer(flow, now) else None

    def _log(self, event: str, user: str, flow: Flow) -> None:
        facts: dict[str, object] = {"realm": flow.realm, "user": user, "source": format_host(*flow.remote), "transport": flow.transport}
        self._context.emit(Log("warning", event, facts))

    def _accuse(self, offence: Offence, proven: bool, user: str, flow: Flow) -> None:
        proof: Proof | None = "connection" if flow.reliable else "digest" if proven else None
        self._context.emit(Offended(flow, offence, proof, user))

    def note_failure(self, user: str, flow: Flow, now: Now) -> None:
        """A wrong password for `user` came from there."""
        self._count_failure(user, source_key(flow.remote[0]), now)

    def _count_failure(self, user: str, source: str, now: Now) -> None:
        self._failures.take(f"{source} {user}", now.monotonic)
        self._failures_in_all.take(source, now.monotonic)

    def _has_failed_too_often(self, user: str, source: str, flow: Flow, now: Now) -> bool:
        """Its next try is not even looked at. Not of who is registered over this very flow as that user: it is no guesser."""
        party = account(self._context.snapshot, flow.realm, user)
        if party is not None and party.name in self._accounts_at(flow, now):
            return False
        return not (self._failures.has(f"{source} {user}", now.monotonic) and self._failures_in_all.has(source, now.monotonic))

    def _hold_off(self, request: Request, flow: Flow, now: Now) -> Response | None:
        """Not 403, which is the end for a PBX whose password will be put right here in a minute."""
        if not self.may_answer(flow, now):
            return None
        return self._context.answer(request, 503, headers=(("Retry-After", str(RETRY_S)),))

    def _pass_on(self, party: Party, request: Request, flow: Flow, now: Now) -> Admitted | Response | None:
        if self._has_failed_too_often(account_name(party), source_key(flow.remote[0]), flow, now):
            return self._hold_off(request, flow, now)
        return Admitted(party, "registration") if self._accounts_at(flow, now) or self.may_answer(flow, now) else None

    def _is_challenged(self, request: Request, flow: Flow, now: Now) -> bool:
        """Asterisk asks by OPTIONS whether we are there over the very connection its REGISTER follows on, which must not be closed."""
        if request.method == "OPTIONS":
            return flow.reliable and not self._accounts_at(flow, now)  # whoever is registered there gets its 200
        return request.method in CHALLENGED_METHODS

    def _challenge(self, request: Request, realm: Realm, flow: Flow, now: Now, *, stale: bool) -> Response | None:
        """401, stateless. On UDP never longer than the request: nobody shall amplify a flood with us (TRN-08)."""
        if not self._is_known(flow, now) and not self.may_answer(flow, now):
            return None
        rows = self._digest(realm).challenge(source_key(flow.remote[0]), now, stale)

        def answer(rows: Sequence[str]) -> Response:
            return self._context.answer(request, 401, headers=tuple([("WWW-Authenticate", row) for row in rows]))

        return not_longer(request, flow, rows, answer)

    def _is_known(self, flow: Flow, now: Now) -> bool:
        """Each call of whoever is there may need a challenge: no stranger's budget for them."""
        return bool(self._accounts_at(flow, now) or trunks_from(self._context.snapshot, flow.realm, flow.remote[0]))

    def may_answer(self, flow: Flow, now: Now) -> bool:
        """Whether a stranger from there gets one more word out of us: `strangers.limits.requests` a second and source."""
        source = source_key(flow.remote[0])
        if flow.reliable:
            return self._connected.take(source, now.monotonic) and self._in_all.take("", now.monotonic)
        limits = self._context.snapshot.strangers.limits
        rate = (limits.requests if limits else None) or ANSWERS_PER_SOURCE
        if rate != self._rate:
            self._rate = rate
            self._per_source = Budget(rate, max(rate, ANSWERS_AT_ONCE))
        return self._per_source.take(source, now.monotonic) and self._in_all.take("", now.monotonic)

    def _digest(self, realm: Realm) -> DigestRealm:
        """Kept for as long as the policy asks for it: it counts which nonces were used.

        A new one has a secret of its own, so that what was used with one we have forgotten is stale, never right again.
        """
        kind = (realm.digest_realm, realm.digest_algorithms)
        known = self._realms.get(kind)
        if known is None:
            wanted = {(each.digest_realm, each.digest_algorithms) for each in self._context.snapshot.realms.values()}
            self._realms = {kept: digest for kept, digest in self._realms.items() if kept in wanted}
            known = self._realms[kind] = DigestRealm(realm.digest_realm, self._context.ids.random(32), realm.digest_algorithms)
        return known


def is_ours(request: Request, realm: Realm) -> bool:
    """The Request-URI names this realm: one of its domains, or an address it listens on."""
    host = request.uri.host
    if not host:  # tel:112 and urn:service:sos name nobody else, either
        return True
    return host in realm.domains or any(host in (listener.address, listener.advertise) for listener in realm.listeners)
