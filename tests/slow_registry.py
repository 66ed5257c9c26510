"""The rules of 1-(1) said a second time, slowly: one file after another, one person after another.

Nothing here is koukan's: no tables, no columns, dicts and lists only. Links, 被保険者枝番 and
receptions are numbers of its own; what it must agree with koukan in is who is one person, what
becomes of every line, and which spells everybody has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

NEW, REENTRY, CHANGE, LOSS, CORRECTION, CANCELLATION, WITHDRAWAL, PARTING = range(1, 9)
PROSPECTIVE, HOUSEHOLD = "2", "3"  # 加入者区分コード of those who may be withdrawn
UNKNOWN = -1  # a 被保険者枝番 that nobody ever had

Link = int
Member = tuple[str, int]  # 保険者コード, 被保険者枝番
Order = tuple[int, int, int]  # group, reception, line


class Told(NamedTuple):
    """A line of 加入者資格情報."""

    begin: date
    end: date | None = None
    reason: str | None = None


class Spell(NamedTuple):
    insurer: str
    begin: date
    end: date | None
    reason: str | None


class Statement(NamedTuple):
    """What the lines under one レコード識別番号 say.

    Args:
        serial: names the statement, whatever file it is in.
        member, new_member: the serial of a statement whose answer was the 被保険者枝番 that stands
            here; `UNKNOWN` for one that nobody has.
        tickets: of 医療券・調剤券, how many lines.
        repeated: the same lines stand in the file once more under another レコード識別番号.
    """

    serial: int
    process: int
    insurer: str
    told: tuple[Told, ...]
    number: str | None = None
    member: int | None = None
    new_number: str | None = None
    new_member: int | None = None
    new_insurer: str | None = None
    member_class: str = "1"
    dead: bool = False
    tickets: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def sections(self) -> list[str]:
        """Of its lines, in their order in the file."""
        return ["basic", *["qualification"] * len(self.told), "certificate"] + [
            "medical_ticket"
        ] * len(self.tickets)


class File(NamedTuple):
    sender: str
    statements: tuple[Statement, ...]


class Answer(NamedTuple):
    """What becomes of a statement: codes by line (of its own, from 0), and the 被保険者枝番."""

    codes: dict[int, set[str]]
    member: Member | None

    @property
    def rejected(self) -> bool:
        return self.member is None


class State(NamedTuple):
    """What is known at a moment, by every 個人番号 that was ever named."""

    spells: dict[str, list[Spell]]
    person: dict[str, Link]  # the first of its links
    waiting: set[Member]


class Event(NamedTuple):
    """A line of 加入者資格情報 that was accepted."""

    order: Order
    member: Member
    link: Link
    process: int
    told: Told
    former: str | None
    member_class: str


@dataclass
class Join:
    """An insurer says that two numbers are one person's; a later parting sets it aside."""

    member: Member
    links: tuple[Link, Link]
    active: bool = True


@dataclass
class Registry:
    """Everything that all files said so far.

    Args:
        kinds: 保険者コード -> kind of the insurer.
        senders: sender -> the insurers that it speaks for.
    """

    kinds: dict[str, str]
    senders: dict[str, tuple[str, ...]]
    links: dict[str, Link] = field(default_factory=dict)  # of every 個人番号 that was ever named
    joins: list[Join] = field(default_factory=list)
    parted: dict[Member, Link] = field(default_factory=dict)
    withdrawn: set[Member] = field(default_factory=set)
    renumbered: dict[Member, Member] = field(default_factory=dict)
    roster: list[tuple[Member, Link | None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answered: dict[int, Member] = field(default_factory=dict)  # by serial
    silent: list[Event] = field(default_factory=list)  # of who waited: in nobody's history
    went_on: dict[Member, Order] = field(default_factory=dict)  # who waited, at another insurer
    _edges: dict[Link, list[Join]] = field(default_factory=lambda: defaultdict(list))
    _rows: dict[Link, list[Member]] = field(default_factory=lambda: defaultdict(list))
    _own: dict[Member, list[Link | None]] = field(default_factory=lambda: defaultdict(list))
    _former: dict[Member, set[Member]] = field(default_factory=lambda: defaultdict(set))
    _members: int = 0

    # --- persons

    def person(self, link: Link, without: Collection[Member] = ()) -> frozenset[Link]:
        """All links that are one person with this one.

        Args:
            without: members whose own joins are set aside.
        """
        found, waiting = {link}, [link]
        while waiting:
            for join in self._edges[waiting.pop()]:
                if join.active and join.member not in without:
                    waiting += set(join.links) - found
                    found |= set(join.links)
        return frozenset(found)

    def current(self, member: Member) -> Member:
        """The 被保険者枝番 that goes on."""
        while member in self.renumbered:
            member = self.renumbered[member]
        return member

    def holds(self, member: Member, link: Link | None) -> bool:
        """Whether a row of the roster still says something."""
        if member in self.withdrawn:
            return False
        if link is None or member not in self.parted:
            return True
        return link in self.person(self.parted[member])

    def known_as(self, insurer: str, links: Iterable[Link]) -> Member | None:
        """The 被保険者枝番 by which an insurer has a person."""
        for link in sorted(links):
            for member in self._rows[link]:
                if member[0] == insurer and self.holds(member, link):
                    return self.current(member)
        return None

    def living(self, member: Member) -> bool:
        return member in self._own and member not in self.withdrawn

    def both_names(self, member: Member) -> set[Member]:
        """A 被保険者枝番 and those that go on as it: what is said of it holds for all."""
        return {member} | self._former[member]

    def links_of(self, member: Member) -> list[Link]:
        """Links of a 被保険者枝番 that goes on; none while it waits."""
        rows = [(one, link) for one in sorted(self.both_names(member)) for link in self._own[one]]
        return [link for one, link in rows if link is not None and self.holds(one, link)]

    def own_link(self, member: Member) -> Link | None:
        """By which a 被保険者枝番 is joined: what a parting gave it, else its first one."""
        links = self.links_of(member)
        return self.parted.get(member, links[0]) if links else None

    def waiting(self) -> set[Member]:
        found = {self.current(member) for member in self._own if self.living(member)}
        return {member for member in found if not self.links_of(member)}

    def anybody_has_both(
        self, one: frozenset[Link], other: frozenset[Link], but: str | None = None
    ) -> bool:
        """Whether any insurer has them under two 被保険者枝番, by its roster or by what it told."""
        return any(
            name[0] == another[0] != but and name != another
            for name in self.names_of(one)
            for another in self.names_of(other)
        )

    def names_of(self, person: frozenset[Link]) -> set[Member]:
        """Every 被保険者枝番 under which anything is known of a person, as it goes on."""
        rows = {
            member for link in person for member in self._rows[link] if self.holds(member, link)
        }
        told = {event.member for event in self.events_of(min(person, default=UNKNOWN))}
        return {self.current(member) for member in rows | told}

    # --- what everybody has

    def belongs_to(self, event: Event) -> Link | None:
        """A link of the person that an event is about."""
        if event.member in self.withdrawn:
            return None
        return self.parted.get(event.member, event.link)

    def events_of(self, link: Link) -> list[Event]:
        person = self.person(link)
        return [event for event in self.events if self.belongs_to(event) in person]

    def while_waiting(self, member: Member) -> list[Event]:
        """What was said of a 被保険者枝番 without a number, since it last went on elsewhere."""
        names = self.both_names(member)
        since = max(self.went_on.get(name, (0, 0, 0)) for name in names)
        return [event for event in self.silent if event.member in names and event.order > since]

    def everybodys_spells(self) -> dict[frozenset[Link], list[Spell]]:
        """By person; those of whom nothing is told are missing."""
        persons: dict[Link, frozenset[Link]] = {}
        by_person: dict[frozenset[Link], list[Event]] = defaultdict(list)
        for event in self.events:
            link = self.belongs_to(event)
            if link is not None:
                if link not in persons:
                    persons |= dict.fromkeys(self.person(link), self.person(link))
                by_person[persons[link]].append(event)
        return {person: spells_of(events) for person, events in by_person.items()}

    def state(self) -> State:
        """What is known by now."""
        found = self.everybodys_spells()
        by_link = {link: spells for person, spells in found.items() for link in person}
        return State(
            spells={number: by_link.get(link, []) for number, link in self.links.items()},
            person={number: min(self.person(link)) for number, link in self.links.items()},
            waiting=self.waiting(),
        )

    # --- what files teach

    def new_link(self, number: str) -> Link:
        """The link of a number; a new one if nobody named it before."""
        return self.links.setdefault(number, len(self.links))

    def new_member(self, insurer: str, link: Link | None) -> Member:
        self._members += 1
        member = (insurer, self._members)
        self.enter(member, link)
        return member

    def enter(self, member: Member, link: Link | None) -> None:
        self.roster.append((member, link))
        self._own[member].append(link)
        if link is not None:
            self._rows[link].append(member)

    def join(self, member: Member, one: Link, other: Link) -> None:
        told = Join(member, (one, other))
        self.joins.append(told)
        self._edges[one].append(told)
        self._edges[other].append(told)

    def renumber(self, member: Member, successor: Member) -> None:
        self.renumbered[member] = successor
        self._former[successor] |= self.both_names(member)

    def part(self, member: Member, link: Link) -> None:
        names = self.both_names(member)
        self.parted |= dict.fromkeys(names, link)
        for join in self.joins:
            if join.member in names:
                join.active = False
        self.enter(member, link)


# --- spells


def spells_of(events: Iterable[Event]) -> list[Spell]:
    """Of one person's events, in any order."""
    found: list[Spell] = []
    ordered = sorted(events)
    insurers = {event.member[0] for event in ordered}
    for insurer in sorted(insurers):
        told: dict[date, Told | None] = {}
        for event in since_correction(ordered, insurer):
            if event.former == insurer or event.process in (CANCELLATION, WITHDRAWAL):
                told[event.told.begin] = None
            else:
                told[event.told.begin] = event.told
        spells = (Spell(insurer, *one) for one in told.values() if one is not None)
        found += sorted(spells, key=lambda spell: spell.begin)
    return found


def since_correction(events: list[Event], insurer: str) -> Iterator[Event]:
    """What the insurer said from its last 訂正 on, and what took spells away from it."""
    corrections = [
        event.order[:2]
        for event in events
        if event.member[0] == insurer and event.process == CORRECTION
    ]
    since = max(corrections, default=(0, 0))
    for event in events:
        if insurer in (event.member[0], event.former) and event.order[:2] >= since:
            yield event


def who_had(spells: Iterable[Spell], day: date) -> dict[str, Spell]:
    """By insurer; of several spells the one that began last."""
    found = {}
    for spell in sorted(spells, key=lambda one: (one.insurer, one.begin)):
        if spell.begin <= day and (spell.end is None or day < spell.end):
            found[spell.insurer] = spell
    return found
