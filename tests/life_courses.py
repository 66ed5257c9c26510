"""Life courses drawn for tests: what several insurers say of some persons, night after night.

What is drawn is what insurers do, right and wrong: they register, end, mend and cancel, learn new
numbers, mistake one person for another, send files twice. Everything comes from a seed. What a
sender may know is what it was answered on earlier nights, as the slow registry has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from life_acts import SENDERS, WELFARE, Acts, Card, day
from slow_registry import LOSS, NEW, UNKNOWN, Answer, File, Statement, Told

ACTIVE = 0.55  # share of those whom somebody says something of each night
WRONG = 0.12  # share of statements that are spoilt
FILES = 3  # of a sender and night, at most


@dataclass(kw_only=True)
class Courses(Acts):
    """Draws a night's files; `learn` tells what the senders were answered.

    Args:
        arrivals: new persons on every night but the first, on which three times as many come.
    """

    arrivals: int

    # --- a night

    def night(self) -> list[File]:
        """The files of all senders, none of which names a person twice."""
        self.drawn.clear()
        coming = self.arrivals if self.seen else 3 * self.arrivals
        statements = [self.arrival() for _ in range(coming)]
        for card in self.cards:
            if self.draw.random() < ACTIVE:
                statements.append(self.turn(card))
        statements = [self.spoilt(one) if self.draw.random() < WRONG else one for one in statements]
        self.draw.shuffle(statements)
        return self.files(statements)

    def files(self, statements: Sequence[Statement]) -> list[File]:
        """Some files of each sender."""
        open_files: dict[str, list[list[Statement]]] = defaultdict(list)
        named: dict[tuple[str, int], set[object]] = defaultdict(set)
        root = self.persons_tonight(statements)
        for statement in statements:
            able = [
                sender
                for sender, names in SENDERS.items()
                if statement.insurer in [self.insurers[name] for name in names]
            ]
            sender = self.draw.choice(able)
            files = open_files[sender] or [[]]
            open_files[sender] = files
            if len(files) < FILES and self.draw.random() < 0.01:
                files.append([])
            touched = {root(one) for one in self.touched(statement)}
            for place in self.draw.sample(range(FILES), FILES):
                if place < len(files) and not named[sender, place] & touched:
                    files[place].append(statement)
                    named[sender, place] |= touched
                    break
            else:
                if len(files) < FILES:
                    named[sender, len(files)] |= touched
                    files.append([statement])
        return [
            File(sender, tuple(lines))
            for sender, files in open_files.items()
            for lines in files
            if lines
        ]

    def persons_tonight(self, statements: Iterable[Statement]) -> Callable[[object], object]:
        """Whom each name will mean if everything is accepted that joins two tonight."""
        above: dict[object, object] = {}

        def root(name: object) -> object:
            while name in above:
                name = above[name]
            return name

        for statement in statements:
            roots = sorted({root(one) for one in self.touched(statement)}, key=repr)
            above |= dict.fromkeys(roots[1:], roots[0] if roots else None)
        return root

    def touched(self, statement: Statement) -> set[object]:
        """Everybody whom a statement is about, as far as it is known."""
        registry = self.registry
        found: set[object] = {statement.number, statement.new_number} - {None}
        links = {registry.links[number] for number in found if number in registry.links}  # type: ignore[index]
        for serial in (statement.member, statement.new_member):
            if serial in registry.answered:
                member = registry.current(registry.answered[serial])
                found.add(member)
                links.update(registry.links_of(member))
        for link in links:
            found |= registry.person(link)
        return found

    def learn(self, statement: Statement, answer: Answer | None) -> None:
        """A sender reads what became of its lines."""
        learned = self.drawn.get(statement.serial)
        if learned is not None and answer is not None and not answer.rejected:
            learned()

    # --- who comes

    def arrival(self) -> Statement:
        """Somebody new, or somebody whom another insurer has, or the same one once more."""
        if self.seen and self.draw.random() < 0.4:
            person = self.draw.choice(self.persons[: self.seen])
        else:
            person = self.persons[self.seen % len(self.persons)]
            self.seen = min(self.seen + 1, len(self.persons))
        name = self.draw.choice(sorted(self.insurers))
        waits = self.draw.random() < 0.15
        number = None if waits else self.own_number(person)
        begin = day(self.draw.randrange(0, 2000, 5))
        end = None if self.draw.random() < 0.9 else begin + timedelta(days=self.draw.randint(1, 90))
        told = Told(begin, end, None if end is None else self.draw.choice(("03", "04", "99")))
        klass = "4" if name == WELFARE else self.draw.choice("111123")
        insurer = self.insurers[name]
        statement = self.state(NEW, insurer, [told], number=number, member_class=klass)
        card = Card(insurer, person, statement.serial, number, klass, [told])
        self.drawn[statement.serial] = lambda: self.cards.append(card)
        repeated = number is not None and self.draw.random() < 0.02
        return statement._replace(repeated=repeated)

    # --- what goes wrong

    def spoilt(self, statement: Statement) -> Statement:
        """The same with something wrong in it, for which there is mostly a code."""
        turns: list[Callable[[Statement], dict[str, object]]] = [
            lambda _: {"member": UNKNOWN},
            lambda _: {"member": self.somebody()},
            lambda _: {"member": None},
            lambda _: {"number": None},
            lambda one: {"number": self.stranger(one.insurer)},
            lambda one: {"new_number": self.stranger(one.insurer)},
            lambda one: {"new_number": one.number},
            lambda _: {"new_member": UNKNOWN},
            lambda _: {"new_member": self.somebody()},
            lambda _: {"new_insurer": self.draw.choice(sorted(self.insurers.values()))},
            lambda _: {"process": self.draw.randint(1, 8)},
            lambda _: {"member_class": self.draw.choice("1234")},
        ]
        if statement.process == NEW:  # what is said of the number alone comes to little more
            turns = turns[1:6] + turns[-2:]
        wrong = statement._replace(**self.draw.choice(turns)(statement), repeated=False)  # type: ignore[arg-type]
        if wrong.process == LOSS and any(one.end is None for one in wrong.told):
            ended = [
                one._replace(end=one.begin + timedelta(days=9), reason="99") for one in wrong.told
            ]
            wrong = wrong._replace(told=tuple(ended))
        return wrong

    def somebody(self) -> int:
        return self.draw.choice(self.cards).serial if self.cards else UNKNOWN
