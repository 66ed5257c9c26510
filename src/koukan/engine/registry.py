"""What the tables know of persons, as `link` asks for them: vault, rosters, statements.

Earlier files of a group that is linked file by file have taught it more (`learned`): what they
state is not in the tables yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.lookup import links_of, roster_rows, spread
from koukan.flows.registration import (
    LINKS,
    PERSON_LINKS,
    QUALIFICATION,
    insurer_texts,
)
from koukan.rules.hindsight import SAID, Spoken, place_of, words_of
from koukan.rules.joining import Plan
from koukan.rules.line_keys import AS_INSURER, AS_MEMBER, NONE
from koukan.rules.link import (
    Batch,
    Issuable,
    Known,
    insurer_target,
    member_target,
    number_target,
)
from koukan.rules.persons import JOINED, PARTED, People
from koukan.rules.register import PARTING, Ints, Mask, Persons, Small
from koukan.rules.roster import ROWS, Roster
from koukan.rules.settling import HELD, Linked

HOLDER = ("link_number", "insurer_code", "member_id")
NUMBERS = pl.Schema({"my_number": pl.Int64, "link_number": pl.Int64})


@dataclass(frozen=True)
class Registry:
    """What is known before some files of a group are linked."""

    centre: Centre
    group: int
    receptions: Ints  # numbers of the group's receptions, by position
    statements: pl.DataFrame  # LINKS
    people: People
    numbers: pl.DataFrame  # NUMBERS that earlier files of the group brought
    roster: pl.DataFrame  # ROWS that earlier files of the group brought
    words: pl.DataFrame  # SAID in them

    @classmethod
    def of(cls, centre: Centre, group: int, receptions: Ints) -> Registry:
        table = centre.snapshot(PERSON_LINKS)
        statements = table.read(table.files())
        nothing = NUMBERS.to_frame(), ROWS.to_frame(), SAID.to_frame()
        return cls(centre, group, receptions, statements, People.of(statements), *nothing)

    def learned(self, persons: Persons, linked: Linked, spoken: Spoken) -> Registry:
        """With what one file, or some that are not tied, come to."""
        statements = pl.concat([self.statements, self.told(persons, linked.statements)])
        return replace(
            self,
            statements=statements,
            people=People.of(statements) if linked.statements.height else self.people,
            numbers=pl.concat([self.numbers, linked.numbers.select(NUMBERS.names())]),
            roster=pl.concat([self.roster, linked.roster.select(ROWS.names())]),
            words=pl.concat([self.words, self.said(persons, linked, spoken)]),
        )

    def told(self, persons: Persons, statements: pl.DataFrame) -> pl.DataFrame:
        """Statements (`rules.joining`) as rows of `person_links`."""
        if statements.is_empty():
            return pl.DataFrame(schema=LINKS)
        joined = statements["act"] == JOINED
        ranks = [
            self._ranks(statements[name], joined).alias(rank)
            for name, rank in (("link_number", "rank"), ("survivor", "survivor_rank"))
        ]
        reception = self.receptions[persons.reception[statements["person"].to_numpy()]]
        rows = statements.with_columns(
            *ranks,
            insurer_texts(statements["insurer"]),
            pl.Series("reception", reception),
            pl.lit(self.group, pl.Int64).alias("group_number"),
        )
        return rows.select(list(LINKS))

    def _ranks(self, links: pl.Series, joined: pl.Series) -> pl.Series:
        """In which order the links were issued; null where nothing is joined."""
        chosen = links.filter(joined).to_numpy()
        ranks = np.full(len(links), NONE, np.int64)
        ranks[joined.to_numpy()] = self.centre.link_issuer.counters(chosen)
        return pl.Series(ranks).replace(NONE, None)

    # --- what is asked

    def links(self, numbers: Ints) -> Ints:
        """Raw link of each 個人番号, `NONE` where nobody has it."""
        taught = spread(numbers, self.numbers["my_number"], self.numbers["link_number"])
        if not np.any(taught != NONE):
            return links_of(self.centre, numbers)
        asked = np.where(taught == NONE, numbers, NONE)
        return np.where(taught == NONE, links_of(self.centre, asked), taught)

    def batch(self, persons: Persons, out: Mask, issuable: Issuable) -> tuple[Batch, pl.DataFrame]:
        """Persons with what stands in the tables about them, and the rosters' rows of it."""
        known, rows = self._known(persons, ~out)
        return Batch(persons, out, known, self.people, issuable), rows

    def _known(self, persons: Persons, here: Mask) -> tuple[Known, pl.DataFrame]:
        nobody = np.full(len(here), NONE, np.int64)
        numbers = here & number_target(persons)
        asked = [np.where(here, persons.my_number, NONE), np.where(numbers, persons.target, NONE)]
        if numbers.any():
            link, target = np.split(self.links(np.concatenate(asked)), 2)
        else:
            link, target = self.links(asked[0]), nobody
        merges, moves = here & member_target(persons), here & insurer_target(persons)
        home = np.where(moves, persons.target - AS_INSURER, persons.insurer)
        given = np.where(here, persons.member_id, NONE)
        wanted = np.where(merges, persons.target - AS_MEMBER, NONE)
        current = [self.people.current(persons.insurer, members) for members in (given, wanted)]
        parted = np.where(persons.process == PARTING, target, NONE)
        rows = self.rows(
            [(persons.insurer, link), (home[moves], link[moves]), (persons.insurer, parted)],
            [(persons.insurer, members) for members in (given, wanted, *current)],
        )
        roster = Roster.of(rows, self.people)
        person = self.people.canonical(link)
        owners = [roster.owners(persons.insurer, members) for members in current]
        found = Known(
            link=link,
            member=roster.members(persons.insurer, person),
            given=np.where(owners[0][0], current[0], NONE),
            owner=owners[0][1],
            target_link=target,
            target_member=np.where(owners[1][0], current[1], NONE),
            target_owner=owners[1][1],
            target_home=roster.members(home, np.where(moves, person, NONE))
            if moves.any()
            else nobody,
            target_allowed=self._allowed(persons, moves),
        )
        return found, rows

    def rows(
        self, links: list[tuple[Small, Ints]], members: list[tuple[Small, Ints]]
    ) -> pl.DataFrame:
        """Rows of the rosters (ROWS) that are about any of these persons or 被保険者枝番."""
        pairs = []
        for pair in links:
            if self.people.trivial:
                pairs.append(pair)
            else:
                at, asked = self.people.raw_links(pair[1])
                pairs.append((pair[0][at], asked))
        tables = roster_rows(
            self.centre, _asked("link_number", pairs), _asked("member_id", members)
        )
        return pl.concat([tables, self.roster])

    def _allowed(self, persons: Persons, moves: Mask) -> Mask:
        """Who may go on at another insurer: of the same sender, and of the same kind."""
        allowed = np.zeros(len(moves), np.bool_)
        if not moves.any():
            return allowed
        rows = np.flatnonzero(moves)
        asked = pl.DataFrame(
            {
                "reception": self.receptions[persons.reception[rows]],
                "insurer": persons.insurer[rows].astype(np.int64),
                "home": persons.target[rows] - AS_INSURER,
            }
        )
        kinds = {int(insurer.code): insurer.kind for insurer in self.centre.site.insurers}
        distinct, good = asked.unique(maintain_order=True), []
        for reception, insurer, home in distinct.iter_rows():  # as many as insurers in files
            sender = self.centre.site.sender(self.centre.ledger.reception(reception).sender)
            own = {int(code) for code in sender.insurers}
            good.append(insurer != home and home in own and kinds[home] == kinds[insurer])
        verdicts = distinct.with_columns(pl.Series("good", good, dtype=pl.Boolean))
        found = asked.join(verdicts, on=asked.columns, how="left", maintain_order="left")
        allowed[rows] = found["good"].to_numpy()
        return allowed

    def held(self, plan: Plan) -> pl.DataFrame:
        """HELD of those whom the plan would make one, by the tables and earlier files."""
        joins = plan.joins
        persons = np.unique(np.concatenate([plan.one[joins], plan.other[joins]]))
        if not len(persons):
            return HELD.to_frame()
        raw = np.unique(self.people.raw_links(persons)[1])
        events = [
            events_under(self.centre, QUALIFICATION, raw, HOLDER).unique(),
            self._brought(raw),
        ]
        rows = self.people.attribute(pl.concat(events)).select(
            "member_id", person="link_number", insurer=pl.col("insurer_code").cast(pl.Int64)
        )
        found = rows.filter(pl.col("person").is_in(pl.Series(persons).implode()))
        named = found["insurer"].to_numpy(), found["member_id"].to_numpy()
        current = pl.Series("member_id", self.people.current(*named))
        return found.with_columns(current).select(HELD.names()).unique()

    def _brought(self, raw: Ints) -> pl.DataFrame:
        """HOLDER of what earlier files of the group registered."""
        rows = self.roster.filter(pl.col("link_number").is_in(pl.Series(raw).implode()))
        return rows.with_columns(insurer_texts(rows["insurer"])).select(HOLDER)

    def occupied(self, plan: Plan, rows: pl.DataFrame, after: People) -> Mask:
        """Partings whose insurer has the right number under another 被保険者枝番, once parted."""
        persons = np.where(plan.partings, after.canonical(plan.target), NONE)
        own = plan.identity.member
        return Roster.of(rows, after).others(plan.batch.persons.insurer, persons, own)

    def said(self, persons: Persons, linked: Linked, spoken: Spoken) -> pl.DataFrame:
        """SAID of what these files say."""
        return words_of(persons, spoken, linked, self.places(persons))

    def places(self, persons: Persons) -> Ints:
        """Where each person's file stands in time."""
        group = np.full(len(persons.reception), self.group, np.int64)
        return place_of(group, self.receptions[persons.reception])

    def witnessed(self, plan: Plan) -> Mask:
        """Changes that the same member has stated before, and that still hold."""
        told = np.zeros(len(plan.one), np.bool_)
        rows = np.flatnonzero(plan.changes)
        if not len(rows) or self.statements.is_empty():
            return told
        member = ["insurer_code", "member_id"]
        place = pl.struct("group_number", "reception").rank("dense")
        stated = self.statements.with_columns(place=place)
        last = (
            stated.filter(pl.col("act") == PARTED).group_by(member).agg(last=pl.col("place").max())
        )
        standing = (
            stated.filter(pl.col("act") == JOINED)
            .join(last, on=member, how="left")
            .filter(pl.col("last").is_null() | (pl.col("last") <= pl.col("place")))
        )
        changes = pl.DataFrame(
            {
                "row": rows,
                "insurer": plan.batch.persons.insurer[rows],
                "member_id": plan.identity.member[rows],
                "link_number": plan.target[rows],
                "survivor": plan.identity.link[rows],
            }
        )
        changes = changes.with_columns(insurer_texts(changes["insurer"]))
        same = changes.join(standing, on=[*member, "link_number", "survivor"], how="semi")
        told[same["row"].to_numpy()] = True
        return told


def _asked(name: str, pairs: list[tuple[Small, Ints]]) -> pl.DataFrame:
    """insurer and what is asked of it, each once; nobody is asked for `NONE`."""
    parts = [
        pl.DataFrame({"insurer": insurers[given].astype(np.int32), name: asked[given]})
        for insurers, asked in pairs
        if (given := asked != NONE).any()
    ]
    empty = pl.DataFrame(schema={"insurer": pl.Int32, name: pl.Int64})
    return pl.concat([empty, *parts]).unique()
