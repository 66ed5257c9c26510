"""What insurers say of one whom they have: the acts that life courses are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from slow_registry import (
    CANCELLATION,
    CHANGE,
    CORRECTION,
    LOSS,
    PARTING,
    REENTRY,
    WITHDRAWAL,
    Registry,
    Statement,
    Told,
)

# Names of the samples' insurers, and who sends for them: one sender has three, one has two.
SENDERS = {
    "kyokai": ("kyokai",),
    "kenpo-a": ("kenpo-a",),
    "kenpo-union": ("kenpo-a", "kenpo-b", "kokkyo"),
    "kouki-rengo": ("kouki-rengo",),
    "nhi-aggregation": ("mihon-shi", "shiken-shi"),
    "fukushi": ("fukushi",),
}
WELFARE = "fukushi"
FIRST = date(2020, 1, 1)
NUMBERS = 4  # that a person may have in turn


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@dataclass
class Person:
    """Somebody invented; `numbers` in the order in which they replace each other."""

    numbers: list[str]
    has: int = 0  # which of them is valid

    @property
    def number(self) -> str:
        return self.numbers[self.has]


@dataclass
class Card:
    """What an insurer believes to have registered: one 被保険者枝番."""

    insurer: str
    person: Person
    serial: int
    number: str | None
    member_class: str
    told: list[Told] = field(default_factory=list)
    dead: bool = False
    before: list[str] = field(default_factory=list)  # numbers that it went by


@dataclass
class Acts:
    """Draws statements about cards, each with what its sender learns if it is accepted.

    Args:
        insurers: name -> 保険者コード.
    """

    draw: random.Random
    registry: Registry
    insurers: dict[str, str]
    persons: list[Person]
    cards: list[Card] = field(default_factory=list)
    drawn: dict[int, Callable[[], None]] = field(default_factory=dict)
    serial: int = 0
    seen: int = 0

    def state(self, process: int, insurer: str, told: Iterable[Told], **more: object) -> Statement:
        self.serial += 1
        return Statement(self.serial, process, insurer, tuple(told), **more)  # type: ignore[arg-type]

    def own_number(self, person: Person) -> str:
        """Mostly the valid one, sometimes another of the person's, rarely somebody else's."""
        turn = self.draw.random()
        if turn < 0.9 or not self.seen:
            return person.number
        if turn < 0.96:
            return self.draw.choice(person.numbers)
        return self.draw.choice(self.draw.choice(self.persons[: self.seen]).numbers)

    def stranger(self, insurer: str | None = None) -> str:
        """Somebody's number; of half of them the insurer has registered it, too."""
        if insurer is not None and self.draw.random() < 0.5:
            own = [
                one.number
                for one in self.draw.sample(self.cards, min(20, len(self.cards)))
                if one.insurer == insurer and one.number
            ]
            if own:
                return self.draw.choice(own)
        return self.draw.choice(self.draw.choice(self.persons[: max(self.seen, 1)]).numbers)

    def turn(self, card: Card) -> Statement:
        """What an insurer says of one whom it has."""
        if card.number is None and self.draw.random() < 0.6:
            return self.numbered(card)
        acts: dict[Callable[[Card], Statement], int] = {
            self.changed: 20,
            self.renewed: 12,
            self.lost: 20,
            self.entered: 14,
            self.corrected: 8,
            self.cancelled: 6,
            self.withdrawn: 6 if card.member_class in "23" else 0,
            self.parted: 6 + 10 * len(card.before),
            self.merged: 4,
            self.moved: 5,
        }
        return self.draw.choices(list(acts), list(acts.values()))[0](card)

    def about(self, card: Card, process: int, told: Iterable[Told], **more: object) -> Statement:
        values = {
            "number": card.number,
            "member": card.serial,
            "member_class": card.member_class,
            "dead": card.dead,
        }
        return self.state(process, card.insurer, told, **{**values, **more})

    def then(self, statement: Statement, learned: Callable[[], None]) -> Statement:
        self.drawn[statement.serial] = learned
        return statement

    def known(self, card: Card) -> list[Told]:
        return card.told or [Told(day(self.draw.randrange(0, 2000, 5)))]

    def some(self, card: Card) -> list[Told]:
        known = self.known(card)
        return sorted(self.draw.sample(known, self.draw.randint(1, min(2, len(known)))))

    def keep(self, card: Card, told: Iterable[Told]) -> None:
        by_day = {one.begin: one for one in [*card.told, *told]}
        card.told = [by_day[begin] for begin in sorted(by_day)]

    def changed(self, card: Card) -> Statement:
        """The person told again whole; of 被保護者 with the month's tickets."""
        told = self.some(card)
        if self.draw.random() < 0.2:  # an end is moved or goes
            told[-1] = told[-1]._replace(end=None, reason=None)
        tickets = ()
        if card.insurer == self.insurers[WELFARE]:
            months = self.draw.sample(range(1, 13), self.draw.randint(0, 2))
            tickets = tuple(f"2026{month:02d}" for month in sorted(months))
        statement = self.about(card, CHANGE, told, tickets=tickets)
        return self.then(statement, lambda: self.keep(card, told))

    def renewed(self, card: Card) -> Statement:
        """A new 個人番号: issued, told by another insurer before, or somebody else's."""
        person = card.person
        if card.number is None:
            return self.changed(card)
        turn = self.draw.random()
        if turn < 0.5 and person.has + 1 < len(person.numbers):
            person.has += 1
        number = self.own_number(person) if turn < 0.9 else self.stranger(card.insurer)
        if number == card.number:
            return self.changed(card)
        told = self.some(card)
        statement = self.about(card, CHANGE, told, new_number=number)

        def learned() -> None:
            self.keep(card, told)
            if self.draw.random() < 0.8:  # or it goes on under the old one
                card.before.append(card.number or number)
                card.number = number

        return self.then(statement, learned)

    def lost(self, card: Card) -> Statement:
        """The last spell ends; some die, 被保護者 are suspended or leave."""
        last = self.known(card)[-1]
        end = last.begin + timedelta(days=self.draw.randint(1, 400))
        reasons = ("06", "06", "07") if card.insurer == self.insurers[WELFARE] else ("03", "04")
        reason = "01" if self.draw.random() < 0.1 else self.draw.choice(reasons)
        told = [Told(last.begin, end, reason)]
        if self.draw.random() < 0.04:  # of a spell that nobody told
            told = [Told(last.begin + timedelta(days=1), end + timedelta(days=2), reason)]
        statement = self.about(card, LOSS, told, dead=reason == "01")

        def learned() -> None:
            self.keep(card, told)
            card.dead = reason == "01"

        return self.then(statement, learned)

    def entered(self, card: Card) -> Statement:
        """A further spell, with or without the 被保険者枝番."""
        last = self.known(card)[-1]
        begin = (last.end or last.begin) + timedelta(days=self.draw.randint(0, 60))
        told = [Told(begin)]
        bare = card.number is not None and self.draw.random() < 0.5
        statement = self.about(card, REENTRY, told, member=None if bare else card.serial)
        return self.then(statement, lambda: self.keep(card, told))

    def corrected(self, card: Card) -> Statement:
        """Everything before was wrong: one to three spells are what counts."""
        begin, told = self.known(card)[0].begin, []
        for _ in range(self.draw.randint(1, 3)):
            begin += timedelta(days=self.draw.randint(0, 90) + len(told))
            end = begin + timedelta(days=self.draw.randint(1, 60))
            told.append(Told(begin, end, "99"))
            begin = end
        if self.draw.random() < 0.6:
            told[-1] = told[-1]._replace(end=None, reason=None)

        def learned() -> None:
            card.told = told

        return self.then(self.about(card, CORRECTION, told), learned)

    def cancelled(self, card: Card) -> Statement:
        told = [self.draw.choice(self.known(card))]
        if self.draw.random() < 0.1:
            told = [told[0]._replace(begin=told[0].begin - timedelta(days=1))]

        def learned() -> None:
            card.told = [one for one in card.told if one.begin != told[0].begin]

        return self.then(self.about(card, CANCELLATION, told), learned)

    def withdrawn(self, card: Card) -> Statement:
        statement = self.about(card, WITHDRAWAL, self.known(card)[-1:])
        return self.then(statement, lambda: self.cards.remove(card))

    def parted(self, card: Card) -> Statement:
        """The number was wrong: the right one is another person's, or was never named."""
        if card.number is None:
            return self.changed(card)
        strangers = [self.stranger(), self.stranger(card.insurer)]
        own = [*card.person.numbers, *card.before * 3, *self.joined(card) * 8]
        right = [one for one in own if one != card.number] + strangers
        number = self.draw.choice(right)
        told = self.some(card)
        statement = self.about(card, PARTING, told, new_number=number)

        def learned() -> None:
            self.keep(card, told)
            card.number = number

        return self.then(statement, learned)

    def joined(self, card: Card) -> list[str]:
        """Numbers of the person that somebody has joined to the one that it goes by."""
        known = self.registry.links
        own = self.registry.person(known.get(card.number or "", -1))
        return [one for one in card.person.numbers if known.get(one) in own]

    def merged(self, card: Card) -> Statement:
        """Two 被保険者枝番 of an insurer are one: mostly of one person, or mistaken for it."""
        others = [one for one in self.cards if one.insurer == card.insurer and one is not card]
        same = [one for one in others if one.person is card.person] or others
        if not same:
            return self.changed(card)
        other = self.draw.choice(same)
        told = self.some(card)
        statement = self.about(card, CHANGE, told, new_member=other.serial)

        def learned() -> None:
            self.keep(card, told)
            if self.draw.random() < 0.8:
                card.serial = statement.serial

        return self.then(statement, learned)

    def moved(self, card: Card) -> Statement:
        """The person goes on at another insurer of the same sender, or at one that is none."""
        name = next(name for name, code in self.insurers.items() if code == card.insurer)
        near = {
            "mihon-shi": "shiken-shi",
            "shiken-shi": "mihon-shi",
            "kenpo-a": "kenpo-b",
            "kenpo-b": "kenpo-a",
        }
        other, turn = near.get(name), self.draw.random()
        if other is None and turn < 0.9:
            return self.changed(card)
        if other is None or turn < 0.15:
            other = self.draw.choice(sorted(self.insurers))
        told = self.some(card)
        statement = self.about(card, CHANGE, told, new_insurer=self.insurers[other])
        new = Card(
            self.insurers[other], card.person, statement.serial, card.number, card.member_class
        )

        def learned() -> None:
            new.told = list(told)
            self.cards.append(new)

        return self.then(statement, learned)

    def numbered(self, card: Card) -> Statement:
        """A waiting person gets its number, by a statement of any kind that restates it."""
        number = self.own_number(card.person)
        process = self.draw.choice((CHANGE, CHANGE, CHANGE, REENTRY, LOSS, CORRECTION))
        told = self.some(card)
        if process == LOSS:
            told = [told[-1]._replace(end=told[-1].begin + timedelta(days=30), reason="99")]
        statement = self.about(card, process, told, number=number)

        def learned() -> None:
            self.keep(card, told)
            card.number = number

        return self.then(statement, learned)
