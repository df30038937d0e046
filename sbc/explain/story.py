"""From what the dry core was asked, answered and sent, the account of its decision."""

from __future__ import annotations

from typing import Any

from sbc.explain.account import NO, OK, Account, Phase, Rule
from sbc.explain.asked import Asked
from sbc.explain.counting import limits_phase
from sbc.explain.description import media_phase
from sbc.explain.dry import Outcome, run
from sbc.explain.edits import edits_phase, rows_of
from sbc.explain.rules import Rules, nothing_fits, pattern_of, why_passed_over
from sbc.explain.witness import Witness
from sbc.policy.decide import Admitted
from sbc.policy.inventory import UNASSIGNED
from sbc.policy.places import Places
from sbc.policy.snapshot import Party, Snapshot, Trunk
from sbc.sip.uri import format_host

PROOFS = {
    "certificate": "by its certificate",
    "digest": "by its password",
    "registration": "by its registration",
    "address": "by its address",
}
# Once one of these was answered with no, nothing behind it was asked.
ORDER = ("who", "allowed", "number", "caller", "limits", "route", "proof", "target", "media")


def explain(snapshot: Snapshot, places: Places, asked: Asked) -> Account:
    """What would become of the request under that policy, and why."""
    outcome, witness = run(snapshot, asked)
    return _Story(Rules(snapshot, places), asked, outcome, witness).tell()


class _Story:
    def __init__(self, rules: Rules, asked: Asked, outcome: Outcome, witness: Witness) -> None:
        self._rules = rules
        self._snapshot = rules.snapshot
        self._flow = asked.bringer.flow
        self._assumed = asked.bringer.as_who is not None and asked.assumed.contacts is None
        self._signed = asked.assumed.signed
        self._outcome = outcome
        self._witness = witness
        self._record = outcome.record or {}
        self._phases: list[Phase] = []
        admissions = [each.answer for each in witness.answers("admit")]
        self._admitted = admissions[-1] if admissions else None
        final = outcome.final
        refused = outcome.refusal if final is None or final.status >= 300 else None
        self._note = refused.note if refused is not None else ""
        self._step = refused.step if refused is not None else ""

    def tell(self) -> Account:
        received = self._outcome.received
        title = f"{received.method} {received.uri}" if received is not None else "a request that cannot be read"
        who = self._admitted.party if isinstance(self._admitted, Admitted) else None
        if who is None:
            self._phases.append(self._nobody())
        else:
            self._phases.append(self._who(who))
            if self._outcome.record is not None:
                self._of_call(who)
            elif self._step:
                self._phases.append(Phase("allowed", self._note, self._rules.of_party(who), result=NO))
            self._of_targets(who)
        self._phases.append(self._answer())
        where = f"{self._flow.transport} from {format_host(*self._flow.remote)} in realm {self._flow.realm}"
        return Account(f"{title}, {where}", tuple(self._phases), self._facts())

    def _reached(self, step: str) -> bool:
        return not self._step or ORDER.index(step) <= ORDER.index(self._step)

    # Who

    def _who(self, who: Party) -> Phase:
        assert isinstance(self._admitted, Admitted)
        by = self._admitted.by
        text = f"{_kind(who)} {who.name}, {PROOFS[by]}{' (assumed)' if self._assumed else ''}"
        facts = {"party": who.name, "by": by, "assumed": self._assumed}
        return Phase("who", text, self._rules.proof(self._admitted, self._flow), facts=facts)

    def _nobody(self) -> Phase:
        facts = {"party": None, "by": None}
        final = self._outcome.final
        if final is not None and final.status == 401:
            text = "asked for a password: nobody is known by this address, but somebody may be who has one"
            return Phase("who", text, self._rules.at("realms", self._flow.realm), facts=facts, result=NO)
        if self._outcome.received is None:
            return Phase("message", "cannot be read far enough to be answered", facts=facts, result=NO)
        if self._note.startswith("malformed"):
            return Phase("message", self._note, facts=facts, result=NO)
        text = "a stranger: no trunk has this address, and no account"
        return Phase("who", text, self._rules.at("strangers"), facts=facts, result=NO)

    # The call, as its record tells it

    def _of_call(self, who: Party) -> None:
        record = self._record
        if self._step == "allowed":
            self._phases.append(Phase("allowed", f"no: {self._note}", self._rules.of_party(who), result=NO))
            return
        self._phases.append(Phase("allowed", "yes: the request is one it may make"))
        if not self._reached("number"):
            return
        self._phases += [self._emergency(who), self._number(who)]
        if self._step == "number":
            return
        self._phases.append(self._caller(who))
        if not self._reached("limits"):
            return
        if self._step == "limits" and record["route"] is not None:  # those of the route: it had to be found first
            self._phases += [self._route(who), self._limits(who)]
            return
        self._phases.append(self._limits(who))
        if not self._reached("route"):
            return
        if record["stir"] is not None or (isinstance(who, Trunk) and who.verify != "no"):
            self._phases.append(self._proof(who))
        self._phases.append(self._route(who))

    def _emergency(self, who: Party) -> Phase:
        rule = self._rules.at("emergency", who.realm)
        numbers = self._snapshot.emergency.get(who.realm)
        told = f"; in realm {who.realm} {', '.join(sorted(numbers.to.exact))} and urn:service:sos are" if numbers is not None else ""
        if self._record["emergency"]:
            return Phase("emergency", "yes: exempt from every limit and block", rule, facts={"emergency": True})
        return Phase("emergency", f"no{told}", rule if rule.place is not None else None, facts={"emergency": False})

    def _number(self, who: Party) -> Phase:
        dialled, called = str(self._record["dialled"]), str(self._record["called"])
        facts = {"dialled": dialled, "called": called}
        plan = self._rules.of_party(who, "dial_plan")
        unfit = nothing_fits(who, dialled) if not self._record["emergency"] else ""
        if self._step == "number":
            told = f"{self._note}; {unfit}" if unfit else self._note
            return Phase("number", f"{dialled!r}: {told}", plan, facts=facts, result=NO)
        used = self._rules.dial_plan(who, dialled) if not self._record["emergency"] else None
        if used is None:
            changed = called if called == dialled else f"{dialled} is {called}"
            return Phase("number", f"{changed}: {unfit}", plan, facts=facts) if unfit else Phase("number", changed, None, facts=facts)
        rule, (prefix, replacement) = used
        return Phase("number", f"{dialled} is {called}: {prefix!r} becomes {replacement!r}", rule, facts=facts)

    def _caller(self, who: Party) -> Phase:
        record = self._record
        facts = {"caller": record["caller"], "asserted": record["asserted"]}
        if self._step == "caller":
            return Phase("caller", f"no: {self._note}", self._rules.of_party(who, "foreign_numbers"), facts=facts, result=NO)
        asserted = f", asserted {record['asserted']}" if record["asserted"] else ""
        trusted = "trusted" if who.headers.trusted else "not trusted: what it asserts of others does not count"
        return Phase("caller", f"{record['caller'] or 'nobody'}{asserted} ({trusted})", self._rules.of_party(who, "trusted"), facts=facts)

    def _limits(self, who: Party) -> Phase:
        if self._record["emergency"]:
            return Phase("limits", "none: an emergency call")
        return limits_phase(self._rules, self._witness, who, self._note if self._step == "limits" else "")

    def _proof(self, who: Party) -> Phase:
        rule = self._rules.of_party(who, "verify")
        stir = self._record["stir"]
        if stir is None:
            return Phase("authentic", "not asked: somebody calls for help, or no identity: is set", rule)
        text = f"{stir['verstat']}, assumed ({self._signed})"
        if self._step == "proof":
            return Phase("authentic", f"{text}: {self._note}", rule, facts={"stir": stir}, result=NO)
        return Phase("authentic", text, rule, facts={"stir": stir})

    def _route(self, who: Party) -> Phase:
        called = str(self._record["called"])
        name = self._record["route"]
        emergency = bool(self._record["emergency"])
        rule, chosen = self._rules.route(str(name), str(self._record["route_line"]), emergency) if name else (Rule("routes"), None)
        passed = self._rules.passed_over(who, called, chosen) if not emergency else []
        lines = tuple([f"not {route.name} ({place}): {why_passed_over(route, called)}" for place, route in passed])
        if name is None:
            owner = self._snapshot.inventory.owner_of(called)
            why = f"{called} is ours, and unassigned" if owner == UNASSIGNED else f"no route of {who.name} has {called}"
            at = self._rules.at("numbers") if owner == UNASSIGNED else self._rules.at("routes")
            return Phase("route", why, at, lines, {"route": None}, NO)
        where = ", ".join(chosen.send_to) if chosen is not None else ""
        fits = f": {called} is one of {pattern_of(chosen, called)}" if chosen is not None and not chosen.emergency else ""
        cli = f", cli: {chosen.cli}" if chosen is not None and chosen.cli is not None else ""
        return Phase("route", f"{name}{fits}; send to {where}{cli}", rule, lines, {"route": name})

    # Where it goes

    def _of_targets(self, who: Party) -> None:
        received, sent = self._outcome.received, self._outcome.sent
        if received is None or received.method != "INVITE" or not self._reached("target"):
            return
        self._phases.append(self._targets())
        party, request = sent[-1][:2] if sent else (None, None)
        if request is not None:
            self._phases.append(edits_phase(self._rules, received, request, who, party))
        if request is not None or self._step == "media":
            self._phases.append(media_phase(self._rules, received, request, who, party))

    def _targets(self) -> Phase:
        attempts: list[dict[str, Any]] = list(self._record.get("attempts", []))
        lines = tuple([" ".join(str(each[key]) for key in ("target", "server", "status", "note") if each.get(key)) for each in attempts])
        facts = {"attempts": attempts}
        if not self._outcome.sent:
            text = f"none: {self._note}" if self._step == "target" else "none was asked"
            return Phase("target", text, None, lines, facts, NO)
        party, request, flow = self._outcome.sent[-1]
        rule = self._rules.of_party(party, "peer") if party is not None else None
        name = party.name if party is not None else "somebody"
        text = f"{name}: {flow.transport} {format_host(*flow.remote)} in realm {flow.realm}, as {request.uri}"
        return Phase("target", text, rule, lines, facts)

    # The answer

    def _answer(self) -> Phase:
        final = self._outcome.final
        if final is None:
            return Phase("answer", "none: we say nothing", self._rules.at("strangers", "answer"), facts={"status": None}, result=NO)
        told = [f"{name}: {value}" for name, value in final.rows if name.lower() in TOLD]
        by_them = f" ({self._note})" if self._note else ""
        result = OK if final.status < 300 else NO
        facts = {"status": final.status, "reason": final.reason}
        return Phase("answer", f"{final.status} {final.reason}{by_them}", None, tuple(told), facts, result)

    def _facts(self) -> dict[str, Any]:
        record, final, sent = self._record, self._outcome.final, self._outcome.sent
        status = final.status if final is not None else None
        facts: dict[str, Any] = {"status": status, "note": self._note or None, "step": self._step or None}
        for phase in self._phases:
            facts |= {key: phase.facts[key] for key in KEPT if key in phase.facts}
        facts["tried"] = [str(each["target"]) for each in record.get("attempts", ())]
        facts["sent_to"] = sent[-1][0].name if sent and sent[-1][0] is not None else None
        facts["headers"] = [list(row) for row in rows_of(sent[-1][1])] if sent else []
        facts["answer_headers"] = [list(row) for row in final.rows] if final is not None else []
        facts["to"] = str(sent[-1][1].uri) if sent else None
        return facts


TOLD = ("reason", "warning", "retry-after", "www-authenticate")
KEPT = ("party", "by", "emergency", "called", "dialled", "caller", "asserted", "route", "codecs", "keys", "media", "limit", "reason")


def _kind(party: Party) -> str:
    return "trunk" if isinstance(party, Trunk) else "user"
