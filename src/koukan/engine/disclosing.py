"""Who is meant by a 機関別符号, and what the 資格履歴 says of the person: flow 2-(5), step 5-2.

Codes are as sensitive as numbers: they are compared here, and leave no process.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from koukan.engine.asof import events_under
from koukan.engine.centre import Centre
from koukan.engine.codes import holders
from koukan.engine.issued import codes_of
from koukan.engine.people import people_of
from koukan.flows.disclosure import BARS, ITEMS
from koukan.flows.registration import FORMAT
from koukan.rules.disclosing import (
    BASIC,
    CONTROL,
    MEMBER_CLASS,
    QUALIFICATION,
    Disclosed,
    disclosed,
    in_force,
)
from koukan.rules.register import Ints
from koukan.rules.restating import SAID, restated
from koukan.rules.spells import END

TOLD = {QUALIFICATION: (END, *ITEMS), CONTROL: BARS, BASIC: (MEMBER_CLASS,)}


def answered(centre: Centre, lines: pl.DataFrame) -> Disclosed:
    """What each request comes to.

    Args:
        lines: `row`, `linkage_code`, `requested_at` (fourteen digits, JST).
    """
    named = persons_of(centre, lines["linkage_code"])
    day = pl.col("requested_at").str.head(8).str.to_date("%Y%m%d")
    asked = lines.join(named, on="linkage_code", how="left", maintain_order="left")
    asked = asked.select("row", "link_number", day=day)
    persons = asked["link_number"].drop_nulls().unique().sort().to_numpy()
    return disclosed(asked, said_of(centre, persons), centre.site.disclosure.barred_by)


def persons_of(centre: Centre, codes: pl.Series) -> pl.DataFrame:
    """`linkage_code`, `link_number` (as shown) of these codes that are somebody's now."""
    people = people_of(centre)
    links = holders(centre, codes.unique())
    return in_force(codes_of(centre, people, people.canonical(links.unique().to_numpy())))


def said_of(centre: Centre, persons: Ints) -> dict[str, pl.DataFrame]:
    """What holds of some persons (shown, ascending), by section."""
    people = people_of(centre)
    links = np.unique(np.concatenate([persons, people.raw_links(persons)[1]]))
    keys = {item.section: item.key for item in centre.catalogue.formats[FORMAT].records}
    told = {
        section: events_under(
            centre, section, links, list(dict.fromkeys([*SAID, *keys[section], *items]))
        )
        for section, items in TOLD.items()
    }
    return restated(told, keys, people, persons)
