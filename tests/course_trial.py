"""A course of nights on a real site beside the slow registry: where do they disagree?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from course_files import ACCEPTED, DUPLICATE, KINDS, REJECTED, SPEAKS_FOR, Line, Site
from slow_cases import take
from slow_registry import Answer, File, Member, Registry, State, Statement

from koukan.ledger import Reception

NO_FILES: Mapping[str, bool] = MappingProxyType({})
REMARKS_LEFT_OUT = frozenset({"W411", "W412", "W413", "W421", "W422"})  # about days and ages


class Disagreement(NamedTuple):
    """What the two said differently, and of which statements."""

    what: str
    serials: tuple[int, ...]
    koukan: object
    slow: object


@dataclass
class Trial:
    """Lays files, runs the job, and asks both.

    Args:
        compacts: whether small data files are merged between nights.
        names: the 被保険者枝番 that the site gave for each of the slow registry's.
    """

    site: Site
    compacts: bool = False
    registry: Registry = field(default_factory=lambda: Registry(KINDS, SPEAKS_FOR))
    names: dict[Member, str] = field(default_factory=dict)
    owners: dict[tuple[str, str], Member] = field(default_factory=dict)
    found: list[Disagreement] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    nights: list[str] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path, *, compacts: bool = False) -> Trial:
        return cls(Site.new(folder), compacts)

    def night(self, *runs: Sequence[File], again: Mapping[str, bool] = NO_FILES) -> list[Reception]:
        """A night of one run or of several.

        Args:
            runs: the files that are laid before each.
            again: names of earlier nights' files that come once more, and whether under another.
        """
        night = self.site.night_falls()
        for name, renamed in again.items():
            self.site.lay_again(name, renamed=renamed)
        received = []
        for files in runs:
            for file in files:
                self.site.lay(file)
            received += self.site.run()
        for reception in received:
            if reception.file_name in self.site.again:
                if (reception.outcome, reception.code) != ("duplicate", "D101"):
                    self.disagree("file", [], (reception.outcome, reception.code), "duplicate")
            else:
                self.judge(self.site.laid[reception.file_name], reception)
        if self.compacts and len(self.nights) % 2:
            self.site.place.run("compact_tables")
        self.nights.append(night)
        self.states[night] = self.registry.state()
        return received

    def disagree(
        self, what: str, statements: Iterable[Statement], koukan: object, slow: object
    ) -> None:
        serials = tuple(statement.serial for statement in statements)
        self.found.append(Disagreement(what, serials, koukan, slow))

    # --- answers

    def judge(self, file: File, reception: Reception) -> None:
        if reception.outcome != "accepted" or reception.group_number is None:
            self.disagree("file", file.statements, (reception.outcome, reception.code), "accepted")
            return
        answers = take(self.registry, file, reception.group_number, reception.number)
        self.answers |= answers
        lines, first = self.site.answers(reception), 2
        for statement in file.statements:
            expected = self.expected(statement, answers[statement.serial])
            given = [lines.get(first + place) for place in range(len(expected))]
            first += len(expected)
            if not self.same(given, expected, answers[statement.serial].member):
                self.disagree("answer", [statement], given, expected)
            member = given[0].member if given[0] else None
            if member is not None:
                self.site.members[statement.serial] = member
        if len(lines) != first - 2:
            self.disagree("lines", file.statements, len(lines), first - 2)

    def expected(self, statement: Statement, answer: Answer) -> list[Line]:
        """Of each line: its fate and codes; whom it names is looked at apart."""
        fate = REJECTED if answer.rejected else ACCEPTED
        lines = range(len(statement.sections))
        found = [Line(fate, None, frozenset(answer.codes.get(line, ()))) for line in lines]
        if not statement.repeated:
            return found
        return found + [Line(DUPLICATE, None, frozenset({"D301"}))] * len(found)

    def same(
        self, given: Sequence[Line | None], expected: Sequence[Line], member: Member | None
    ) -> bool:
        for one, other in zip(given, expected, strict=True):
            if one is None or one.fate != other.fate:
                return False
            if one.codes - REMARKS_LEFT_OUT != other.codes:
                return False
            if (one.member is None) == (one.fate == ACCEPTED):
                return False
            if one.member is not None and not self.named(member, one.member):
                return False
        return True

    def named(self, member: Member | None, name: str) -> bool:
        """Whether both mean the same 被保険者枝番: one to one, for good."""
        if member is None:
            return False
        self.names.setdefault(member, name)
        self.owners.setdefault((member[0], name), member)
        return self.names[member] == name and self.owners[member[0], name] == member
