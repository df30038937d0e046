"""DNS zones for tests, one record a line: the name, the type, and its data as in a zone file without final dots."""

from __future__ import annotations

from sbc.sip.locate import Answers, Naptr, Question, Record, Srv, Wanted, next_questions


def zone(text: str) -> Answers:
    records: dict[Question, list[Record]] = {}
    for line in text.strip().splitlines():
        match line.split():
            case [name, "NAPTR", order, preference, flags, service, regexp, replacement]:
                record: Record = Naptr(int(order), int(preference), flags, service, regexp.strip('"'), replacement)
                records.setdefault(Question("NAPTR", name), []).append(record)
            case [name, "SRV", priority, weight, port, target]:
                records.setdefault(Question("SRV", name), []).append(Srv(int(priority), int(weight), int(port), target))
            case [name, "A", address]:
                records.setdefault(Question("A", name), []).append(address)
            case [name, "AAAA", address]:
                records.setdefault(Question("AAAA", name), []).append(address)
            case _:
                raise ValueError(f"not a record: {line!r}")
    return {question: tuple(found) for question, found in records.items()}


def ask(wanted: Wanted, records: Answers) -> tuple[Answers, list[Question]]:
    """What a resolver that has these records would find, and what it was asked for it, in order."""
    answers: dict[Question, tuple[Record, ...]] = {}
    asked: list[Question] = []
    while questions := next_questions(wanted, answers):
        assert not answers.keys() & set(questions), "asked twice"
        asked += questions
        answers |= {question: records.get(question, ()) for question in questions}
    return answers, asked
