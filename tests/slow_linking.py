"""Linking told plainly: one person after another, with lists and dictionaries."""

from __future__ import annotations

from dataclasses import dataclass

from linking import LINKS, MEMBERS, Person, State, active, files_of, ints, living, place

from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, NONE
from koukan.rules.persons import JOINED, MOVED, PARTED, RENUMBERED, WITHDRAWN, People
from koukan.rules.register import CHANGE, NEW, PARTING, WITHDRAWAL
from koukan.rules.roster import Roster
from koukan.rules.settling import Linked

Known = set[tuple[int, object]]  # insurer, and whom it registers


@dataclass
class Became:
    """What became of one person."""

    link: int
    member: int
    home: int
    reject: tuple[str, str] | None = None
    reused: bool = False
    waiting: bool = False


class File:
    """One file. What it registers counts for its later lines, what it states from the next file."""

    def __init__(self, people: list[Person], start: int, state: State) -> None:
        self.people, self.start, self.state = people, start, state
        self.who: People = state.people
        self.rows, self.before = living(state), len(state.roster)  # before the file
        self.said = len(state.stated)
        self.members = {
            (insurer, self.person(link)): self.current(insurer, member)
            for insurer, link, member in self.rows
            if link != NONE
        }
        self.registered = set(self.members)  # before the file
        self.holders = {
            (insurer, self.person(link), self.current(insurer, member))
            for insurer, link, member in self.rows
            if link != NONE
        }
        self.linked: dict[tuple[int, int], int] = {}  # insurer, member -> number it has now
        self.claims: dict[int, int] = {}  # number that a change brought -> raw link
        self.touched: dict[object, tuple[object, object, bool]] = {}

    def person(self, link: int) -> int:
        return int(self.who.canonical(ints([link]))[0])

    def current(self, insurer: int, member: int) -> int:
        return int(self.who.current(ints([insurer]), ints([member]))[0])

    def owner(self, insurer: int, member: int) -> int | None:
        """Raw link of a member before the file, `NONE` while it waits; None: there is no such.

        Where a parting named one, it is that one.
        """
        found = [link for x, link, m in self.rows if (x, m) == (insurer, member)]
        if member == NONE or not found:
            return None
        (told,) = self.who.survivors(ints([insurer]), ints([member])).tolist()
        return told if told in found and told != NONE else max(found)

    def identity(self, number: int) -> object:
        """Who bears a number: a known person, or nobody yet."""
        link = self.numbers.get(number, NONE)
        return ("number", number) if link == NONE else self.person(link)

    # --- who everybody is

    def run(self) -> list[Became]:
        self.numbers = dict(self.state.numbers)
        registered = {
            (p.insurer, self.identity(p.my_number))
            for p in self.people
            if p.process == NEW and not p.rejected and p.my_number != NONE
        }
        found = self.found = [self.identify(i, p, registered) for i, p in enumerate(self.people)]
        brought = {p.my_number for p in self.people if p.process == NEW and not p.rejected}
        self.brought = (brought | set(self.linked.values())) - {NONE}
        self.arriving: list[tuple[int, int, int]] = self.state.roster[self.before :]
        for index, (p, one) in enumerate(zip(self.people, found, strict=True)):
            self.arrive(index, p, one)
        self.parting = {
            self.person(one.link)
            for p, one in zip(self.people, found, strict=True)
            if p.process == PARTING and not p.rejected and not one.reject
        }
        after = [
            self.state_of(i, p, one)
            for i, (p, one) in enumerate(zip(self.people, found, strict=True))
        ]
        self.forget([one for one, now in zip(found, after, strict=True) if now.reject], after)
        return after

    def arrive(self, index: int, p: Person, one: Became) -> None:
        """Who goes on at another insurer stands there for the whole file."""
        moves = p.process == CHANGE and p.target >= AS_INSURER
        if p.rejected or one.reject or not moves or one.link == NONE:
            return
        home, person = p.target - AS_INSURER, self.person(one.link)
        barred = home == p.insurer or 73 in (home, p.insurer)
        if not barred and (home, person) not in self.members:
            issued = MEMBERS + self.start + index
            self.holders.add((home, person, issued))
            self.arriving.append((home, one.link, issued))

    def forget(self, rejected: list[Became], after: list[Became]) -> None:
        """Nothing stays of who is rejected for what it states, but what others have too."""
        links = {one.link for one in rejected}
        kept = [(one.home, one.link, one.member) for one in after]
        for p, one in zip(self.people, self.found, strict=True):
            if not any(one is each for each in rejected):
                kept.append((p.insurer, one.link, one.member))
        new = self.state.roster[self.before :]
        new = [row for row in new if row in kept or row[1] not in links]
        self.state.roster[self.before :] = new
        used = {link for _, link, _ in kept} | {link for _, link, _ in self.state.roster}
        used |= {row[name] for row in self.state.stated for name in ("link_number", "survivor")}  # type: ignore[misc]
        for number in set(self.state.numbers) - set(self.numbers):
            if self.state.numbers[number] not in used:
                del self.state.numbers[number]

    def issue(self, index: int, number: int) -> int:
        if number not in self.state.numbers:
            self.state.numbers[number] = LINKS + self.start + index
        return self.state.numbers[number]

    def identify(self, index: int, p: Person, registered: Known) -> Became:  # noqa: PLR0911
        if p.rejected:
            return Became(NONE, NONE, NONE)
        issued = MEMBERS + self.start + index
        if p.process == NEW and p.my_number == NONE:
            self.state.roster.append((p.insurer, NONE, issued))
            return Became(NONE, issued, p.insurer, waiting=True)
        if p.process == NEW:
            link = self.issue(index, p.my_number)
            key = (p.insurer, self.person(link))
            reused = key in self.members
            if not reused:
                self.members[key] = issued
                self.holders.add((*key, issued))
                self.state.roster.append((p.insurer, link, issued))
            return Became(link, self.members[key], p.insurer, reused=reused)
        given = self.current(p.insurer, p.member_id)
        owner = self.owner(p.insurer, given)
        if p.my_number == NONE:
            if owner is None:
                return self.reject("member_id", "R401")
            return (
                Became(NONE, given, p.insurer)
                if owner == NONE
                else self.reject("my_number", "R405")
            )
        if owner == NONE and p.process == CHANGE and NONE < p.target < AS_MEMBER:
            return self.reject("new_my_number", "R225")
        if owner == NONE and p.process != PARTING:
            return self.number(index, p, given, registered)
        link = self.state.numbers.get(p.my_number, NONE)
        member = self.members.get((p.insurer, self.person(link)), NONE) if link != NONE else NONE
        if member == NONE and p.member_id == NONE:
            return self.reject("process_type_code", "R403")
        if member == NONE:
            return self.reject("member_id", "R401" if owner is None else "R402")
        if p.member_id != NONE and given != member:
            return self.reject("member_id", "R402")
        return Became(link, member, p.insurer)

    def number(
        self, index: int, p: Person, member: int, registered: set[tuple[int, object]]
    ) -> Became:
        """Somebody who waited has a number now."""
        whose = self.identity(p.my_number)
        taken = isinstance(whose, int) and any(
            (insurer, person) == (p.insurer, whose) for insurer, person in self.registered
        )
        taken |= (p.insurer, whose) in registered
        taken |= any(
            (insurer, self.identity(number)) == (p.insurer, whose) and other != member
            for (insurer, other), number in self.linked.items()
        )
        if taken:
            return self.reject("my_number", "R406")
        if self.linked.setdefault((p.insurer, member), p.my_number) != p.my_number:
            return self.reject("member_id", "R402")
        link = self.issue(index, p.my_number)
        self.holders.add((p.insurer, self.person(link), member))
        self.state.roster.append((p.insurer, link, member))
        return Became(link, member, p.insurer)

    def reject(self, name: str, code: str) -> Became:
        return Became(NONE, NONE, NONE, (name, code))

    # --- what is stated of whom

    def state_of(self, index: int, p: Person, one: Became) -> Became:
        if p.rejected or one.reject:
            return one
        if p.process == WITHDRAWAL:
            self.state.stated.append(self.row(p, WITHDRAWN, one, one.link))
        if p.process == PARTING:
            return self.part(index, p, one)
        if p.process != CHANGE or p.target == NONE:
            return one
        if p.target < AS_MEMBER:
            return self.change(index, p, one)
        if p.target < AS_INSURER:
            return self.merge(p, one, self.current(p.insurer, p.target - AS_MEMBER))
        return self.move(index, p, one, p.target - AS_INSURER)

    def row(self, p: Person, act: str, one: Became, *links: int) -> dict[str, object]:
        told = {"act": act, "insurer": p.insurer, "member_id": one.member, "successor": None}
        link, survivor = (*(None if each == NONE else each for each in links), None)[:2]
        return self.state.row({**told, "link_number": link, "survivor": survivor}, p.reception)

    def second(self, one: object, other: object, *, change: bool) -> bool:
        """Whether an earlier line of the file touches either person in another way."""
        if one == other and one not in self.parting:
            return False
        mine = (one, other, change)
        first = [self.touched.setdefault(person, mine) for person in (one, other)]
        return any(each is not mine and not (each == mine and change) for each in first)

    def both(self, one: int, other: int, besides: int = NONE) -> bool:
        """Whether any insurer has both persons, under two members."""
        return any(
            insurer == there != besides and member != another
            for insurer, person, member in self.holders
            if person == one
            for there, person_there, another in self.holders
            if person_there == other
        )

    def target(self, index: int, number: int) -> int:
        return self.issue(index, number)

    def change(self, index: int, p: Person, one: Became) -> Became:
        person, other = self.person(one.link), self.identity(p.target)
        second = self.second(person, other, change=True)
        if second or (p.target in self.brought and person != other):
            return self.reject("new_my_number", "R404")
        if isinstance(other, int) and person != other and self.both(person, other):
            return self.reject("new_my_number", "R404")
        link = self.target(index, p.target)
        told = (f"{p.insurer:08d}", one.member, link, one.link)
        names = ("insurer_code", "member_id", "link_number", "survivor")
        here = self.state.groups, p.reception
        before = [row for row in active(self.state) if place(row) != here]
        if told not in [tuple(row[name] for name in names) for row in before]:
            self.state.stated.append(self.row(p, JOINED, one, link, one.link))
        return one

    def merge(self, p: Person, one: Became, member: int) -> Became:
        owner = self.owner(p.insurer, member)
        if owner is None or member == one.member:
            return self.reject("new_member_id", "R401")
        person: object = self.person(one.link) if one.link != NONE else (p.insurer, one.member)
        other: object = self.person(owner) if owner != NONE else (p.insurer, member)
        if self.second(person, other, change=False):
            return self.reject("new_member_id", "R404")
        if isinstance(person, int) and isinstance(other, int) and person != other:
            if self.both(person, other, p.insurer):
                return self.reject("new_member_id", "R404")
            self.state.stated.append(self.row(p, JOINED, one, one.link, owner))
        if one.link != NONE and owner == NONE:
            self.state.roster.append((p.insurer, one.link, member))
        renumbered = self.row(p, RENUMBERED, one, one.link)
        self.state.stated.append({**renumbered, "successor": member})
        return Became(one.link, member, p.insurer)

    def move(self, index: int, p: Person, one: Became, home: int) -> Became:
        if home == p.insurer or 73 in (home, p.insurer):
            return self.reject("new_insurer_code", "R407")
        key = (home, self.person(one.link))
        if one.link == NONE or key not in self.members:
            member = MEMBERS + self.start + index
            self.state.roster.append((home, one.link, member))
            if one.link != NONE:
                self.members[key] = member
        else:
            member = self.members[key]
        if one.link == NONE:
            self.state.stated.append(self.row(p, MOVED, one, NONE))
        return Became(one.link, member, home)

    def part(self, index: int, p: Person, one: Became) -> Became:
        person, other = self.person(one.link), self.identity(p.target)
        second = self.second(person, other, change=False)
        if second or p.target in self.brought:
            return self.reject("new_my_number", "R404")
        link = self.numbers.get(p.target, LINKS + self.start + index)
        told = {
            "act": PARTED,
            "insurer": p.insurer,
            "member_id": one.member,
            "survivor": link,
            "successor": None,
        }
        raw = self.who.raw_links(ints([one.link]))[1].tolist()
        rows = [self.state.row({**told, "link_number": each}, p.reception) for each in raw]
        return self.apart(index, p, one, link, rows)

    def apart(
        self, index: int, p: Person, one: Became, link: int, rows: list[dict[str, object]]
    ) -> Became:
        """As it would be with this parting: all partings of the file are judged together."""
        told = self.state.stated
        partings = [row for row in told[self.said :] if row["act"] == PARTED]
        after = People.of(State(stated=[*told[: self.said], *partings]).frame((*rows,)))
        wrong, right = after.canonical(ints([one.link, link])).tolist()
        if wrong == right:
            return self.reject("new_my_number", "R408")
        rows_before = State(roster=self.state.roster[: self.before]).rows()
        holding = Roster.of(rows_before, after).rows.rows()
        for insurer, other, member in [*holding, *self.arriving]:
            same = insurer == p.insurer and other != NONE
            same = same and after.canonical(ints([other]))[0] == right
            if same and after.current(ints([insurer]), ints([member]))[0] != one.member:
                return self.reject("new_my_number", "R404")
        self.issue(index, p.target)
        self.state.stated += rows
        self.state.roster.append((p.insurer, link, one.member))
        return Became(link, one.member, p.insurer)


def one_after_another(people: list[Person], state: State, start: int = 0) -> list[Became]:
    found = []
    for file in files_of(people):
        found += File(file, start, state).run()
        start += len(file)
    return found


def became(linked: Linked) -> list[Became]:
    rejects: dict[int, tuple[str, str]] = {}
    for person, name, code in linked.rejects.select("person", "field", "code").rows():
        assert person not in rejects  # one reason each
        rejects[person] = (name, code)
    return [
        Became(
            int(linked.link[at]),
            int(linked.member[at]),
            NONE if linked.rejected[at] else int(linked.home[at]),
            rejects.get(at),
            bool(linked.reused[at]),
            bool(linked.waiting[at]),
        )
        for at in range(len(linked.link))
    ]


def tables(state: State) -> list[object]:
    stated = sorted(map(repr, (sorted(row.items(), key=str) for row in state.stated)))
    return [state.numbers, sorted(set(state.roster)), stated]
