"""Roster: which 被保険者枝番 an insurer has for a person, and whose a 被保険者枝番 is.

Rosters are append only: a row for each 被保険者枝番 that was assigned, one more when it got its
number or was parted. What statements of `person_links` say is laid over them here. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from koukan.rules.line_keys import NONE
from koukan.rules.persons import MEMBERS, People
from koukan.rules.register import Ints, Mask, Small

ROWS = pl.Schema({"insurer": pl.Int32, "link_number": pl.Int64, "member_id": pl.Int64})


@dataclass(frozen=True)
class Roster:
    """Some rows of rosters that hold, with the persons that they are about."""

    rows: pl.DataFrame  # ROWS; link_number: NONE while the member has no number
    people: People

    @classmethod
    def of(cls, rows: pl.DataFrame, people: People) -> Roster:
        """What is left of rows when statements are laid over them.

        Args:
            rows: ROWS, in any order; `link_number` may be null.
        """
        rows = rows.with_columns(pl.col("link_number").fill_null(NONE))
        if not people.trivial and rows.height:
            columns = [rows[name].to_numpy() for name in ("insurer", "member_id", "link_number")]
            rows = rows.filter(pl.Series(~people.left(*columns)))
        return cls(rows, people)

    def members(self, insurers: Small, persons: Ints) -> Ints:
        """被保険者枝番 that each insurer has for each person now, `NONE` where it has none.

        Args:
            persons: shown 紐付番号; `NONE` is nobody.
        """
        held = self.rows.filter(pl.col("link_number") != NONE)
        if held.is_empty():
            return np.full(len(persons), NONE, np.int64)
        person = self.people.canonical(held["link_number"].to_numpy())
        member = self.people.current(held["insurer"].to_numpy(), held["member_id"].to_numpy())
        known = pl.DataFrame({"insurer": held["insurer"], "person": person, "member": member})
        known = known.unique(["insurer", "person"], keep="last")
        asked = pl.DataFrame({"insurer": insurers, "person": persons})
        found = asked.join(known, on=["insurer", "person"], how="left", maintain_order="left")
        return found["member"].fill_null(NONE).to_numpy()

    def others(self, insurers: Small, persons: Ints, members: Ints) -> Mask:
        """Whether each insurer has each person under another 被保険者枝番 than this one, too.

        Args:
            persons: shown 紐付番号; `NONE` is nobody.
            members: 被保険者枝番 that go on.
        """
        numbers = self.rows["insurer"].to_numpy(), self.rows["member_id"].to_numpy()
        known = pl.DataFrame(
            {
                "insurer": numbers[0],
                "person": self.people.canonical(self.rows["link_number"].to_numpy()),
                "named": self.people.current(*numbers),
            }
        ).filter(pl.col("person") != NONE)
        asked = pl.DataFrame({"insurer": insurers, "person": persons, "member": members})
        found = asked.with_row_index().join(known, on=["insurer", "person"])
        at = found.filter(pl.col("named") != pl.col("member"))["index"].to_numpy()
        other = np.zeros(len(persons), np.bool_)
        other[at] = True
        return other

    def owners(self, insurers: Small, members: Ints) -> tuple[Mask, Ints]:
        """Whether an insurer has such a 被保険者枝番, and its raw link (`NONE` while it waits).

        Of one that was parted, the link that the parting names: a row of the time before may hold
        again because others said since that both are one person, and such a word can be taken back.
        """
        exists = np.zeros(len(members), np.bool_)
        owner = np.full(len(members), NONE, np.int64)
        if self.rows.is_empty() or not np.any(members != NONE):
            return exists, owner
        keys = self.rows["insurer"].to_numpy().astype(np.int64) * MEMBERS
        keys += self.rows["member_id"].to_numpy()
        links = self.rows["link_number"].to_numpy()
        last = self.people.survivors(
            self.rows["insurer"].to_numpy(), self.rows["member_id"].to_numpy()
        )
        told = (links == last) & (last != NONE)
        order = np.lexsort((links, told, keys))  # the row of the time without a number comes first
        ordered = keys[order]
        asked = insurers.astype(np.int64) * MEMBERS + members
        at = np.searchsorted(ordered, asked, side="right") - 1
        exists = (members != NONE) & (at >= 0) & (ordered[np.maximum(at, 0)] == asked)
        owner[exists] = links[order][at[exists]]
        return exists, owner
