"""What becomes of each statement, by the rules of 1-(1): see `slow_registry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from slow_registry import (
    CANCELLATION,
    CHANGE,
    HOUSEHOLD,
    LOSS,
    NEW,
    PARTING,
    PROSPECTIVE,
    REENTRY,
    UNKNOWN,
    WITHDRAWAL,
    Answer,
    Event,
    File,
    Link,
    Member,
    Order,
    Registry,
    Statement,
    since_correction,
    spells_of,
)


def take(registry: Registry, file: File, group: int, reception: int) -> dict[int, Answer]:
    """One file: what becomes of every statement, by serial."""
    judged = [(statement, line_codes(statement)) for statement in file.statements]
    registers = {
        statement.number for statement, codes in judged if statement.process == NEW and not codes
    }
    answers, line = {}, 2
    for statement, codes in judged:
        if codes:
            answer = Answer(codes, None)
        else:
            case = Case(registry, statement, file.sender, registers, (group, reception, line))
            answer = case.decided()
        answers[statement.serial] = with_companions(statement, answer)
        if answer.member is not None:
            registry.answered[statement.serial] = answer.member
        line += len(statement.sections) * (2 if statement.repeated else 1)
    return answers


class Case(NamedTuple):
    """A statement that breaks no rule of its lines, against what is known by now.

    Args:
        registers: numbers that the file registers as new.
    """

    registry: Registry
    statement: Statement
    sender: str
    registers: set[str | None]
    order: Order

    def decided(self) -> Answer:
        process = self.statement.process
        if process == NEW:
            return self.registered()
        if process == PARTING:
            return self.parted()
        return self.continued()

    # --- answers

    def rejected(self, code: str) -> Answer:
        return Answer({0: {code}}, None)

    def accepted(
        self, member: Member, link: Link | None, *remarks: str, former: str | None = None
    ) -> Answer:
        statement = self.statement
        group, reception, first = self.order
        events = self.registry.events if link is not None else self.registry.silent
        for number, told in enumerate(statement.told, first + 1):
            order = (group, reception, number)
            events.append(
                Event(
                    order,
                    member,
                    UNKNOWN if link is None else link,
                    statement.process,
                    told,
                    former,
                    statement.member_class,
                )
            )
        return Answer({0: set(remarks)} if remarks else {}, member)

    # --- processes

    def registered(self) -> Answer:
        registry, statement = self.registry, self.statement
        if statement.number is None:
            return self.accepted(registry.new_member(statement.insurer, None), None, "W402")
        link = registry.new_link(statement.number)
        member = registry.known_as(statement.insurer, registry.person(link))
        if member is not None:
            return self.accepted(member, link, "W401")
        return self.accepted(registry.new_member(statement.insurer, link), link)

    def given(self) -> Member | None:
        """The 被保険者枝番 that stands in the lines, if anybody has it."""
        serial = self.statement.member
        member = self.registry.answered.get(serial) if serial is not None else None
        if member is None or member[0] != self.statement.insurer:
            return None
        return self.registry.current(member) if self.registry.living(member) else None

    def found(self) -> Member | str:
        """Whom the lines are about, or why nobody."""
        registry, statement = self.registry, self.statement
        given = self.given()
        waits = given is not None and not registry.links_of(given)
        if statement.number is None:
            if given is None:
                return "R401"
            return given if waits else "R405"
        link = registry.links.get(statement.number)
        known = None
        if link is not None:
            known = registry.known_as(statement.insurer, registry.person(link))
        if given is not None and waits and statement.process != PARTING:
            if statement.process == CHANGE and statement.new_number is not None:
                return "R225"  # it has no number yet that another one could replace
            return given if known is None else "R406"
        return self.agreed(given, known)

    def agreed(self, given: Member | None, known: Member | None) -> Member | str:
        """Number and 被保険者枝番 are one person's, or there is no 被保険者枝番."""
        asked = self.statement.member is not None
        if known is None:
            return ("R401" if given is None else "R402") if asked else "R403"
        return "R402" if asked and given != known else known

    def continued(self) -> Answer:
        """2 to 7."""
        registry, statement = self.registry, self.statement
        member = self.found()
        if isinstance(member, str):
            return self.rejected(member)
        code = self.barred(member) or self.unfounded(member)
        if code:
            return self.rejected(code)
        link = None
        if statement.number is not None:
            waits = not registry.links_of(member)
            link = registry.new_link(statement.number)
            if waits:
                registry.enter(member, link)
        if statement.new_number is not None:
            assert link is not None
            registry.join(member, registry.new_link(statement.new_number), link)
        if statement.new_member is not None:
            return self.merged(member, link)
        if statement.new_insurer is not None:
            return self.moved(member, link)
        if statement.process == WITHDRAWAL:
            registry.withdrawn |= registry.both_names(member)
        return self.accepted(member, link)

    def unfounded(self, member: Member) -> str | None:
        """Why what the lines suppose was never told; of who waits, while the member waited."""
        registry, statement = self.registry, self.statement
        if statement.number is None or not registry.links_of(member):
            events = registry.while_waiting(member)
        else:
            events = registry.events_of(registry.links[statement.number])
        if statement.process == WITHDRAWAL:
            said = [
                event.member_class
                for event in since_correction(sorted(events), statement.insurer)
                if event.member[0] == statement.insurer
            ]
            return None if said and said[-1] in (PROSPECTIVE, HOUSEHOLD) else "R413"
        code = {LOSS: "R411", CANCELLATION: "R412"}.get(statement.process)
        begins = {one.begin for one in spells_of(events) if one.insurer == statement.insurer}
        return code if any(told.begin not in begins for told in statement.told) else None

    def barred(self, member: Member) -> str | None:
        """Why what comes after the change cannot be."""
        statement = self.statement
        checks: dict[str, Callable[[Member], str | None]] = {
            "new_number": self.number_barred,
            "new_member": self.member_barred,
            "new_insurer": self.insurer_barred,
        }
        for name, check in checks.items():
            if getattr(statement, name) is not None:
                return check(member)
        return None

    def persons(self, member: Member) -> frozenset[Link]:
        """The links of a member's person; none while it waits and brings no number."""
        registry, number = self.registry, self.statement.number
        links = registry.links_of(member)
        if not links and number is not None and number in registry.links:
            links = [registry.links[number]]
        return registry.person(links[0]) if links else frozenset()

    def number_barred(self, member: Member) -> str | None:
        registry = self.registry
        number = self.statement.new_number
        link = registry.links.get(number or "")
        person = self.persons(member)
        if number == self.statement.number or (link is not None and link in person):
            return None
        if number in self.registers:
            return "R404"
        if link is None:
            return None
        other = registry.person(link)
        if registry.anybody_has_both(person, other):
            return "R404"
        return None

    def successor(self, member: Member) -> Member | None:
        serial = self.statement.new_member
        found = self.registry.answered.get(serial) if serial is not None else None
        if found is None or found[0] != member[0] or not self.registry.living(found):
            return None
        found = self.registry.current(found)
        return None if found == member else found

    def member_barred(self, member: Member) -> str | None:
        registry = self.registry
        successor = self.successor(member)
        if successor is None:
            return "R401"
        own, links = self.persons(member), registry.links_of(successor)
        if own and links:
            other = registry.person(links[0])
            if own != other and registry.anybody_has_both(own, other, but=member[0]):
                return "R404"
        return None

    def merged(self, member: Member, link: Link | None) -> Answer:
        registry = self.registry
        successor = self.successor(member)
        assert successor is not None
        own = registry.own_link(successor)
        if link is not None and own is not None and registry.person(link) != registry.person(own):
            registry.join(member, link, own)  # by the number that the line names
        registry.renumber(member, successor)
        return self.accepted(successor, link)

    def insurer_barred(self, member: Member) -> str | None:
        registry, other = self.registry, self.statement.new_insurer
        fits = other != member[0] and other in registry.senders[self.sender]
        fits = fits and registry.kinds[other or ""] == registry.kinds[member[0]]
        return None if fits else "R407"

    def moved(self, old: Member, link: Link | None) -> Answer:
        registry, insurer = self.registry, self.statement.new_insurer
        assert insurer is not None
        member = None
        if link is not None:
            member = registry.known_as(insurer, registry.person(link))
        if member is None:
            member = registry.new_member(insurer, link)
        if link is None:
            registry.went_on[old] = self.order
        return self.accepted(member, link, former=self.statement.insurer)

    def parted(self) -> Answer:
        registry, statement = self.registry, self.statement
        member = self.found()
        if isinstance(member, str):
            return self.rejected(member)
        assert statement.number is not None
        assert statement.new_number is not None
        right = registry.links.get(statement.new_number)
        if right is not None:
            there = registry.person(right, without=registry.both_names(member))
            others = {registry.known_as(statement.insurer, [link]) for link in there}
            if others - {None, member}:
                return self.rejected("R404")
            if registry.links[statement.number] in there:
                return self.rejected("R408")
        link = registry.new_link(statement.new_number)
        registry.part(member, link)
        return self.accepted(member, link)


# --- rules of the lines themselves


def line_codes(statement: Statement) -> dict[int, set[str]]:
    """Codes of a statement's lines whatever is known: rules that every line breaks, and R226."""
    process, codes = statement.process, set()
    if process == NEW and statement.member is not None:
        codes.add("R215")
    if process > REENTRY and statement.member is None:
        codes.add("R216")
    if process not in (CHANGE, PARTING) and statement.new_number is not None:
        codes.add("R217")
    if statement.number is None and (
        (process == REENTRY and statement.member is None)
        or (process == CHANGE and statement.new_number is not None)
        or process == PARTING
    ):
        codes.add("R223")
    if process == PARTING and statement.new_number in (None, statement.number):
        codes.add("R224")
    after = [statement.new_member is not None, statement.new_insurer is not None]
    together = sum(after) + (statement.new_number is not None) > 1
    if any(after) and (process != CHANGE or together):
        codes.add("R225")
    found = {line: set(codes) for line in range(len(statement.sections)) if codes}
    if process == WITHDRAWAL and statement.member_class not in (PROSPECTIVE, HOUSEHOLD):
        found.setdefault(0, set()).add("R226")
    return found


def with_companions(statement: Statement, answer: Answer) -> Answer:
    """A person's lines fall together: those without a code of their own bear R302."""
    if not answer.rejected:
        return answer
    lines = range(len(statement.sections))
    return Answer({line: answer.codes.get(line) or {"R302"} for line in lines}, None)
